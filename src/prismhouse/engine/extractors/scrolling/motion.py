"""Rows of a video that move sideways, all alike: found by correlation of strips, and proved on the pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["Grey", "Moving", "Rule", "Sample", "find_moving", "shift_between"]

Grey = npt.NDArray[np.float32]

_CHANGED_LEVELS = 16.0
"""Grey levels by which a pixel has to change to count: noise and compression change it by less."""

_EXPLAINED = 0.6
"""What may remain of the change when a picture is moved along, where the strip really moves."""

_LEAST_CHANGED = 0.004
_EVEN = 64
"""Widths are rounded up to a multiple of it: lengths of small factors are transformed fast."""

_LEAST_PAIRS = 3
_WIDEST_SHIFT = 0.5
_TOLERANCE_PIXELS = 1.5
_TOLERANCE = 0.1
_FEW = 0.05
_TALLEST = 0.35
"""Part of the picture's height: what is taller is a camera that turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The parameters, in pixels of the pictures that are compared."""

    strip_height: int
    min_shift: float
    consistency: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture as `(height, width)` float32 grey levels, and its time in seconds."""

    time: float
    grey: Grey


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """Rows top <= y < bottom move by `speed` pixels a second, to the right where that is positive.

    `left` and `right` bound the columns in which they are seen to move.
    """

    top: int
    bottom: int
    left: int
    right: int
    speed: float


@dataclass(frozen=True, slots=True)
class _Pair:
    before: Grey
    after: Grey
    seconds: float

    def changing(self, tops: Sequence[int], strip: int) -> list[bool]:
        """Say of each strip whether enough of it changes."""
        counts = (np.abs(self.after - self.before) > _CHANGED_LEVELS).sum(axis=1)
        width = self.after.shape[1]
        return [bool(counts[top : top + strip].mean() > _LEAST_CHANGED * width) for top in tops]


def find_moving(samples: Sequence[Sample], rule: Rule) -> list[Moving]:
    """Return the bands of rows that move alike in these pictures, from top to bottom. Three pictures at least."""
    tops = _tops(samples[0].grey.shape[0], rule.strip_height)
    pairs = [_Pair(before.grey, after.grey, after.time - before.time) for before, after in pairwise(samples)]
    changing = np.array([pair.changing(tops, rule.strip_height) for pair in pairs])
    # Where a picture stands there is nothing to compare: that is most of a broadcast or a lecture.
    places = np.flatnonzero(changing.sum(axis=0) >= _LEAST_PAIRS)
    if not len(places):
        return []
    spans = [slice(tops[place], tops[place] + rule.strip_height) for place in places]
    shifts = np.stack(list(_shifts(samples, spans, rule)))
    speeds: list[float | None] = [None] * len(tops)
    for number, (place, rows) in enumerate(zip(places, spans, strict=True)):
        chosen = np.flatnonzero(changing[:, place])
        given = [pairs[one] for one in chosen]
        speed = _common(shifts[chosen, number], given, rule.consistency)
        if speed is not None and _is_proved(given, rows, speed):
            speeds[place] = speed
    found = [_outlined(pairs, group, rule) for group in _groups(tops, speeds)]
    return _apart([one for one in found if one is not None])


def shift_between(before: Grey, after: Grey, candidates: Sequence[int]) -> int:
    """Return which shift to the right makes `after` of `before` best."""

    def left(shift: int) -> float:
        new, old = _sides(before.shape[1], shift)
        return float(np.abs(after[:, new] - before[:, old]).mean())

    return min(candidates, key=left)


def _tops(height: int, strip: int) -> list[int]:
    """Return where strips begin, half of them overlapping, the last at the lower edge."""
    last = max(0, height - strip)
    return sorted({*range(0, last, max(1, strip // 2)), last})


def _shifts(samples: Sequence[Sample], spans: Sequence[slice], rule: Rule) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the likeliest shift of each strip between neighbours, of those that are large enough.

    The spectra of a strip's rows are multiplied and summed, so that the rows vote together.
    """
    height, width = samples[0].grey.shape
    size = 2 * _EVEN * -(-width // _EVEN)
    far = max(1, int(width * _WIDEST_SHIFT))
    near = max(1, int(np.ceil(rule.min_shift)))
    lags = np.concatenate([np.arange(-far, -near + 1), np.arange(near, far + 1)])
    held = np.zeros(height, bool)
    for span in spans:
        held[span] = True
    # Where the rows of a strip are among those that are transformed.
    before_it = np.concatenate([[0], np.cumsum(held)])
    among = [slice(before_it[span.start], before_it[min(span.stop, height)]) for span in spans]
    before = _spectrum(samples[0].grey[held], size)
    for sample in samples[1:]:
        after = _spectrum(sample.grey[held], size)
        crossed = after * before.conj()
        summed = np.stack([crossed[rows].sum(axis=0) for rows in among])
        matched = np.fft.irfft(summed / (np.abs(summed) + 1e-6), n=size, axis=1)[:, lags]
        yield lags[matched.argmax(axis=1)].astype(np.float64)
        before = after


def _spectrum(grey: Grey, size: int) -> npt.NDArray[np.complex64]:
    edges = np.diff(grey, axis=1)
    made: npt.NDArray[np.complex64] = np.fft.rfft(edges, n=size, axis=1).astype(np.complex64, copy=False)
    return made


def _common(shifts: npt.NDArray[np.float64], pairs: Sequence[_Pair], least: float) -> float | None:
    """Return the speed that most pairs agree with, when enough do."""
    if len(pairs) < _LEAST_PAIRS:
        return None
    seconds = np.array([pair.seconds for pair in pairs])
    speeds = shifts / seconds
    allowed = np.maximum(_TOLERANCE_PIXELS / seconds, _TOLERANCE * np.abs(speeds))
    agree = np.abs(speeds[:, None] - speeds[None, :]) <= allowed[:, None]
    best = int(agree.sum(axis=1).argmax())
    if agree[best].mean() < least:
        return None
    return float(np.median(speeds[agree[best]]))


def _groups(tops: Sequence[int], speeds: Sequence[float | None]) -> Iterator[tuple[int, int, float]]:
    """Yield the first and the last top of neighbouring strips that move alike, and their speed."""
    held: list[tuple[int, float]] = []
    for top, speed in [*zip(tops, speeds, strict=True), (0, None)]:
        if held and (speed is None or abs(speed - held[-1][1]) > 2 * _TOLERANCE * abs(held[-1][1])):
            yield held[0][0], held[-1][0], float(np.median([one for _, one in held]))
            held = []
        if speed is not None:
            held.append((top, speed))


def _is_proved(pairs: Sequence[_Pair], rows: slice, speed: float) -> bool:
    """Whether moving a picture along explains most of what changes until the next.

    A pixel counts that changed where it is, or where it comes from: what vanishes without coming out elsewhere did not
    move.
    """
    changed_by = left = 0.0
    for pair in pairs:
        before, after = pair.before[rows], pair.after[rows]
        still = np.abs(after - before)
        changed = still > _CHANGED_LEVELS
        shift = _nearest(before, after, speed * pair.seconds)
        new, old = _sides(before.shape[1], shift)
        moved = np.abs(after[:, new] - before[:, old])
        changed_by += float(still[:, new][changed[:, new]].sum())
        left += float(moved[changed[:, new] | changed[:, old]].sum())
    return changed_by > 0 and left <= _EXPLAINED * changed_by


def _outlined(pairs: Sequence[_Pair], group: tuple[int, int, float], rule: Rule) -> Moving | None:
    """Return the rows and columns that move: those in which moving a picture along explains the change."""
    height, width = pairs[0].before.shape
    first, last, speed = group
    top, bottom = max(0, first - rule.strip_height // 2), min(height, last + rule.strip_height * 3 // 2)
    gain = np.zeros((bottom - top, width))
    for pair in pairs:
        before, after = pair.before[top:bottom], pair.after[top:bottom]
        still = np.abs(after - before)
        new, old = _sides(width, _nearest(before, after, speed * pair.seconds))
        moved = np.abs(after[:, new] - before[:, old])
        gain[:, new] += np.where(still[:, new] > _CHANGED_LEVELS, still[:, new] - moved, 0)
    rows, columns = _extent(gain.sum(axis=1)), _extent(gain.sum(axis=0))
    if rows is None or columns is None or rows[1] - rows[0] > _TALLEST * height:
        return None
    return Moving(top=top + rows[0], bottom=top + rows[1], left=columns[0], right=columns[1], speed=speed)


def _extent(gain: npt.NDArray[np.float64]) -> tuple[int, int] | None:
    if not len(gain) or gain.max() <= 0:
        return None
    places = np.flatnonzero(gain > _FEW * gain.max())
    return int(places[0]), int(places[-1]) + 1


def _apart(found: Sequence[Moving]) -> list[Moving]:
    """Return bands that share no row: of two that do, the one of more rows."""
    kept: list[Moving] = []
    for one in sorted(found, key=lambda one: one.top - one.bottom):
        if all(one.bottom <= other.top or one.top >= other.bottom for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.top)


def _nearest(before: Grey, after: Grey, shift: float) -> int:
    """Return the shift, to a pixel more or less, that makes `after` of `before` best."""
    return shift_between(before, after, [round(shift) + step for step in (-1, 0, 1)])


def _sides(width: int, shift: int) -> tuple[slice, slice]:
    """Return the columns that hold something from before, and where they were then."""
    shift = max(1 - width, min(width - 1, shift))
    return slice(max(0, shift), width + min(0, shift)), slice(max(0, -shift), width - max(0, shift))
