"""Follows moving rows through a video. What passes a column is put side by side, so that a ticker becomes one strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from prismhouse.engine.extractors.scrolling.motion import Grey, Moving, Rule, Sample, find_moving, shift_between

__all__ = ["Band", "BandFinder"]

_PAIRS = 12
"""Pairs of pictures that are looked at together: a ticker may begin and end at any time."""

_LEAST_SAMPLES = 4
_SAME_ROWS = 0.5
_SAME_SPEED = 0.25
_NEAR = (-2, -1, 0, 1, 2)


@dataclass(slots=True, eq=False)
class Band:
    """Rows top <= y < bottom in which writing passes, in pixels of the pictures that were compared.

    Attributes:
        speed: pixels a second, to the right where it is positive.
        travelled: pixels that went by.
        slit: the column at which what passes is taken.
        passages: strips of what passed while it moved without a pause, in order.
    """

    top: int
    bottom: int
    speed: float
    start: float
    end: float
    slit: int = 0
    travelled: int = 0
    passages: list[Grey] = field(default_factory=list)
    is_open: bool = False
    _passed: list[Grey] = field(default_factory=list)
    _behind: Grey | None = None

    def begin(self, found: Moving, samples: Sequence[Sample]) -> None:
        """Begin a passage with what is past the slit already: content that moves left has passed it on the left."""
        reach = max(abs(round(found.speed * (after.time - before.time))) for before, after in pairwise(samples))
        middle = (found.left + found.right) // 2
        if found.speed < 0:
            self.slit = max(found.left, min(middle, found.right - reach))
        else:
            self.slit = min(found.right, max(middle, found.left + reach))
        self.is_open = True
        self._passed = [self._cut(samples[0], found.left, self.slit, found.speed < 0, found.right)]

    def follow(self, found: Moving, samples: Sequence[Sample]) -> None:
        """Add what passes the slit between each two pictures."""
        rows, side = slice(found.top, found.bottom), slice(found.left, found.right)
        for before, after in pairwise(samples):
            expected = round(found.speed * (after.time - before.time))
            candidates = [0, *(expected + step for step in _NEAR)]
            shift = abs(shift_between(before.grey[rows, side], after.grey[rows, side], candidates))
            left = self.slit if found.speed < 0 else self.slit - shift
            self._passed.append(before.grey[self.top : self.bottom, max(0, left) : left + shift].copy())
            self.travelled += shift
        last = samples[-1]
        self.speed, self.end = found.speed, last.time
        self._behind = self._cut(last, found.left, self.slit, found.speed > 0, found.right)

    @property
    def width(self) -> int:
        """How many pixels side by side are kept of it: each passage brings those that were in view at its ends."""
        behind = [] if self._behind is None else [self._behind]
        return sum(piece.shape[1] for piece in (*self.passages, *self._passed, *behind))

    def finish(self) -> None:
        """End the passage with what has not come to the slit."""
        if not self.is_open:
            return
        made = [*self._passed, *([self._behind] if self._behind is not None else ())]
        self.passages.append(np.concatenate(made if self.speed < 0 else made[::-1], axis=1))
        self._passed, self._behind, self.is_open = [], None, False

    def _cut(self, sample: Sample, left: int, slit: int, is_left: bool, right: int) -> Grey:
        columns = slice(left, slit) if is_left else slice(slit, right)
        return sample.grey[self.top : self.bottom, columns].copy()


class BandFinder:
    """Takes pictures in order, holds few of them, and gives the bands at the end.

    Args:
        rule: what counts as movement.
        pad: rows kept above and below.
        most_width: pixels that may be kept of all bands together; `is_cut` tells whether there were more.
    """

    def __init__(self, rule: Rule, *, pad: int, most_width: int) -> None:
        self._rule = rule
        self._pad = pad
        self._most_width = most_width
        self._samples: list[Sample] = []
        self._bands: list[Band] = []
        self.is_cut = False

    def take(self, sample: Sample) -> None:
        """Note the next picture."""
        if self.is_cut:
            return
        self._samples.append(sample)
        if len(self._samples) > 2 * _PAIRS:
            self._look(self._samples[: _PAIRS + 1])
            del self._samples[:_PAIRS]

    def close(self) -> list[Band]:
        """Return the bands that there were, in the order in which they began, from top to bottom."""
        if len(self._samples) >= _LEAST_SAMPLES and not self.is_cut:
            self._look(self._samples)
        for band in self._bands:
            band.finish()
        kept = [band for band in self._bands if band.travelled >= 2 * self._rule.strip_height]
        return sorted(kept, key=lambda band: (band.start, band.top))

    def _look(self, samples: Sequence[Sample]) -> None:
        going = [self._followed(found, samples) for found in find_moving(samples, self._rule)]
        for band in self._bands:
            if band not in going:
                band.finish()
        self.is_cut = sum(band.width for band in self._bands) > self._most_width

    def _followed(self, found: Moving, samples: Sequence[Sample]) -> Band:
        band = next((one for one in self._bands if _is_same(one, found)), None)
        if band is None:
            height = samples[0].grey.shape[0]
            top, bottom = max(0, found.top - self._pad), min(height, found.bottom + self._pad)
            band = Band(top, bottom, found.speed, samples[0].time, samples[0].time)
            self._bands.append(band)
        if not band.is_open:
            band.begin(found, samples)
        band.follow(found, samples)
        return band


def _is_same(band: Band, found: Moving) -> bool:
    shared = min(band.bottom, found.bottom) - max(band.top, found.top)
    if shared < _SAME_ROWS * (found.bottom - found.top) or band.speed * found.speed < 0:
        return False
    return abs(band.speed - found.speed) <= _SAME_SPEED * abs(band.speed)
