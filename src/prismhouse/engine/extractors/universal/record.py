"""What the catalogue says of the universal extractor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.pictures import PICTURE_FIELDS
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.extractors.universal.extract import UniversalExtractor
from prismhouse.engine.extractors.universal.parameters import UniversalParameters
from prismhouse.engine.inference.registry import CONSE, PP_OCR, WHISPER_BASE, check_installed

__all__ = ["DEFINITION"]

_NAME, _VERSION = "universal_extractor", "v1"


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Takes any file (image, video, sound, PDF, text), told by its bytes, into one space that words search.",
    category="multimodal",
    icon="globe",
    input_schema={
        "type": "object",
        "properties": {"content": field_schema("string", "Any file, or a text.")},
        "required": ["content"],
    },
    output_schema={
        "type": "object",
        "properties": {
            "modality": field_schema("string", "image, video, audio or document: what the file really is."),
            "text": field_schema("string", "What is written or said in it; absent where that is not known."),
            "text_language": field_schema("string", "ISO 639-1 code of what is said."),
            "description": field_schema(
                "string", "What a model of the file of models tells of it; absent where none serves."
            ),
            "segment_index": field_schema("integer", "Place of the segment in a video or a sound, from 0; else 0."),
            "segment_total": field_schema(
                "integer", "Segments of the video or sound, or pages of the document; else 1."
            ),
            "page_number": field_schema("integer", "Page of a document, from 1; else 0."),
            "start_time_s": field_schema("number", "Seconds at which the segment begins."),
            "end_time_s": field_schema("number", "Seconds at which it ends."),
            "duration_s": field_schema("number", "Seconds that it lasts."),
            "embedding_truncated": field_schema("boolean", "True when some of the text did not go into the vector."),
            **{name: PICTURE_FIELDS[name] for name in ("labels",)},
        },
    },
    parameter_schema=UniversalParameters.model_json_schema(),
    default_parameters=UniversalParameters().model_dump(mode="json"),
    input_types={"content": ("any",)},
    vector_outputs=(vector_output(CONSE, "universal_extractor_v1_embedding", queries=("text", "image")),),
    position_fields=("segment_index", "page_number"),
    type_mode="multimodal",
    costs=priced(3, "complex", {"image": 15}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"content": "file"},
        "parameters": {"max_video_segments": 20, "extract_text": True},
    },
)


def _load(parameters: Mapping[str, Any], resources: Resources) -> UniversalExtractor:
    """Return the extractor; raise ModelMissing for what it may need, before a file is read."""
    for model in (CONSE, PP_OCR, WHISPER_BASE) if parameters["extract_text"] else (CONSE,):
        check_installed(model)
    return UniversalExtractor(parameters, resources)


DEFINITION = Definition(record=_RECORD, parameters=UniversalParameters, load=_load)
