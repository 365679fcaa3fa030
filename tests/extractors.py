"""Extractor records for tests that need a catalogue but no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.engine.extractors.custom import Broken
from prismhouse.engine.extractors.describe import describe
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault

TEXT = ExtractorRecord(
    name="text_extractor",
    version="v1",
    description="Text to documents with one vector each.",
    category="text",
    icon="file-text",
    input_schema={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    output_schema={
        "type": "object",
        "properties": {"text": {"type": "string"}, "chunk_index": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    },
    parameter_schema={"type": "object", "properties": {"split_by": {"type": "string"}}},
    default_parameters={"split_by": "none"},
    input_types={"text": ("text", "string")},
    vector_outputs=(
        VectorOutput(
            name="all_minilm_l6_v2_v1",
            storage_name="text_extractor_v1_embedding",
            dimensions=384,
            distance="cosine",
            model="minilm",
        ),
    ),
    position_fields=("chunk_index",),
)
MULTIMODAL = ExtractorRecord(
    name="multimodal_extractor",
    version="v1",
    description="Image, video or text to documents.",
    category="multimodal",
    icon="film",
    input_schema={"type": "object", "properties": {"image": {"type": "string"}, "text": {"type": "string"}}},
    output_schema={"type": "object", "properties": {"transcription": {"type": "string"}}},
    parameter_schema={"type": "object", "properties": {}},
    default_parameters={},
    input_types={"image": ("image",), "text": ("text", "string")},
    vector_outputs=(
        VectorOutput(
            name="e5",
            storage_name="multimodal_extractor_v1_transcription_embedding",
            dimensions=16,
            distance="cosine",
            model="e5",
            primary=False,
        ),
        VectorOutput(
            name="joint",
            storage_name="multimodal_extractor_v1_multimodal_embedding",
            dimensions=8,
            distance="cosine",
            model="joint",
        ),
    ),
    position_fields=("start_time",),
    type_mode="multimodal",
)


class ExtractorNotFound(WarehouseError):
    """No extractor {name} {version}."""

    code = Code.NOT_FOUND
    hint = "See /v1/collections/features/extractors."
    wire_code = "feature_extractor_not_found"


class SmallCatalogue:
    """Two records, and parameters checked by key."""

    def all(self) -> Sequence[ExtractorRecord]:
        return (TEXT, MULTIMODAL)

    def get(self, name: str, version: str) -> ExtractorRecord:
        for record in self.all():
            if (record.name, record.version) == (name, version):
                return record
        raise ExtractorNotFound(name=name, version=version)

    def validate_parameters(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> dict[str, Any]:
        known = record.parameter_schema["properties"]
        if unknown := [key for key in parameters if key not in known]:
            raise Invalid([field_fault(["body", "feature_extractor", "parameters", unknown[0]], "Unknown parameter.")])
        return {**record.default_parameters, **parameters}

    def configured(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> ExtractorRecord:
        return record

    def check(self, extractor_id: str, parameters: Mapping[str, Any]) -> None:
        """Every model is always here."""

    def broken(self) -> Sequence[Broken]:
        return ()

    def describe(self, record: ExtractorRecord) -> dict[str, Any]:
        return describe(record)
