"""HTML becomes the text that a browser would show, and each stretch of it knows where it stands in the file.

A file of strangers is read in one pass, in a time that grows with its size alone: `html.parser` of some Python versions
that are in use needs the square of it for tags and comments that nobody ends. No pattern repeats a group possessively:
Python 3.11 before 3.11.5 then goes on from a wrong place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from html import unescape

__all__ = ["MARKUP", "Shown", "shown"]

MARKUP = frozenset({"text/html", "image/svg+xml"})
"""What types of files are read so."""

_TOKEN = re.compile(
    r"<!---?>|<!--.*?(?:--!?>|\Z)|<!\[CDATA\[(?P<data>.*?)(?:\]\]>|\Z)"
    r"|<(?P<end>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9:-]*+)"
    r"|<[!?/][^>]*+>?"
    r"|(?P<reference>&(?:#\d{1,7}+|#[xX][0-9a-fA-F]{1,6}+|[a-zA-Z][a-zA-Z0-9]{1,40}+);?)"
    r"|(?P<text>[^<&]++|[<&])",
    re.DOTALL,
)
_INSIDE = re.compile(r"[^=>]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')|=")
"""Of a tag, after its name. A quote is one where a value begins: `it's` is a word."""

_PROLOGUE = re.compile(r"[\s\ufeff]++|<!--.*?-->|<!DOCTYPE[^>]*+>", re.DOTALL | re.IGNORECASE)
_XML = re.compile(r"<(?:\?xml|svg)\b", re.IGNORECASE)
_UNSEEN = frozenset({"script", "style", "template", "title"})
"""Not the whole head: its end may be left out, and then it would have no end."""

_BLOCK_NAMES = (
    "address article aside blockquote body caption dd details div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 head header hr li main nav ol p pre section summary table tbody tfoot thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
_KEPT = "pre"
_GAP = re.compile(r"\s\s+|[^\S ]|\A |\s\Z")
"""Words with one space between them are copied as they are; other white space is one space, as browsers have it."""


class Shown:
    """What is seen of a page, made up of stretches. `place` tells where a character of `text` stands in the file."""

    def __init__(self) -> None:
        self.text = ""
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._sources: list[int] = []
        self._ends: list[int] = []
        self._length = 0
        self._gap = ""

    def place(self, number: int) -> int:
        """Return the place in the file of a character of the text, both from 0."""
        at = bisect_right(self._starts, number) - 1
        return self._sources[at] + number - self._starts[at]

    def end(self, number: int) -> int:
        """Return the place in the file where a character of the text ends: that of a reference after its last."""
        at = bisect_right(self._starts, number) - 1
        is_last = number + 1 == (self._starts[at + 1] if at + 1 < len(self._starts) else self._length)
        return self._ends[at] if is_last else self.place(number) + 1

    def part(self, gap: str) -> None:
        """Part what comes from what was: by the widest gap that is asked for."""
        if gap.count("\n") >= self._gap.count("\n"):
            self._gap = gap

    def write(self, text: str, source: int, end: int) -> None:
        """Add text that stands at a place of the file. Nothing goes before the first one."""
        if self._pieces and self._gap:
            self._put(self._gap, source, source)
        self._gap = ""
        self._put(text, source, end)

    def finished(self) -> Shown:
        """Return itself with its text."""
        self.text = "".join(self._pieces)
        return self

    def _put(self, text: str, source: int, end: int) -> None:
        self._starts.append(self._length)
        self._sources.append(source)
        self._ends.append(end)
        self._pieces.append(text)
        self._length += len(text)


def shown(markup: str) -> Shown:
    """Return what is seen of a page, however broken. Blocks are parted by blank lines, so sentences end with them."""
    page = Shown()
    kept = at = 0
    is_xml = _is_xml(markup)
    while (token := _TOKEN.match(markup, at)) is not None:
        at = token.end()
        if token["tag"]:
            tag, at = token["tag"].lower(), _end_of_tag(markup, at)
            # XML may close it at once. HTML does not know that, but then there is an end of it.
            if tag in _UNSEEN and not token["end"] and not (is_xml and markup.endswith("/>", 0, at)):
                at = _behind(tag, markup, at)
            elif tag == _KEPT:
                kept = max(0, kept + (-1 if token["end"] else 1))
            _part(tag, page)
        elif token["data"]:
            _write(token["data"], token.start("data"), page, keep=kept > 0)
        elif token["reference"]:
            page.write(unescape(token["reference"]), token.start(), token.end())
        elif token["text"]:
            _write(token["text"], token.start(), page, keep=kept > 0)
    return page.finished()


def _is_xml(markup: str) -> bool:
    at = 0
    while (prologue := _PROLOGUE.match(markup, at)) is not None:
        at = prologue.end()
    return _XML.match(markup, at) is not None


def _end_of_tag(markup: str, at: int) -> int:
    """Return the place behind the tag whose name ends at a place: after its `>`, or the end of the file."""
    while (inside := _INSIDE.match(markup, at)) is not None:
        at = inside.end()
    return min(at + 1, len(markup))


def _behind(tag: str, markup: str, at: int) -> int:
    """Return the place of the end of what is not seen; without one, nothing after it is."""
    end = re.compile(rf"</{tag}", re.IGNORECASE).search(markup, at)
    return len(markup) if end is None else end.start()


def _part(tag: str, page: Shown) -> None:
    if tag == "br":
        page.part("\n")
    elif tag in _BLOCKS:
        page.part("\n\n")
    elif tag in _CELLS:
        page.part(" ")


def _write(text: str, source: int, page: Shown, *, keep: bool) -> None:
    if keep:
        page.write(text, source, source + len(text))
        return
    at = 0
    for gap in _GAP.finditer(text):
        if gap.start() > at:
            page.write(text[at : gap.start()], source + at, source + gap.start())
        page.part(" ")
        at = gap.end()
    if at < len(text):
        page.write(text[at:], source + at, source + len(text))
