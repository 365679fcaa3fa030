"""image_extractor v1: an image becomes one document with a vector that text queries can find."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.pictures import (
    DECODED_AT_ONCE,
    PICTURE_FIELDS,
    look,
    picture_fields,
    read_picture,
    shown,
    visual_outputs,
)
from prismhouse.engine.extractors.port import ExtractedDocument, ExtractorRecord, FloatArray, Row, RowFailure, RowResult
from prismhouse.engine.extractors.rows import failure_of, guarded, parts, settled
from prismhouse.engine.media.image import Picture

__all__ = ["DEFINITION", "ImageParameters"]

_NAME, _VERSION = "image_extractor", "v1"


class ImageParameters(Parameters):
    """What is made of an image."""

    unserved: ClassVar[Mapping[str, str]] = {"use_cdn": "there is no content delivery network; files are served here"}

    extractor_type: Literal["image_extractor"] = "image_extractor"
    enable_thumbnails: bool = Field(True, description="Whether a JPEG of at most 640 pixels is kept.")
    use_cdn: bool = Field(False, description="False: files are served by this server.")


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
        documents: list[list[ExtractedDocument]] = [[] for _ in rows]
        failures: list[list[RowFailure]] = [[] for _ in rows]
        given = [(place, part) for place, row in enumerate(rows) for part in parts(row, "image")]
        for start in range(0, len(given), DECODED_AT_ONCE):
            group = given[start : start + DECODED_AT_ONCE]
            started = time.perf_counter()
            pictures: list[tuple[int, Picture]] = []
            for place, part in group:
                try:
                    pictures.append((place, read_picture(part, self.resources)))
                except Exception as error:  # noqa: BLE001 - recorded as this row's failure
                    failures[place].append(failure_of(rows[place], error, "decode"))
            seen = look([picture for _, picture in pictures], self.resources)
            elapsed_ms = round((time.perf_counter() - started) * 1000 / len(group), 1)
            for (place, picture), (vectors, labels) in zip(pictures, seen, strict=True):
                documents[place].append(self._document(picture, vectors, labels, elapsed_ms))
        return [
            settled(row, documents[place], failures[place], empty="There is no image.")
            for place, row in enumerate(rows)
        ]

    def _document(
        self, picture: Picture, vectors: Mapping[str, FloatArray], labels: list[dict[str, Any]], elapsed_ms: float
    ) -> ExtractedDocument:
        fields = {
            **picture_fields(picture, labels),
            "page_number": 1,
            "total_pages": 1,
            "processing_time_ms": elapsed_ms,
        }
        artifacts = (shown(picture),) if self.parameters["enable_thumbnails"] else ()
        return ExtractedDocument(position=(1,), fields=fields, vectors=vectors, artifacts=artifacts)


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Embeds images for search by text and by image, and names what is in them.",
    category="image",
    icon="image",
    input_schema={
        "type": "object",
        "properties": {"image": {"type": "string", "description": "A stored image file."}},
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
    input_types={"image": ("image",)},
    vector_outputs=visual_outputs("image_extractor_v1_embedding", "image_extractor_v1_visual_embedding"),
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


DEFINITION = Definition(record=_RECORD, parameters=ImageParameters, load=_load)
