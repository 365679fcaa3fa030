"""A PDF becomes a document for each page, a text one for each stretch of about a page."""

from __future__ import annotations

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
from prismhouse.engine.media.markup import MARKUP, shown
from prismhouse.engine.media.pdf import Pdf
from prismhouse.engine.media.text import storable

__all__ = ["of_pdf", "of_text"]

_WRITTEN_CHARACTERS = 8
"""A page with less in its text layer is a scan that was stamped, or a picture."""

_OCR_DPI = 150
_PAGE_WORDS = 300


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
