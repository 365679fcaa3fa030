"""Videos made for measurements: lectures with slides and speech, and broadcasts with a ticker at the lower edge.

Each is encoded once; a note at the end of the file tells copies apart.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tests.photos import photos
from tests.speech import clips
from tests.tickers import Ticker, broadcast
from tests.written import slide

from bench.texts import sentences

__all__ = ["SLIDE_SECONDS", "TICKER", "lectures", "noted", "tickers"]

SLIDE_SECONDS = 10
_SLIDES = 2
_FPS = 25
_LECTURE = (854, 480)
_RATE = 16_000
_LINES, _LETTERS_OF_A_LINE = 7, 48


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ticker:
    width: int
    height: int
    top: int
    bottom: int
    speed: int


TICKER = _Ticker(width=640, height=360, top=300, bottom=340, speed=160)
"""Size of the broadcasts in pixels, where the ticker is, and pixels a second."""


def lectures(count: int, seed: int) -> list[bytes]:
    """Return MP4 of 20 s, 854 x 480, 25 pictures a second: two slides, and English speech."""
    return [noted(_lecture(number % 2), f"{seed}-{number}") for number in range(count)]


def tickers(count: int, seed: int) -> list[bytes]:
    """Return MP4 of about 15 s, 640 x 360, 25 pictures a second: a photo, a name that stands, and a ticker."""
    return [noted(_broadcast(number % 3), f"{seed}-{number}") for number in range(count)]


def noted(film: bytes, note: str) -> bytes:
    """Return an MP4 with a note that players pass over."""
    content = note.encode()
    return film + struct.pack(">I4s", 8 + len(content), b"free") + content


@cache
def _broadcast(kind: int) -> bytes:
    shown = list(photos().values())[kind]
    words = " ".join(sentences()[200 * kind + 5 :][:12])[:100].rpartition(" ")[0]
    ticker = Ticker(words=words, speed=TICKER.speed, top=TICKER.top)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "broadcast.mp4"
        broadcast(path, ticker, size=(TICKER.width, TICKER.height), back=shown, fps=_FPS)
        return path.read_bytes()


@cache
def _lecture(kind: int) -> bytes:
    import av

    slides = [_slide(kind * _SLIDES + number) for number in range(_SLIDES)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lecture.mp4"
        with av.open(str(path), "w") as out:
            seen = out.add_stream("libx264", rate=_FPS, options={"preset": "veryfast"})
            seen.width, seen.height, seen.pix_fmt = *_LECTURE, "yuv420p"
            heard = out.add_stream("aac", rate=_RATE, layout="mono")
            for number in range(_SLIDES * SLIDE_SECONDS * _FPS):
                frame = av.VideoFrame.from_ndarray(slides[number // (SLIDE_SECONDS * _FPS)], format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, _FPS)
                out.mux(seen.encode(frame))
            out.mux(seen.encode(None))
            for frame in _spoken(kind):
                out.mux(heard.encode(frame))
            out.mux(heard.encode(None))
        return path.read_bytes()


def _slide(number: int) -> Any:
    words = " ".join(sentences()[40 * number :][:30])
    lines = [words[start : start + _LETTERS_OF_A_LINE] for start in range(0, len(words), _LETTERS_OF_A_LINE)]
    return np.asarray(slide(*lines[:_LINES], size=_LECTURE, letters=30))


def _spoken(kind: int) -> Sequence[Any]:
    import av

    from prismhouse.engine.media.container import opened
    from prismhouse.engine.media.limits import MediaLimits
    from prismhouse.engine.media.sound import read_sound

    said = []
    for clip in clips("en"):
        with opened(clip.path, "audio", MediaLimits()) as media:
            said += [read_sound(media).kept, np.zeros(_RATE, np.int16)]
    samples = np.resize(np.concatenate(said[2 * kind :] + said[: 2 * kind]), _SLIDES * SLIDE_SECONDS * _RATE)
    frames = []
    for start in range(0, len(samples), 1024):
        part = samples[None, start : start + 1024].astype(np.float32) / 32_768
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, start, Fraction(1, _RATE)
        frames.append(frame)
    return frames
