"""A PDF becomes a document for each page, a text one for each stretch of about a page."""

from __future__ import annotations

from html.parser import HTMLParser

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.pages import MOST_PAGES, UNREAD_PAGES, opened_part, page_failure, page_picture
from prismhouse.engine.extractors.pictures import look_at
from prismhouse.engine.extractors.port import Part
from prismhouse.engine.extractors.rows import read_text
from prismhouse.engine.extractors.splitting import SplitRule, split
from prismhouse.engine.extractors.universal.made import Draft, Made
from prismhouse.engine.extractors.universal.picture import written
from prismhouse.engine.inference.registry import CONSE
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import thumbnail
from prismhouse.engine.media.pdf import Pdf
from prismhouse.engine.media.text import storable

__all__ = ["of_pdf", "of_text"]

_WRITTEN_CHARACTERS = 8
"""A page with less in its text layer is a scan that was stamped, or a picture."""

_OCR_DPI = 150
_PAGE_WORDS = 300
_MARKUP = frozenset({"text/html", "image/svg+xml"})
_UNSEEN = frozenset({"script", "style", "template", "title"})
"""Not the whole head: its end may be left out, and then it would have no end."""

_BLOCKS = frozenset(
    {"article", "blockquote", "br", "dd", "div", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "p", "pre", "tr"}
)


def of_pdf(part: Part, resources: Resources, *, most_pages: int, read: bool, show: bool) -> Made:
    """Return a document for each page; a bad page spares the others. Raise MediaFault for a bad file."""
    made = Made()
    with opened_part(part, resources) as pdf:
        count = min(pdf.pages - pdf.dropped, most_pages)
        made.drop("pages", MOST_PAGES, pdf.pages - count)
        for number in range(1, count + 1):
            try:
                made.drafts.append(_page(pdf, number, resources, read=read, show=show))
            except MediaFault as fault:
                made.failures.append(page_failure(fault, number))
                if fault.code == "pdf_too_slow":
                    made.drop("pages", UNREAD_PAGES, count - number)
                    break
    return made


def _page(pdf: Pdf, number: int, resources: Resources, *, read: bool, show: bool) -> Draft:
    with pdf.page(number) as page:
        text = storable("\n".join(line.text for line in page.lines()))
    fields = {"modality": "document", "segment_index": 0, "segment_total": pdf.pages, "page_number": number}
    if len(text) >= _WRITTEN_CHARACTERS:
        return Draft(fields=fields, text=text)
    image = page_picture(pdf, number, _OCR_DPI).image
    text = (written(image, resources) if read else "") or text
    if len(text) >= _WRITTEN_CHARACTERS:
        return Draft(fields=fields, text=text)
    ((vectors, labels),) = look_at([image], resources)
    shown = (thumbnail(image),) if show else ()
    return Draft(fields={**fields, "labels": labels}, text=text, picture=vectors[CONSE], shown=shown)


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
