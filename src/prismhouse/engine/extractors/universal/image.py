"""An image becomes a document: what is seen in it, and what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.ocr import read_lines
from prismhouse.engine.extractors.pictures import look_at, read_picture
from prismhouse.engine.extractors.port import Part
from prismhouse.engine.extractors.universal.documents import Draft, Made
from prismhouse.engine.inference.registry import CONSE
from prismhouse.engine.media.image import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["of_image", "written"]


def of_image(part: Part, resources: Resources, *, read: bool, show: bool) -> Made:
    """Return the document of an image, the first picture of an animation; raise MediaFault."""
    image = read_picture(part, resources).image
    ((vectors, labels),) = look_at([image], resources)
    text = written(image, resources) if read else ""
    fields = {"modality": "image", "segment_index": 0, "segment_total": 1, "page_number": 0, "labels": labels}
    shown = (thumbnail(image),) if show else ()
    return Made(drafts=[Draft(fields=fields, text=text, picture=vectors[CONSE], shown=shown)])


def written(image: Image, resources: Resources) -> str:
    """Return the lines of writing in a picture, from top to bottom."""
    return "\n".join(read_lines(image, resources))
