"""Writing in pictures: lines as a model reads them, and what several pictures of one scene say together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import WritingModel
from prismhouse.engine.inference.registry import PP_OCR
from prismhouse.engine.media.text import storable

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LONGEST_SIDE", "merged", "read_lines"]

LONGEST_SIDE = 2000
"""Pixels of the longer side of a picture that is read: what the model's detector sees at most."""

_ALIKE = 0.8
_SURE_PART = 8
_MOST_LINES = 500
_COMPARED_CHARACTERS = 200


def read_lines(image: Image, resources: Resources) -> list[str]:
    """Return the lines written in an upright RGB picture, from top to bottom, each row from left to right."""
    from PIL.Image import Resampling

    model: WritingModel = loaded(PP_OCR, threads=resources.threads, cache_dir=resources.cache_dir)
    if max(image.size) > LONGEST_SIDE:
        image = image.copy()
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Resampling.LANCZOS)
    return [storable(line.text) for line in model.read(image)]


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
