"""Text with time stamps (SRT, VTT, or lines that begin with a time) becomes segments of equal length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from prismhouse.engine.extractors.spans import Chunk, check_count, trimmed
from prismhouse.engine.media.errors import MediaFault

__all__ = ["Cue", "cues_of", "split_timed"]

_TIME = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)(?:[.,](\d{1,3}))?"
_CUE = re.compile(rf"^[^\S\n]*{_TIME}[^\S\n]*-->[^\S\n]*{_TIME}[^\n]*$", re.MULTILINE)
_STAMP = re.compile(rf"^[^\S\n]*[\[(]?{_TIME}[\])]?(?:[^\S\n]*[-:|][^\S\n]|[^\S\n]+|$)", re.MULTILINE)
_CUE_NAME = re.compile(r"\n[^\S\n]*\n[^\n]*\n?\Z")
_MARKUP = re.compile(r"</?[a-zA-Z][^<>\n]*>|<\d[\d:.]*>|\{\\[^{}\n]*\}")


@dataclass(frozen=True, slots=True)
class Cue:
    """Words with their time; `end_ms` is None where it is not told. `start` and `end` are places in the source."""

    start_ms: int
    end_ms: int | None
    text: str
    start: int
    end: int


def split_timed(text: str, segment_seconds: int, overlap_seconds: int = 0) -> list[Chunk]:
    """Return segments of `segment_seconds`, each starting that less the overlap after the one before.

    A cue belongs to every segment in which it starts. Segments without words are left out. `start` and `end` are
    those of the first and last cue in the source.

    Raises:
        MediaFault: the text has no time stamps.
    """
    cues = list(cues_of(text))
    if not cues:
        message = (
            "split_by=time_segments needs time stamps: SRT or VTT cues, or lines that begin with [00:01:30]. "
            "This text has none. Choose another split_by."
        )
        raise MediaFault("no_time_stamps", message)
    length, step = segment_seconds * 1000, (segment_seconds - overlap_seconds) * 1000
    segments: dict[int, list[Cue]] = {}
    check_count(len(cues) * max(1, length // step))
    for cue in cues:
        last = cue.start_ms // step
        first = max(0, (cue.start_ms - length) // step + 1)
        for place in range(first, last + 1):
            segments.setdefault(place, []).append(cue)
    ordered = sorted(segments.items())
    return [_chunk(held, index, len(ordered)) for index, (_, held) in enumerate(ordered)]


def _chunk(cues: list[Cue], index: int, total: int) -> Chunk:
    ends = [cue.end_ms if cue.end_ms is not None else cue.start_ms for cue in cues]
    fields = {
        "start_ms": min(cue.start_ms for cue in cues),
        "end_ms": max(ends),
        "segment_index": index,
        "total_segments": total,
    }
    joined = " ".join(cue.text for cue in cues)
    return Chunk(text=joined, start=min(c.start for c in cues), end=max(c.end for c in cues), fields=fields)


def cues_of(text: str) -> Iterator[Cue]:
    """Yield the cues of SRT or VTT, or of lines that begin with a time, in the order of the source; no empty ones."""
    marks = list(_CUE.finditer(text))
    exact = bool(marks)
    marks = marks or list(_STAMP.finditer(text))
    if marks and not exact and (preface := trimmed(text, 0, marks[0].start())) is not None:
        yield Cue(0, None, " ".join(text[slice(*preface)].split()), *preface)
    for mark, following in zip(marks, [*marks, None][1:], strict=True):
        end = following.start() if following else len(text)
        if exact and following and (name := _CUE_NAME.search(text, mark.end(), end)):
            end = name.start()
        span = trimmed(text, mark.end(), end)
        words = " ".join(_MARKUP.sub("", text[slice(*span)]).split()) if span else ""
        if span and words:
            stop = _milliseconds(mark, 5) if exact else _milliseconds(following, 1) if following else None
            yield Cue(_milliseconds(mark, 1), stop, words, *span)


def _milliseconds(mark: re.Match[str], first: int) -> int:
    hours, minutes, seconds, fraction = (mark[first + place] or "0" for place in range(4))
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0"))
