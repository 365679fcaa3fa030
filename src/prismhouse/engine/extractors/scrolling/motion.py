"""Rows of a video that move sideways, all alike: found by correlation of strips, and proved on the pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Grey", "Moving", "Rule", "Sample", "find_moving", "shift_between"]

Grey = npt.NDArray[np.float32]

_CHANGED_LEVELS = 16.0
"""Grey levels by which a pixel has to change to count: noise and compression change it by less."""

_EXPLAINED = 0.6
"""What may remain of the change when a picture is moved along, where the strip really moves."""

_LEAST_CHANGED = 0.004
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


def find_moving(samples: Sequence[Sample], rule: Rule) -> list[Moving]:
    """Return the bands of rows that move alike in these pictures, from top to bottom. Three pictures at least."""
    tops = _tops(samples[0].grey.shape[0], rule.strip_height)
    seconds = np.diff([one.time for one in samples])
    shifts = np.stack(list(_shifts(samples, tops, rule)))
    speeds = [_common(shifts[:, place] / seconds, seconds, rule.consistency) for place in range(len(tops))]
    proved = [
        None if speed is None or not _is_proved(samples, seconds, slice(top, top + rule.strip_height), speed) else speed
        for top, speed in zip(tops, speeds, strict=True)
    ]
    found = [_outlined(samples, seconds, group, rule) for group in _groups(tops, proved)]
    return _apart([one for one in found if one is not None])


def shift_between(before: Grey, after: Grey, candidates: Sequence[int]) -> int:
    """Return which shift to the right makes `after` of `before` best."""
    return min(candidates, key=lambda shift: float(np.abs(_moved(before, after, shift)).mean()))


def _tops(height: int, strip: int) -> list[int]:
    """Return where strips begin, half of them overlapping, the last at the lower edge."""
    last = max(0, height - strip)
    return sorted({*range(0, last, max(1, strip // 2)), last})


def _shifts(samples: Sequence[Sample], tops: Sequence[int], rule: Rule) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the likeliest shift of each strip between neighbours, of those that are large enough.

    The spectra of a strip's rows are multiplied and summed, so that the rows vote together.
    """
    width = samples[0].grey.shape[1]
    size = 1 << (2 * width - 1).bit_length()
    far = max(1, int(width * _WIDEST_SHIFT))
    near = max(1, int(np.ceil(rule.min_shift)))
    lags = np.concatenate([np.arange(-far, -near + 1), np.arange(near, far + 1)])
    before = _spectrum(samples[0].grey, size)
    for sample in samples[1:]:
        after = _spectrum(sample.grey, size)
        crossed = np.cumsum(after * before.conj(), axis=0)
        summed = np.stack([crossed[min(top + rule.strip_height, len(crossed)) - 1] - crossed[top] for top in tops])
        matched = np.fft.irfft(summed / (np.abs(summed) + 1e-6), n=size, axis=1)[:, lags]
        yield lags[matched.argmax(axis=1)].astype(np.float64)
        before = after


def _spectrum(grey: Grey, size: int) -> npt.NDArray[np.complex64]:
    edges = np.diff(grey, axis=1)
    made: npt.NDArray[np.complex64] = np.fft.rfft(edges, n=size, axis=1).astype(np.complex64)
    return made


def _common(speeds: npt.NDArray[np.float64], seconds: npt.NDArray[np.float64], least: float) -> float | None:
    """Return the speed that most agree with, when enough do."""
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


def _is_proved(samples: Sequence[Sample], seconds: npt.NDArray[np.float64], rows: slice, speed: float) -> bool:
    """Whether moving a picture along explains most of what changes until the next."""
    changed_by = left = 0.0
    pixels = 0
    for before, after, elapsed in zip(samples[:-1], samples[1:], seconds, strict=True):
        first, second = before.grey[rows], after.grey[rows]
        still = np.abs(second - first)
        changed = still > _CHANGED_LEVELS
        moved = _still_different(first, second, speed * elapsed)
        changed_by += float(still[changed].sum())
        left += float(moved[changed].sum())
        pixels += int(changed.sum())
    size = samples[0].grey[rows].size * len(seconds)
    return pixels >= _LEAST_CHANGED * size and left <= _EXPLAINED * changed_by


def _outlined(
    samples: Sequence[Sample], seconds: npt.NDArray[np.float64], group: tuple[int, int, float], rule: Rule
) -> Moving | None:
    """Return the rows and columns that move: those in which moving a picture along explains the change."""
    height, width = len(samples[0].grey), samples[0].grey.shape[-1]
    first, last, speed = group
    top, bottom = max(0, first - rule.strip_height // 2), min(height, last + rule.strip_height * 3 // 2)
    gain = np.zeros((bottom - top, width))
    for before, after, elapsed in zip(samples[:-1], samples[1:], seconds, strict=True):
        one, other = before.grey[top:bottom], after.grey[top:bottom]
        still = np.abs(other - one)
        moved = _still_different(one, other, speed * elapsed)
        gain += np.where(still > _CHANGED_LEVELS, still - moved, 0)
    rows, columns = _extent(gain.sum(axis=1)), _extent(gain.sum(axis=0))
    if rows is None or columns is None or rows[1] - rows[0] > _TALLEST * height:
        return None
    return Moving(top=top + rows[0], bottom=top + rows[1], left=columns[0], right=columns[1], speed=speed)


def _extent(gain: npt.NDArray[np.float64]) -> tuple[int, int] | None:
    places = np.flatnonzero(gain > _FEW * gain.max()) if len(gain) and gain.max() > 0 else ()
    return (int(places[0]), int(places[-1]) + 1) if len(places) else None


def _apart(found: Sequence[Moving]) -> list[Moving]:
    """Return bands that share no row: of two that do, the one of more rows."""
    kept: list[Moving] = []
    for one in sorted(found, key=lambda one: one.top - one.bottom):
        if all(one.bottom <= other.top or one.top >= other.bottom for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.top)


def _still_different(before: Grey, after: Grey, shift: float) -> Grey:
    """Return how much each pixel of `after` differs from `before` moved by the shift, to a pixel more or less."""
    near = [np.abs(_moved(before, after, round(shift) + step, full=True)) for step in (-1, 0, 1)]
    best: Grey = min(near, key=lambda one: float(one.sum()))
    return best


def _moved(before: Grey, after: Grey, shift: int, *, full: bool = False) -> Grey:
    """Return the difference where both have the pixel; with `full`, that of standing still elsewhere."""
    width = before.shape[1]
    shift = max(1 - width, min(width - 1, shift))
    new, old = slice(max(0, shift), width + min(0, shift)), slice(max(0, -shift), width - max(0, shift))
    moved: Grey = after[:, new] - before[:, old]
    if not full:
        return moved
    whole: Grey = after - before
    whole[:, new] = moved
    return whole
