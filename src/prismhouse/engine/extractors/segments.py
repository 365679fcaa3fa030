"""Pictures of a video, as they come, fall into segments; nothing is known of what comes later."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.film import FilmFrame
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.shots import ShotDetector

__all__ = ["Begins", "Segment", "Segmenter", "at_scenes", "at_times", "check_segments", "every", "spans"]

Begins = Callable[[FilmFrame], bool]
_EARLY_SECONDS = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a video: pictures start_frame <= n < end_frame, seconds start <= t < end."""

    number: int
    start: float
    end: float
    start_frame: int
    end_frame: int


class Segmenter:
    """Says which segment each picture belongs to.

    Args:
        begins: whether a picture begins a new segment; asked for every picture, in order.
        longest: seconds after which a segment is ended; None for no bound.
    """

    def __init__(self, begins: Begins, *, longest: float | None = None) -> None:
        self._begins = begins
        self._longest = longest
        self._open: Segment | None = None

    def take(self, frame: FilmFrame) -> tuple[bool, Segment | None]:
        """Return whether the picture is the first of a segment, and the segment that it ended."""
        begins = self._begins(frame)
        held = self._open
        if held is not None and not begins and not self._is_full(held, frame.time):
            return False, None
        ended = None if held is None else replace(held, end=frame.time, end_frame=frame.number)
        self._open = Segment(
            number=0 if held is None else held.number + 1,
            start=frame.time,
            end=frame.time,
            start_frame=frame.number,
            end_frame=frame.number,
        )
        return True, ended

    def close(self, end: float, end_frame: int) -> Segment | None:
        """Return the segment that the end of the video ends."""
        return None if self._open is None else replace(self._open, end=end, end_frame=end_frame)

    def _is_full(self, held: Segment, time: float) -> bool:
        return self._longest is not None and time - held.start >= self._longest - _EARLY_SECONDS


def every(seconds: float) -> Begins:
    """Begin a segment at each multiple of `seconds`."""
    last = 0

    def begins(frame: FilmFrame) -> bool:
        nonlocal last
        place = int((frame.time + _EARLY_SECONDS) / seconds)
        last, moved = place, place > last
        return moved

    return begins


def at_times(times: Sequence[float]) -> Begins:
    """Begin a segment at each of these times, given in order."""
    last = 0

    def begins(frame: FilmFrame) -> bool:
        nonlocal last
        place = bisect_right(times, frame.time + _EARLY_SECONDS)
        last, moved = place, place > last
        return moved

    return begins


def at_scenes(threshold: float) -> Begins:
    """Begin a segment at each shot."""
    return ShotDetector(threshold).begins


def check_segments(count: int, limits: MediaLimits) -> None:
    """Raise MediaFault for more segments than one file may become."""
    if count > limits.segments:
        message = f"The file becomes more than {limits.segments} segments."
        raise MediaFault("too_many_segments", f"{message} Make them longer, or raise PRISMHOUSE_MEDIA__SEGMENTS.")


def spans(seconds: float, cuts: Sequence[float], *, longest: float | None) -> list[tuple[float, float]]:
    """Return from when to when the segments of a sound go that is cut at these times, and wherever one is too long."""
    bounds = [0.0, *(cut for cut in cuts if 0 < cut < seconds), seconds]
    made: list[tuple[float, float]] = []
    for start, end in pairwise(bounds):
        begin = start
        while longest is not None and end - begin > longest + _EARLY_SECONDS:
            made.append((round(begin, 6), round(begin + longest, 6)))
            begin += longest
        if end - begin > _EARLY_SECONDS:
            made.append((round(begin, 6), round(end, 6)))
    return made
