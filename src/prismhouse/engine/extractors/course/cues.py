"""Subtitles become words with times. Files of SRT are taken as they are found: any line ends, VTT too, out of order."""

from __future__ import annotations

from prismhouse.engine.extractors.port import Part
from prismhouse.engine.extractors.rows import read_bytes, read_text
from prismhouse.engine.extractors.timed import cues_of
from prismhouse.engine.inference.port import Speech, Word
from prismhouse.engine.media.errors import MediaFault

__all__ = ["subtitles"]

_MOST_CUES = 50_000
_MOST_SHOWN_SECONDS = 3600.0


def subtitles(part: Part) -> Speech:
    """Return what subtitles say, in the order of time; raise MediaFault: no_time_stamps, too_many_cues."""
    if part.data is None and part.path is None and part.text is not None and "-->" not in part.text:
        read_bytes(part)  # an address stands for a file that was never fetched
    text = read_text(part).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "-->" not in text:
        message = "The subtitles hold no time such as `00:00:01,000 --> 00:00:04,000`. Give SRT or VTT."
        raise MediaFault("no_time_stamps", message)
    words = []
    for number, cue in enumerate(cues_of(text)):
        if number >= _MOST_CUES:
            raise MediaFault("too_many_cues", f"There are more than {_MOST_CUES} subtitles. Split the file.")
        start = cue.start_ms / 1000
        told = start if cue.end_ms is None else cue.end_ms / 1000
        end = min(max(start, told), start + _MOST_SHOWN_SECONDS)
        words.append(Word(text=f" {cue.text}", start=start, end=end))
    if not words:
        raise MediaFault("no_time_stamps", "The subtitles hold times but no words. Give SRT or VTT with text.")
    return Speech(words=sorted(words, key=lambda one: (one.start, one.end)), language=None)
