"""image_extractor v1: an image, or a page of a PDF, becomes one document with a vector that text queries can find."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.models import chosen_model
from prismhouse.engine.extractors.pages import (
    MOST_PAGES,
    UNREAD_PAGES,
    is_pdf,
    opened_part,
    page_failure,
    page_picture,
)
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.pictures import (
    DECODED_AT_ONCE,
    PICTURE_FIELDS,
    joint_model,
    look,
    picture_fields,
    read_picture,
    shown,
    visual_outputs,
)
from prismhouse.engine.extractors.port import (
    ExtractedDocument,
    ExtractorRecord,
    FloatArray,
    Part,
    Row,
    RowFailure,
    RowResult,
    VectorOutput,
)
from prismhouse.engine.extractors.rows import failure_of, guarded, parts, settled
from prismhouse.engine.inference.registry import CONSE
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import Picture
from prismhouse.kit.errors import WarehouseError

__all__ = ["DEFINITION", "ImageParameters"]

_NAME, _VERSION = "image_extractor", "v1"


class ImageParameters(Parameters):
    """What is made of an image."""

    unserved: ClassVar[Mapping[str, str]] = {"use_cdn": "there is no content delivery network; files are served here"}

    extractor_type: Literal["image_extractor"] = "image_extractor"
    enable_thumbnails: bool = Field(True, description="Whether a JPEG of at most 640 pixels is kept.")
    use_cdn: bool = Field(False, description="False: files are served by this server.")
    embedding_model: str | None = Field(
        None,
        validate_default=True,
        description="Model that puts texts and images into one space. Unset: the default of the file of models, else "
        f"{CONSE}.",
    )

    @field_validator("embedding_model")
    @classmethod
    def _is_here(cls, name: str | None) -> str | None:
        return chosen_model(name, "joint_embedding")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A picture, or a page of a PDF; `place` is that of its row, `seconds` is what reading it took."""

    place: int
    picture: Picture
    page: int
    pages: int
    seconds: float


@dataclass(slots=True)
class _Made:
    """What came of a row so far. `dropped` counts the pages that were left out, by reason."""

    documents: list[ExtractedDocument] = field(default_factory=list)
    failures: list[RowFailure] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    has_pdf: bool = False


@dataclass(frozen=True, slots=True)
class _ImageExtractor:
    parameters: Mapping[str, Any]
    resources: Resources

    def __call__(self, rows: Sequence[Row]) -> list[RowResult]:
        return [
            result
            for start in range(0, len(rows), DECODED_AT_ONCE)
            for result in guarded(rows[start : start + DECODED_AT_ONCE], self._extract)
        ]

    def _extract(self, rows: Sequence[Row]) -> list[RowResult]:
        made = [_Made() for _ in rows]
        given = self._pictures(rows, made)
        while group := [*islice(given, DECODED_AT_ONCE)]:
            started = time.perf_counter()
            seen = look([page.picture for page in group], self.resources, joint_model(self.parameters))
            elapsed = (time.perf_counter() - started) / len(group)
            for page, (vectors, labels) in zip(group, seen, strict=True):
                made[page.place].documents.append(self._document(page, vectors, labels, elapsed + page.seconds))
        return [_result(row, made[place]) for place, row in enumerate(rows)]

    def _pictures(self, rows: Sequence[Row], made: Sequence[_Made]) -> Iterator[_Shown]:
        """Yield the pictures of the rows one by one; what cannot be read is noted in `made`."""
        for place, row in enumerate(rows):
            for part in parts(row, "image"):
                given = self._pages(part, place, made[place]) if is_pdf(part) else self._picture(part, place)
                try:
                    yield from given
                except WarehouseError:
                    raise
                except Exception as error:  # noqa: BLE001 - recorded as this row's failure
                    made[place].failures.append(failure_of(row, error, "decode"))

    def _picture(self, part: Part, place: int) -> Iterator[_Shown]:
        started = time.perf_counter()
        picture = read_picture(part, self.resources)
        yield _Shown(place=place, picture=picture, page=1, pages=1, seconds=time.perf_counter() - started)

    def _pages(self, part: Part, place: int, made: _Made) -> Iterator[_Shown]:
        made.has_pdf = True
        with opened_part(part, self.resources) as pdf:
            last = pdf.pages - pdf.dropped
            made.dropped[MOST_PAGES] += pdf.dropped
            started = time.perf_counter()
            for number in range(1, last + 1):
                try:
                    picture = page_picture(pdf, number)
                except MediaFault as fault:
                    made.failures.append(page_failure(fault, number))
                    if fault.code == "pdf_too_slow":
                        made.dropped[UNREAD_PAGES] += last - number
                        return
                else:
                    seconds = time.perf_counter() - started
                    yield _Shown(place=place, picture=picture, page=number, pages=pdf.pages, seconds=seconds)
                started = time.perf_counter()

    def _document(
        self, page: _Shown, vectors: Mapping[str, FloatArray], labels: list[dict[str, Any]], seconds: float
    ) -> ExtractedDocument:
        fields = {
            **picture_fields(page.picture, labels),
            "page_number": page.page,
            "total_pages": page.pages,
            "processing_time_ms": round(seconds * 1000, 1),
        }
        artifacts = (shown(page.picture),) if self.parameters["enable_thumbnails"] else ()
        return ExtractedDocument(position=(page.page,), fields=fields, vectors=vectors, artifacts=artifacts)


def _result(row: Row, made: _Made) -> RowResult:
    result = settled(row, made.documents, made.failures, empty="There is no image.")
    if not made.has_pdf or not made.documents:
        return result
    told = {reason: count for reason, count in made.dropped.items() if count}
    return replace(result, dropped={"pages": told} if told else {}, units={"image": float(len(made.documents))})


def _outputs(parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    stored = f"{_NAME}_{_VERSION}"
    return visual_outputs(f"{stored}_embedding", f"{stored}_visual_embedding", joint_model(parameters))


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Embeds images and pages of PDFs for search by text and by image, and names what is in them.",
    category="image",
    icon="image",
    input_schema={
        "type": "object",
        "properties": {
            "image": {"type": "string", "description": "A stored image file, or a PDF: one document for each page."}
        },
        "required": ["image"],
    },
    output_schema={
        "type": "object",
        "properties": {
            **PICTURE_FIELDS,
            "page_number": {"type": "integer", "description": "Page of the file, from 1; 1 for an image."},
            "total_pages": {"type": "integer", "description": "Pages of the file; 1 for an image."},
            "processing_time_ms": {"type": "number", "description": "Time spent on this image."},
        },
    },
    parameter_schema=ImageParameters.model_json_schema(),
    default_parameters=ImageParameters().model_dump(mode="json"),
    input_types={"image": ("image", "pdf")},
    vector_outputs=_outputs({}),
    position_fields=("page_number",),
    costs=priced(2, "moderate", {"image": 2}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"image": "photo"},
        "parameters": {"enable_thumbnails": True},
    },
)


def _load(parameters: Mapping[str, Any], resources: Resources) -> _ImageExtractor:
    return _ImageExtractor(parameters, resources)


DEFINITION = Definition(record=_RECORD, parameters=ImageParameters, load=_load, outputs=_outputs)
