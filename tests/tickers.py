"""Videos with tickers whose words are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tests.written import filmed, slide, strip_of

__all__ = ["Ticker", "broadcast", "credits_of", "panned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Words that pass at `speed` pixels a second; `is_rightward`: from left to right. `rounds` of them."""

    words: str
    speed: float = 120
    top: int = 215
    is_rightward: bool = False
    ground: str = "navy"
    rounds: int = 1
    starts: float = 0.0


def broadcast(
    path: Path,
    *tickers: Ticker,
    fps: int = 25,
    size: tuple[int, int] = (480, 270),
    back: Image.Image | None = None,
    noise: float = 0,
    logo: str = "",
    seconds: float = 0,
) -> Path:
    """Write a video of a picture with tickers, each until its words are gone; `logo` is at the first."""
    shown = [(one, strip_of("     ".join([one.words] * one.rounds), ground=one.ground)) for one in tickers]
    lasts = [one.starts + (strip.width + size[0]) / one.speed for one, strip in shown]
    base = Image.new("RGB", size, "teal") if back is None else back.resize(size)
    random = np.random.default_rng(3)

    def paint(number: int) -> Image.Image:
        image = base.copy()
        for one, strip in shown:
            _put(image, one, strip, number / fps)
        if logo:
            image.paste(slide(logo, size=(90, 40), letters=24, ground="red"), (0, tickers[0].top))
        if noise:
            rough = np.asarray(image) + random.normal(0, noise, (size[1], size[0], 3))
            image = Image.fromarray(np.clip(rough, 0, 255).astype(np.uint8))
        return image

    return filmed(path, paint, count=int(max([seconds, *lasts]) * fps), fps=fps)


def _put(image: Image.Image, ticker: Ticker, strip: Image.Image, time: float) -> None:
    image.paste(ticker.ground, (0, ticker.top, image.width, ticker.top + strip.height))
    gone = round(max(0.0, time - ticker.starts) * ticker.speed)
    image.paste(strip, (gone - strip.width if ticker.is_rightward else image.width - gone, ticker.top))


def panned(path: Path, picture: Image.Image, *, speed: int = 80, seconds: float = 4, fps: int = 25) -> Path:
    """Write a video of a camera that turns over a picture."""
    size = (480, 270)
    large = picture.resize((size[0] + round(speed * seconds) + 2, size[1]))

    def paint(number: int) -> Image.Image:
        left = round(number / fps * speed)
        return large.crop((left, 0, left + size[0], size[1]))

    return filmed(path, paint, count=int(seconds * fps), fps=fps)


def credits_of(path: Path, lines: Sequence[str], *, speed: int = 60, fps: int = 25) -> Path:
    """Write a video of lines that run upwards."""
    size = (480, 270)
    high = 60 * len(lines)
    sheet = slide(*lines, size=(size[0], high), letters=28)
    count = round((high + size[1]) / speed * fps)

    def paint(number: int) -> Image.Image:
        image = Image.new("RGB", size, "white")
        image.paste(sheet, (0, size[1] - round(number / fps * speed)))
        return image

    return filmed(path, paint, count=count, fps=fps)
