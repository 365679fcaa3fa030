"""Writing in pictures: lines as a model reads them, and what several pictures of one scene say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import WritingModel
from prismhouse.engine.inference.registry import PP_OCR
from prismhouse.engine.media.text import storable

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LONGEST_SIDE", "Spread", "merged", "read_lines"]

LONGEST_SIDE = 2000
"""Pixels of the longer side of a picture that is read: what the model's detector sees at most."""

_SURE_LETTER = 0.95
"""A single letter that is less certain is an eye, a cup or a wheel."""

_ALIKE = 0.8
_SURE_PART = 8
_MOST_LINES = 500
_COMPARED_CHARACTERS = 200
_HELD = 3
"""How many times the pictures that are chosen wait until the end."""

_SMALL = (160, 90)
_CHANGED_LEVELS = 25
_CHANGED_PART = 0.002
"""Part of the small picture that has to change, by so many grey levels, for new writing: a word in a corner."""


def read_lines(image: Image, resources: Resources) -> list[str]:
    """Return the lines written in an upright RGB picture, from top to bottom, each row from left to right."""
    from PIL.Image import Resampling

    model: WritingModel = loaded(PP_OCR, threads=resources.threads, cache_dir=resources.cache_dir)
    if max(image.size) > LONGEST_SIDE:
        image = image.copy()
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Resampling.LANCZOS)
    return [storable(line.text) for line in model.read(image) if len(line.text) > 1 or line.confidence >= _SURE_LETTER]


@dataclass(slots=True)
class Spread:
    """Chooses few of many pictures that are shown in order, spread over all of them.

    Which these are is not known before the end, so some wait: every `stride`th, and the stride doubles when they are
    too many. Of pictures that look alike one after the other, one is chosen.
    """

    most: int
    _held: list[Image] = field(default_factory=list)
    _shown: int = 0
    _stride: int = 1

    def show(self, draw: Callable[[], Image]) -> None:
        """Note a picture, which is drawn only if it may be chosen."""
        if self._shown % self._stride == 0:
            self._held.append(draw())
            if len(self._held) > _HELD * self.most:
                del self._held[1::2]
                self._stride *= 2
        self._shown += 1

    def chosen(self) -> list[Image]:
        """Return pictures from the middles of equal parts, and begin anew."""
        held, self._held = self._held, []
        self._shown, self._stride = 0, 1
        count = min(self.most, len(held))
        chosen: list[Image] = []
        last: npt.NDArray[np.int16] | None = None
        for part in range(count):
            one = held[(2 * part + 1) * len(held) // (2 * count)]
            small = np.asarray(one.convert("L").resize(_SMALL, reducing_gap=2.0), dtype=np.int16)
            if last is None or float((np.abs(small - last) > _CHANGED_LEVELS).mean()) > _CHANGED_PART:
                chosen.append(one)
                last = small
        return chosen


def merged(pictures: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of pictures of one scene, each once; at most 500.

    A line that a later picture adds stands behind the line that it follows there, or before the one that it precedes;
    a picture that shares none with those before comes after them. Of two readings of a line the longer is kept.
    """
    told: list[_Line] = []
    for lines in pictures:
        _merge(told, [_Line(line, _bare(line)) for line in lines[:_MOST_LINES]])
    return [line.text for line in told[:_MOST_LINES]]


@dataclass(slots=True, eq=False)
class _Line:
    text: str
    bare: str


def _merge(told: list[_Line], lines: Sequence[_Line]) -> None:
    """Put the lines of one picture to those of the pictures before; no two of its own lines are taken for one."""
    known, waiting = list(told[:_MOST_LINES]), list[_Line]()
    after: int | None = None
    for line in lines:
        same = next((one for one in known if _is_same(one, line)), None)
        if same is not None:
            known.remove(same)
            place = told.index(same)
            told[place:place] = waiting
            after = place + len(waiting)
            waiting = []
            if len(line.bare) > len(same.bare):
                same.text, same.bare = line.text, line.bare
        elif after is not None:
            after += 1
            told.insert(after, line)
        else:
            waiting.append(line)
    told += waiting


def _is_same(one: _Line, other: _Line) -> bool:
    """Whether two lines are readings of one: a letter may be taken for another, an end may be hidden."""
    if not one.bare or not other.bare:
        return one.text == other.text
    if one.bare == other.bare:
        return True
    short, long = sorted((one.bare, other.bare), key=len)
    if len(short) >= _SURE_PART and short in long:
        return True
    if len(short) < len(long) * _ALIKE or _digits(short) != _digits(long):
        return False
    matcher = SequenceMatcher(None, short, long, autojunk=False)
    return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _bare(line: str) -> str:
    return "".join(character for character in line.casefold() if character.isalnum())[:_COMPARED_CHARACTERS]


def _digits(bare: str) -> str:
    return "".join(character for character in bare if character.isdigit())
