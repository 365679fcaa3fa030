"""A text becomes a document for each stretch of about a page."""

from __future__ import annotations

from html.parser import HTMLParser

from prismhouse.engine.extractors.pages import MOST_PAGES
from prismhouse.engine.extractors.port import Part
from prismhouse.engine.extractors.rows import read_text
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.extractors.universal.documents import Draft, Made

__all__ = ["of_text"]

_PAGE_WORDS = 300
_MARKUP = frozenset({"text/html", "image/svg+xml"})
_UNSEEN = frozenset({"script", "style", "template", "title"})
"""Not the whole head: its end may be left out, and then it would have no end."""

_BLOCKS = frozenset(
    {"article", "blockquote", "br", "dd", "div", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "p", "pre", "tr"}
)


def of_text(part: Part, mime: str, *, most_pages: int) -> Made:
    """Return a document for each page, which a form feed ends, or for each 300 words of one; raise MediaFault."""
    text = read_text(part)
    if mime in _MARKUP:
        text = _seen(text)
    chunks = [
        chunk.text.strip()
        for page in text.split("\f")
        for chunk in split(page, SplitRule(by="words", size=_PAGE_WORDS))
    ]
    made = Made()
    made.drop("pages", MOST_PAGES, len(chunks) - most_pages)
    total = len(chunks)
    for number, words in enumerate(chunks[:most_pages], start=1):
        fields = {"modality": "document", "segment_index": 0, "segment_total": total, "page_number": number}
        made.drafts.append(Draft(fields=fields, text=words))
    return made


def _seen(markup: str) -> str:
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return "".join(reader.pieces)


class _Reader(HTMLParser):
    """Keeps what a browser would show as text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden: str | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the base's signature
        if self._hidden is None and tag in _UNSEEN:
            self._hidden = tag
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = None
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self._hidden is None:
            self.pieces.append(data)
