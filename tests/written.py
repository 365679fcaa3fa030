"""Pictures and videos with known writing, drawn with the font that Pillow carries."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Painter", "error_rate", "filmed", "jpeg", "slide", "strip_of"]

Painter = Callable[[int], Image.Image]
"""Makes the picture of a number, from 0."""


def slide(*lines: str, size: tuple[int, int] = (640, 360), letters: int = 32, ground: Any = "white") -> Image.Image:
    """Return a picture with lines under each other."""
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((30, 25 + number * letters * 1.8), line, fill="black", font=ImageFont.load_default(size=letters))
    return image


def strip_of(words: str, *, height: int = 40, letters: int = 26, ground: Any = "navy", ink: Any = "white") -> Any:
    """Return a strip as wide as the words are."""
    font = ImageFont.load_default(size=letters)
    width = round(font.getlength(words)) + 2
    strip = Image.new("RGB", (width, height), ground)
    ImageDraw.Draw(strip).text((1, (height - letters * 1.2) / 2), words, fill=ink, font=font)
    return strip


def filmed(path: Path, paint: Painter, *, count: int, fps: int = 25) -> Path:
    """Write a video of painted pictures, H.264 as cameras and editors make it."""
    with av.open(str(path), "w") as out:
        first = paint(0)
        stream = out.add_stream("libx264", rate=fps, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.asarray(paint(number)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """Return a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def error_rate(read: str, said: str) -> float:
    """Return the character error rate: edits that make one of the other, for each character of what is said."""
    row: Sequence[int] = range(len(said) + 1)
    for place, letter in enumerate(read, start=1):
        made = [place]
        for other, known in enumerate(said, start=1):
            made.append(min(row[other] + 1, made[-1] + 1, row[other - 1] + (letter != known)))
        row = made
    return row[-1] / max(1, len(said))
