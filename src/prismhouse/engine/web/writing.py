"""The text of a page as it is written down, with the places of what stands in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from prismhouse.engine.web.found import Asset, Code, Shown

__all__ = ["Writing"]

_MOST_CODE = 1000
_SPACE = re.compile(r"[ \t\n\r\f\v\u00a0]+")


@dataclass(slots=True)
class Writing:
    """Words, one after the other; white space is one blank, or the line ends that were asked for."""

    code: list[Code] = field(default_factory=list)
    images: list[Shown] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    text: str = ""
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
        self._add(body)
        self.gap(2)

    def image(self, url: str, alt: str) -> None:
        """Note a picture."""
        self.images.append(Shown(offset=self._length, url=url, alt=alt))

    def asset(self, url: str, text: str) -> None:
        """Note a file that is linked to."""
        if all(asset.url != url for asset in self.assets):
            self.assets.append(Asset(offset=self._length, url=url, text=text))

    def finished(self) -> Writing:
        """Return itself with the whole text."""
        self.text = "".join(self._pieces)
        return self

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
