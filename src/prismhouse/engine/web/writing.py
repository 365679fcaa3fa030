"""The text of a page as it is written down, with the places of what stands in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from prismhouse.engine.web.found import Asset, Code, Shown

__all__ = ["Writing"]

_MOST_CODE = 1000
_MOST_IMAGES = 500
_MOST_ASSETS = 1000
_SPACE = re.compile(r"[ \t\n\r\f\v\u00a0]+")


@dataclass(slots=True)
class Writing:
    """Words, one after the other; white space is one blank, or the line ends that were asked for.

    Of code, pictures and files the first ones are kept; `left_...` count the others.
    """

    code: list[Code] = field(default_factory=list)
    images: list[Shown] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    left_code: int = 0
    left_images: int = 0
    left_assets: int = 0
    text: str = ""
    _known: set[tuple[str, str]] = field(default_factory=set)
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _gap: int = 0
    _blank: bool = False

    def write(self, text: str) -> None:
        """Add running text."""
        words = _SPACE.sub(" ", text)
        body = words.strip(" ")
        self._blank = self._blank or words[:1] == " "
        if not body:
            return
        self._space()
        self._add(body)
        self._blank = words[-1:] == " "

    def gap(self, lines: int) -> None:
        """End the line; with 2, leave an empty one. What begins an item of a list stays on its line."""
        if self._pieces and self._pieces[-1] == "-" and not self._gap:
            return
        self._gap = max(self._gap, lines)

    def cell(self) -> None:
        """End a cell of a table."""
        if self._pieces and not self._gap and self._pieces[-1] != " | ":
            self._add(" | ")
            self._blank = False

    def block(self, text: str, language: str | None) -> None:
        """Add code, as it stands."""
        body = text.replace("\r\n", "\n").strip("\n").rstrip()
        if not body.strip():
            return
        self.gap(2)
        self._space()
        if len(self.code) < _MOST_CODE:
            self.code.append(Code(offset=self._length, code=body, language=language))
        else:
            self.left_code += 1
        self._add(body)
        self.gap(2)

    def takes_image(self, address: str) -> bool:
        """Say whether to go on with a picture; one too many is counted, by its address as it stands, and left."""
        is_new, is_full = self._is_new("image", address), len(self.images) >= _MOST_IMAGES
        self.left_images += is_new and is_full
        return is_new and not is_full

    def takes_asset(self, address: str) -> bool:
        """Say the same of a link to a file."""
        is_new, is_full = self._is_new("asset", address), len(self.assets) >= _MOST_ASSETS
        self.left_assets += is_new and is_full
        return is_new and not is_full

    def _is_new(self, kind: str, address: str) -> bool:
        before = len(self._known)
        self._known.add((kind, address))
        return len(self._known) > before

    def image(self, url: str, alt: str) -> None:
        """Note a picture."""
        self.images.append(Shown(offset=self._next(), url=url, alt=alt))

    def asset(self, url: str, text: str) -> None:
        """Note a file that is linked to."""
        if all(asset.url != url for asset in self.assets):
            self.assets.append(Asset(offset=self._next(), url=url, text=text))

    def finished(self) -> Writing:
        """Return itself with the whole text."""
        self.text = "".join(self._pieces)
        return self

    def _next(self) -> int:
        """Return where the next word will stand."""
        return self._length + (self._gap or int(self._blank)) if self._pieces else 0

    def _space(self) -> None:
        if self._pieces and self._gap:
            if self._pieces[-1] == " | ":
                self._length -= len(self._pieces.pop())
            self._add("\n" * self._gap)
        elif self._pieces and self._blank and self._pieces[-1][-1:] not in {" ", "\n"}:
            self._add(" ")
        self._gap, self._blank = 0, False

    def _add(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)
