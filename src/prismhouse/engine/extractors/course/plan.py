"""Where the segments of a video end: near the target, at a cut where there is one, and never much too short."""

from __future__ import annotations

__all__ = ["Planner", "Span"]

Span = tuple[float, float]

_EARLY_SECONDS = 1e-6


class Planner:
    """Is told of cuts and of time as it passes, and gives the segments, which follow each other without a gap.

    A segment ends at the last cut that lies between `least` and `target` seconds after its start, else at `target`.
    What is left at the end goes to the segment before it where it is shorter than `least`: so a segment is held back
    until the next one is long enough.

    Args:
        target: seconds of a segment at most, but for the last one.
        least: seconds of a segment at least, unless all is shorter; at most `target`.
    """

    def __init__(self, target: float, least: float) -> None:
        self._target, self._least = target, least
        self._start = 0.0
        self._cuts: list[float] = []
        self._held: Span | None = None

    def cut(self, time: float) -> None:
        """Note a place where a segment may well end; times grow."""
        self._cuts.append(time)

    def reached(self, time: float) -> list[Span]:
        """Return the segments that are settled when the video has come to a time."""
        settled: list[Span] = []
        while time >= self._start + self._target - _EARLY_SECONDS:
            latest = self._start + self._target
            fitting = [one for one in self._cuts if self._start + self._least <= one <= latest]
            settled += self._end(max(fitting, default=round(latest, 6)))
        return settled

    def close(self, end: float) -> list[Span]:
        """Return the remaining segments of a video that ends then."""
        settled = self.reached(end)
        if end - self._start > _EARLY_SECONDS:
            if self._held is not None and end - self._start < self._least:
                self._held = (self._held[0], end)
            else:
                settled += self._end(end)
        if self._held is not None:
            settled.append(self._held)
            self._held = None
        return settled

    def _end(self, time: float) -> list[Span]:
        settled = [] if self._held is None else [self._held]
        self._held = (self._start, time)
        self._start = time
        self._cuts = [one for one in self._cuts if one > time]
        return settled
