"""A text becomes a document for each stretch of about a page."""

from __future__ import annotations

from prismhouse.engine.extractors.pages import MOST_PAGES
from prismhouse.engine.extractors.port import Part
from prismhouse.engine.extractors.rows import read_text
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.extractors.universal.documents import Draft, Made
from prismhouse.engine.media.markup import MARKUP, shown

__all__ = ["of_text"]

_PAGE_WORDS = 300


def of_text(part: Part, mime: str, *, most_pages: int) -> Made:
    """Return a document for each page, which a form feed ends, or for each 300 words of one; raise MediaFault."""
    text = read_text(part)
    if mime in MARKUP:
        text = shown(text).text
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
