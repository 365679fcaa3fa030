"""A PDF becomes its elements, or its pages; code in it is told from prose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismhouse.engine.extractors.course.code_like import guessed_language, looks_like_code
from prismhouse.engine.extractors.course.documents import Unit, check_units, pictured
from prismhouse.engine.extractors.course.laid_out import laid_out
from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.document_graph.blocks import Block, Piece
from prismhouse.engine.extractors.document_graph.page import ReadPage, read_page
from prismhouse.engine.extractors.document_graph.parameters import DocumentGraphParameters
from prismhouse.engine.extractors.pages import MOST_PAGES, UNREAD_PAGES, box_field, opened_part, page_failure
from prismhouse.engine.extractors.port import Artifact, Part, RowFailure
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import thumbnail
from prismhouse.engine.media.pdf import Box
from prismhouse.engine.media.text import storable

__all__ = ["Printed", "of_pdf"]

_MOST_PAGES = 500
_LEAST_CHARACTERS = 2
_JOINED_POINTS = 30.0
_TITLE_CHARACTERS = 200
_KINDS = {"header": "heading"}
_WHOLE = frozenset({"table", "figure"})


@dataclass(slots=True)
class Printed:
    """What came of a PDF: units, what is missing, how many pages were read and how many left out."""

    units: list[Unit] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)
    pages: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Element:
    kind: str
    box: Box
    text: str
    language: str | None = None


def of_pdf(part: Part, parameters: Mapping[str, Any], resources: Resources) -> Printed:
    """Return the units of a PDF; a bad page spares the others. Raise MediaFault for a bad file."""
    printed = Printed()
    asked = DocumentGraphParameters(
        render_dpi=parameters["pdf_render_dpi"],
        min_text_length=_LEAST_CHARACTERS,
        generate_thumbnails=parameters["generate_thumbnails"],
    ).model_dump(mode="json")
    title: str | None = None
    with opened_part(part, resources) as pdf:
        count = min(pdf.pages - pdf.dropped, _MOST_PAGES)
        if pdf.pages > count:
            printed.dropped[MOST_PAGES] = pdf.pages - count
        for number in range(1, count + 1):
            try:
                page = read_page(pdf, number, asked, resources)
            except MediaFault as fault:
                printed.failures.append(page_failure(fault, number))
                if fault.code == "pdf_too_slow":
                    if number < count:
                        printed.dropped[UNREAD_PAGES] = count - number
                    break
                continue
            printed.pages += 1
            elements = list(_elements(page.blocks, find_code=parameters["detect_code_in_pdf"]))
            if parameters["pdf_extraction_mode"] == "per_page":
                printed.units += _whole(page, elements, parameters)
            else:
                for unit in _each(page, elements, title, parameters):
                    title = unit.fields.get("title", title)
                    printed.units.append(unit)
            check_units(len(printed.units), resources)
    return printed


def _each(
    page: ReadPage, elements: Sequence[_Element], title: str | None, parameters: Mapping[str, Any]
) -> Iterator[Unit]:
    """Yield the elements of a page; their title is the heading above them, wherever that stands."""
    artifacts = _shown(page, parameters)
    for index, one in enumerate(elements):
        if one.kind == "heading":
            title = " ".join(one.text.split())[:_TITLE_CHARACTERS]
        fields: dict[str, Any] = {
            "page_number": page.number - 1,
            "element_index": index,
            "element_type": one.kind,
            "bbox": box_field(one.box),
            **({"title": title} if title else {}),
        }
        if one.kind == "code":
            fields["code_content"] = one.text
            fields |= {"code_language": one.language} if one.language else {}
        elif one.text:
            fields["text_content"] = one.text
        yield Unit(doc_type="pdf", unit_type="element", fields=fields, artifacts=artifacts)


def _whole(page: ReadPage, elements: Sequence[_Element], parameters: Mapping[str, Any]) -> Iterator[Unit]:
    texts = [one.text for one in elements if one.kind != "code" and one.text]
    codes = [one for one in elements if one.kind == "code"]
    if not texts and not codes:
        return
    fields: dict[str, Any] = {"page_number": page.number - 1, "element_index": 0, "element_type": "page"}
    if heading := next((one.text for one in elements if one.kind == "heading"), None):
        fields["title"] = " ".join(heading.split())[:_TITLE_CHARACTERS]
    if texts:
        fields["text_content"] = "\n\n".join(texts)
    if codes:
        fields["code_content"] = "\n\n".join(one.text for one in codes)
        if (language := guessed_language(fields["code_content"])) is not None:
            fields["code_language"] = language
    yield Unit(doc_type="pdf", unit_type="page", fields=fields, artifacts=_shown(page, parameters))


def _shown(page: ReadPage, parameters: Mapping[str, Any]) -> tuple[Artifact, ...]:
    if page.image is None or not parameters["generate_thumbnails"]:
        return ()
    return (pictured(thumbnail(page.image)),)


def _elements(blocks: Sequence[Block], *, find_code: bool) -> Iterator[_Element]:
    """Yield the elements in reading order; code that blank lines part is one."""
    open_code: tuple[_Element, list[Piece]] | None = None
    for block in blocks:
        shape = storable(laid_out([(one.text, one.box) for one in block.pieces]))
        if not find_code or block.kind in _WHOLE or not looks_like_code(shape):
            if open_code is not None:
                yield _coded(*open_code)
                open_code = None
            yield _Element(_KINDS.get(block.kind, block.kind), block.box, storable(block.text))
        elif open_code is not None and 0 <= block.box[1] - open_code[0].box[3] <= _JOINED_POINTS:
            open_code[0].box = _around(open_code[0].box, block.box)
            open_code[1].extend(block.pieces)
        else:
            if open_code is not None:
                yield _coded(*open_code)
            open_code = (_Element("code", block.box, ""), list(block.pieces))
    if open_code is not None:
        yield _coded(*open_code)


def _coded(element: _Element, pieces: Sequence[Piece]) -> _Element:
    element.text = storable(laid_out([(one.text, one.box) for one in pieces]))
    element.language = guessed_language(element.text)
    return element


def _around(one: Box, other: Box) -> Box:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))
