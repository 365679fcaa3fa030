"""Reads the strips of bands, piece by piece, and drops what a ticker says again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.ocr import read_lines
from prismhouse.engine.extractors.scrolling.motion import Grey

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_strip", "without_repeats"]

_PIECE_PIXELS, _SEARCHED_PIXELS = 900, 300
_MARGIN_PIXELS = 24
_QUIET_LEVELS = 6.0
_LEAST_WORDS = 3
_ALIKE = 0.8


def read_strip(strip: Grey, resources: Resources) -> str:
    """Return what is written in a strip, `(height, width)` grey levels."""
    words = [" ".join(read_lines(_picture(piece), resources)) for piece in _pieces(strip)]
    return " ".join(word for word in words if word)


def without_repeats(text: str) -> str:
    """Return one round of a ticker that goes round: what is said from the first word on, until it begins again."""
    words = text.split()
    for period in range(_LEAST_WORDS, len(words) - _LEAST_WORDS + 1):
        again = words[period:]
        same = sum(one == other for one, other in zip(words, again, strict=False))
        if same >= _ALIKE * len(again) and words[0] == again[0]:
            return " ".join(words[:period])
    return text


def _pieces(strip: Grey) -> Iterator[Grey]:
    """Yield parts that a model reads well, cut where the widest gap between words is."""
    start, width = 0, strip.shape[1]
    while width - start > _PIECE_PIXELS + _SEARCHED_PIXELS:
        searched = strip[:, start + _PIECE_PIXELS - _SEARCHED_PIXELS : start + _PIECE_PIXELS]
        end = start + _PIECE_PIXELS - _SEARCHED_PIXELS + _gap(searched)
        yield strip[:, start:end]
        start = end
    if width > start:
        yield strip[:, start:]


def _gap(part: Grey) -> int:
    """Return the middle of the widest run of columns without writing, or the emptiest column."""
    ink = part.std(axis=0)
    best, run = (0, int(ink.argmin())), 0
    for place, is_quiet in enumerate([*(ink <= ink.min() + _QUIET_LEVELS), False]):
        if is_quiet:
            run += 1
            continue
        best = max(best, (run, place - run // 2 - 1)) if run else best
        run = 0
    return max(1, best[1])


def _picture(piece: Grey) -> Image:
    from PIL import Image

    level = float(np.median(np.concatenate([piece[0], piece[-1]])))
    framed = np.pad(piece, _MARGIN_PIXELS, constant_values=level)
    return Image.fromarray(np.clip(framed, 0, 255).astype(np.uint8)).convert("RGB")
