"""What the catalogue says of text_extractor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.extractors.shapes import shape_fields
from prismhouse.engine.extractors.text.extract import TextExtractor
from prismhouse.engine.extractors.text.fields import OUTPUT_SCHEMA
from prismhouse.engine.extractors.text.parameters import TextParameters
from prismhouse.engine.inference.registry import MINILM
from prismhouse.engine.inference.writers import writer_entry

__all__ = ["DEFINITION"]

_NAME, _VERSION = "text_extractor", "v1"


def _outputs(parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    return (vector_output(parameters.get("embedding_model") or MINILM, "text_extractor_v1_embedding"),)


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Splits text into chunks and embeds them for semantic search.",
    category="text",
    icon="text",
    input_schema={
        "type": "object",
        "properties": {"text": field_schema("string", "Text, or a stored text file in UTF-8; of HTML, what it shows.")},
        "required": ["text"],
    },
    output_schema=OUTPUT_SCHEMA,
    parameter_schema=TextParameters.model_json_schema(by_alias=False),
    default_parameters=TextParameters().model_dump(mode="json"),
    input_types={"text": ("text", "string")},
    vector_outputs=_outputs({}),
    position_fields=("chunk_index",),
    costs=priced(1, "simple", {"1k_tokens": 1}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"text": "description"},
        "parameters": {"split_by": "sentences", "chunk_size": 5, "chunk_overlap": 1},
    },
)


def _check(parameters: Mapping[str, Any]) -> None:
    if parameters.get("response_shape") is not None:
        writer_entry(parameters.get("llm_model"))


def _load(parameters: Mapping[str, Any], resources: Resources) -> TextExtractor:
    return TextExtractor(parameters, resources)


DEFINITION = Definition(
    record=_RECORD, parameters=TextParameters, load=_load, outputs=_outputs, fields=shape_fields, check=_check
)
