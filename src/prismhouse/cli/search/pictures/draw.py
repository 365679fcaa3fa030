"""Draws a picture in the letters, or in the graphics protocol, that a terminal has."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Canvas", "sixel"]

_COLUMNS = 36
_PIXELS = 320
_KITTY_PIECE = 4096
_COLOURS = 64
_BAND = 6


class Canvas:
    """Draws on a terminal by one protocol: kitty, iterm, sixel or blocks."""

    def __init__(self, stream: TextIO, protocol: str) -> None:
        self._stream = stream
        self.protocol = protocol

    def draw(self, data: bytes) -> None:
        """Draw an image file, indented; leave out what is no image."""
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(data)) as opened:
                image = opened.convert("RGB")
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
            return
        image.thumbnail((_PIXELS, _PIXELS))
        self._stream.write(getattr(self, f"_{self.protocol}")(image))
        self._stream.write("\n")

    def _kitty(self, image: Image) -> str:
        sent = base64.b64encode(_png(image)).decode()
        pieces = [sent[start : start + _KITTY_PIECE] for start in range(0, len(sent), _KITTY_PIECE)]
        last = len(pieces) - 1
        parts = [
            f"\x1b_G{'a=T,f=100,q=2,' if number == 0 else ''}m={0 if number == last else 1};{piece}\x1b\\"
            for number, piece in enumerate(pieces)
        ]
        return "    " + "".join(parts)

    def _iterm(self, image: Image) -> str:
        data = _png(image)
        return f"    \x1b]1337;File=inline=1;size={len(data)};width={image.width}px:{base64.b64encode(data).decode()}\a"

    def _sixel(self, image: Image) -> str:
        return "    " + sixel(image)

    def _blocks(self, image: Image) -> str:
        """Return two rows of pixels for each line: the upper half of a letter and what is behind it."""
        rows = max(2, round(image.height * _COLUMNS / image.width / 2) * 2)
        small = image.resize((_COLUMNS, min(rows, _COLUMNS)))
        data, width = small.tobytes(), small.width
        lines = []
        for top in range(0, small.height - 1, 2):
            pairs = [[3 * (row * width + column) for row in (top, top + 1)] for column in range(width)]
            letters = (f"\x1b[38;2;{_rgb(data, one)};48;2;{_rgb(data, other)}m\u2580" for one, other in pairs)
            lines.append(f"    {''.join(letters)}\x1b[0m")
        return "\n".join(lines)


def sixel(image: Image) -> str:
    """Return an image as sixels: bands of six rows, in each a run of letters for every colour."""
    palette = image.quantize(_COLOURS)
    width, height, data = palette.width, palette.height, palette.tobytes()
    colours = palette.getpalette() or []
    used = sorted(set(data))
    out = [f'\x1bPq"1;1;{width};{height}']
    out += [f"#{n};2;" + ";".join(str(round(value * 100 / 255)) for value in colours[3 * n : 3 * n + 3]) for n in used]
    for top in range(0, height, _BAND):
        rows = [data[row * width : (row + 1) * width] for row in range(top, min(top + _BAND, height))]
        for colour in sorted(set(b"".join(rows))):
            bits = bytes(
                63 + sum(1 << place for place, row in enumerate(rows) if row[column] == colour)
                for column in range(width)
            )
            out.append(f"#{colour}{_runs(bits)}$")
        out.append("-")
    return "".join(out) + "\x1b\\"


def _runs(letters: bytes) -> str:
    out: list[str] = []
    start = 0
    for place in range(1, len(letters) + 1):
        if place == len(letters) or letters[place] != letters[start]:
            count, letter = place - start, chr(letters[start])
            out.append(f"!{count}{letter}" if count > 3 else letter * count)
            start = place
    return "".join(out)


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _rgb(data: bytes, at: int) -> str:
    return ";".join(str(value) for value in data[at : at + 3])
