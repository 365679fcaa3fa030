"""Lectures, papers and source code for tests of course content."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

__all__ = ["CODE", "SLIDES", "SUBTITLES", "lecture", "paper", "zipped"]

SLIDES = (
    "Gradient descent\nfollows the slope of the loss\ndownhill step by step",
    "Photosynthesis\nturns light and water into sugar",
    "def add(a, b):\n    return a + b\n\nprint(add(1, 2))",
)
SUBTITLES = (
    "1\r\n00:00:01,000 --> 00:00:10,000\r\nWelcome to a lecture about <i>learning rates</i>.\r\n\r\n"
    "2\r\n00:00:16,000 --> 00:00:25,500\r\nPlants make their own food.\r\n\r\n"
    "3\r\n00:00:31,000 --> 00:00:40,000\r\nNow we write a small function.\r\n"
)
CODE = """\
def smallest(items, count):
    found = sorted(items)
    for one in found:
        print(one)

    return found[:count]"""


def lecture(path: Path, slides: Sequence[str] = SLIDES, *, seconds_each: int = 15, fps: int = 2) -> Path:
    """Write a video of slides, without sound."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 960, 540, "yuv420p"
        for number in range(len(slides) * seconds_each * fps):
            slide = number // (seconds_each * fps)
            frame = av.VideoFrame.from_ndarray(_drawn(slides[slide], dark=slide % 2 == 1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _drawn(words: str, *, dark: bool) -> np.ndarray:
    image = Image.new("RGB", (960, 540), "#203040" if dark else "white")
    font = ImageFont.load_default(32)
    ImageDraw.Draw(image).multiline_text((60, 60), words, font=font, fill="white" if dark else "black", spacing=14)
    return np.asarray(image)


def paper() -> bytes:
    """Return a PDF of two pages: a heading, prose, code set in Courier, and prose."""
    pdf = FPDF()
    for title in ("Sorting in Python", "What it costs"):
        pdf.add_page()
        pdf.set_font("helvetica", "B", 18)
        pdf.cell(0, 12, title, new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("helvetica", "", 11)
        pdf.multi_cell(0, 6, "A list can be sorted in place; the function sorted returns a new one of the same items.")
        pdf.ln(6)
        if title == "Sorting in Python":
            pdf.set_font("courier", "", 10)
            for line in CODE.split("\n"):
                pdf.cell(0, 5, line, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


def zipped(folder: Path, pattern: str = "**/*.py") -> bytes:
    """Return the files of a folder as an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob(pattern)):
            archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()
