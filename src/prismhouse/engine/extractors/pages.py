"""What the extractors of PDFs share: a PDF that is open, its pages as pictures, and the failure of one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.files import file_of
from prismhouse.engine.extractors.port import ErrorType, Part, RowFailure
from prismhouse.engine.inference.session import require
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import Picture
from prismhouse.engine.media.pdf import Box, Pdf, opened_pdf
from prismhouse.engine.media.sniff import sniff

__all__ = [
    "BOX_FIELD",
    "MOST_PAGES",
    "SCREEN_DPI",
    "UNREAD_PAGES",
    "box_field",
    "is_pdf",
    "opened_part",
    "page_failure",
    "page_picture",
]

MOST_PAGES = "max_document_pages_cap"
"""Reason for which pages over the limit are left out."""

UNREAD_PAGES = "page_processing_failure"
"""Reason for which pages are left out after the one that took too long."""

SCREEN_DPI = 96

BOX_FIELD: Mapping[str, Any] = {
    "type": "object",
    "description": "Where it is: x1, y1, x2, y2 in points from the upper left corner of the page.",
    "properties": {name: {"type": "number"} for name in ("x1", "y1", "x2", "y2")},
}
"""The schema of what `box_field` gives."""

_HEAD_BYTES = 8192


def is_pdf(part: Part) -> bool:
    """Say whether an input is a PDF, by its first bytes or, where those tell nothing, by its declared type.

    A part that cannot be read is none: reading it as what it is said to be tells why.
    """
    if part.data is not None:
        head = part.data[:_HEAD_BYTES]
    elif part.path is not None:
        try:
            with part.path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except OSError:
            return False
    else:
        return False
    return bool(head) and (part.type == "pdf" or sniff(head).kind == "pdf")


@contextmanager
def opened_part(part: Part, resources: Resources) -> Iterator[Pdf]:
    """Open a part that is a PDF until the end of the block; raise MediaFault or ExtraMissing."""
    require(("pypdfium2",), extra="documents", needed_for="Reading PDFs")
    with file_of(part) as path, opened_pdf(path, resources.media) as pdf:
        yield pdf


def page_picture(pdf: Pdf, number: int, dpi: float = SCREEN_DPI) -> Picture:
    """Return a page as a picture; raise MediaFault."""
    with pdf.page(number) as page:
        image = page.render(dpi)
    return Picture(image=image, width=image.width, height=image.height, format="PDF")


def page_failure(fault: MediaFault, number: int) -> RowFailure:
    """Return that a page gave nothing, and why."""
    message = fault.message if fault.message.startswith("Page ") else f"Page {number}: {fault.message}"
    return RowFailure(stage="decode", code=fault.code, message=message, error_type=ErrorType.PERMANENT)


def box_field(box: Box) -> dict[str, float]:
    """Return a place on a page as documents tell it."""
    left, top, right, bottom = (round(side, 2) for side in box)
    return {"x1": left, "y1": top, "x2": right, "y2": bottom}
