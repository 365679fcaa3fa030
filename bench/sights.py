"""A package with an extractor of its own, as somebody else would write it: what photos look like, by EfficientNet.

`bench.extractors` installs it for the server that it measures: see docs/custom-extractors.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.pictures import read_picture
from prismhouse.engine.extractors.port import (
    ExtractedDocument,
    Extractor,
    ExtractorRecord,
    FloatArray,
    Row,
    RowResult,
    VectorOutput,
)
from prismhouse.engine.extractors.rows import parts
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import EFFICIENTNET, all_models


def sight(image: Any, threads: int, folder: Path) -> FloatArray:
    """Return the vector of an image, `(1408,)`."""
    vector: FloatArray = loaded(EFFICIENTNET, threads=threads, cache_dir=folder).embed_images([image])[0]
    return vector


class SightParameters(Parameters):
    extractor_type: str = "sight_extractor"


def load(parameters: Mapping[str, Any], resources: Resources) -> Extractor:  # noqa: ARG001 - there are none
    def document(place: int, part: Any) -> ExtractedDocument:
        vector = sight(read_picture(part, resources).image, resources.threads, resources.cache_dir)
        return ExtractedDocument(position=(place,), fields={"picture_index": place}, vectors={EFFICIENTNET: vector})

    def extract(rows: Sequence[Row]) -> list[RowResult]:
        return [
            RowResult(row_id=row.row_id, documents=[document(*one) for one in enumerate(parts(row, "image"))])
            for row in rows
        ]

    return extract


DEFINITION = Definition(
    parameters=SightParameters,
    load=load,
    record=ExtractorRecord(
        name="sight_extractor",
        version="v1",
        description="What pictures look like.",
        category="image",
        icon="eye",
        input_schema={"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"]},
        output_schema={"type": "object", "properties": {"picture_index": {"type": "integer"}}},
        parameter_schema=SightParameters.model_json_schema(),
        default_parameters=SightParameters().model_dump(mode="json"),
        input_types={"image": ("image",)},
        vector_outputs=(
            VectorOutput(
                name=EFFICIENTNET,
                storage_name="sight_extractor_v1_sight",
                dimensions=all_models()[EFFICIENTNET].dimensions,
                distance="cosine",
                model=EFFICIENTNET,
                query_modalities=("image",),
            ),
        ),
        position_fields=("picture_index",),
    ),
)
