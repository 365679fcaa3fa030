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
from prismhouse.engine.extractors.port import ExtractedDocument, ExtractorRecord, Row, RowResult
from prismhouse.engine.extractors.rows import failed, guarded, single
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
        started = time.perf_counter()
        results: dict[int, RowResult] = {}
        pictures: dict[int, Picture] = {}
        for place, row in enumerate(rows):
            try:
                part = single(row, "image")
                if part is None:
                    results[place] = RowResult(row_id=row.row_id, skipped="There is no image.")
                else:
                    pictures[place] = read_picture(part, self.resources)
            except Exception as error:  # noqa: BLE001 - recorded as this row's failure
                results[place] = failed(row, error, "decode")
        seen = look(list(pictures.values()), self.resources) if pictures else []
        for (place, picture), (vectors, labels) in zip(pictures.items(), seen, strict=True):
            artifacts = (shown(picture),) if self.parameters["enable_thumbnails"] else ()
            elapsed_ms = round((time.perf_counter() - started) * 1000 / len(rows), 1)
            fields = {
                **picture_fields(picture, labels),
                "page_number": 1,
                "total_pages": 1,
                "processing_time_ms": elapsed_ms,
            }
            document = ExtractedDocument(position=(1,), fields=fields, vectors=vectors, artifacts=artifacts)
            results[place] = RowResult(row_id=rows[place].row_id, documents=[document])
        return [results[place] for place in range(len(rows))]


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
    max_inputs={"image": 1},
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
