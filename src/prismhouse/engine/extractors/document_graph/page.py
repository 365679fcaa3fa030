"""Reads a page: its text layer or, where there is none, its picture; and the regions that a model sees in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.document_graph.blocks import Block, Part, Piece, blocks_of
from prismhouse.engine.extractors.document_graph.order import in_reading_order
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import LayoutModel, WritingModel
from prismhouse.engine.inference.registry import PAGE_LAYOUT, PP_OCR
from prismhouse.engine.media.pdf import Box, Line, Pdf

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ReadPage", "read_page", "segment_of"]

_WRITTEN_CHARACTERS = 8
"""A page with less in its text layer is a scan that was stamped, or a picture: it is read as one."""

_WHOLE = frozenset({"table", "figure"})
_LETTERS_OF_A_LINE = 0.75
"""Size of letters as a part of the height of the line that OCR finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPage:
    """A page and its blocks in reading order. `image` is there when something looked at it; `scale`: pixels a point."""

    number: int
    width: float
    height: float
    blocks: Sequence[Block]
    image: Image | None
    scale: float


def read_page(
    pdf: Pdf, number: int, parameters: Mapping[str, Any], resources: Resources, *, corrects: bool = False
) -> ReadPage:
    """Return a page with its blocks; raise MediaFault, or an error about the house (a model is missing).

    With `corrects` there is a picture of each page that has text below the certainty that is corrected.
    """
    with pdf.page(number) as page:
        lines = page.lines()
        is_written = sum(len(line.text) for line in lines) >= _WRITTEN_CHARACTERS
        doubted = corrects and parameters["base_confidence"] < parameters["min_confidence_for_vlm"]
        wanted = parameters["use_layout_detection"] or parameters["generate_thumbnails"] or doubted or not is_written
        image = page.render(parameters["render_dpi"]) if wanted else None
        width, height = page.width, page.height
    scale = image.width / width if image is not None else 1.0
    if image is not None and not is_written:
        pieces = _recognized(image, scale, resources)
    else:
        pieces = [_piece(line, parameters["base_confidence"]) for line in lines]
    parts: list[Part] = []
    if image is not None and parameters["use_layout_detection"]:
        parts = _parts(image, scale, resources)
    blocks = blocks_of(
        pieces,
        parts,
        height,
        vertical=parameters["vertical_threshold"],
        horizontal=parameters["horizontal_threshold"],
    )
    kept = [one for one in blocks if one.kind in _WHOLE or len(one.text) >= parameters["min_text_length"]]
    return ReadPage(number=number, width=width, height=height, blocks=in_reading_order(kept), image=image, scale=scale)


def segment_of(page: ReadPage, block: Block) -> Image:
    """Return the picture of a block; raise ValueError where nothing looked at the page."""
    if page.image is None:
        raise ValueError("the page has no picture")
    left, top, right, bottom = (round(side * page.scale) for side in block.box)
    left, top = min(max(left, 0), page.image.width - 2), min(max(top, 0), page.image.height - 2)
    right, bottom = max(min(right, page.image.width), left + 2), max(min(bottom, page.image.height), top + 2)
    return page.image.crop((left, top, right, bottom))


def _piece(line: Line, confidence: float) -> Piece:
    return Piece(text=line.text, box=line.box, size=line.size, confidence=confidence)


def _recognized(image: Image, scale: float, resources: Resources) -> list[Piece]:
    model: WritingModel = loaded(PP_OCR, threads=resources.threads, cache_dir=resources.cache_dir)
    return [
        Piece(
            text=line.text,
            box=_points(line.box, scale),
            size=(line.box[3] - line.box[1]) / scale * _LETTERS_OF_A_LINE,
            confidence=line.confidence,
        )
        for line in model.read(image)
    ]


def _parts(image: Image, scale: float, resources: Resources) -> list[Part]:
    model: LayoutModel = loaded(PAGE_LAYOUT, threads=resources.threads, cache_dir=resources.cache_dir)
    return [Part(kind=region.kind, box=_points(region.box, scale)) for region in model.regions(image)]


def _points(box: Box, scale: float) -> Box:
    left, top, right, bottom = (round(side / scale, 2) for side in box)
    return (left, top, right, bottom)
