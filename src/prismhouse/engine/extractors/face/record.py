"""What the catalogue says of face_identity_extractor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.face.extract import FaceExtractor
from prismhouse.engine.extractors.face.parameters import FaceParameters
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.inference.registry import FACES, check_installed

__all__ = ["DEFINITION"]

_NAME, _VERSION = "face_identity_extractor", "v1"
_SCORE: Mapping[str, Any] = {"type": "number"}

_FIELDS: Mapping[str, Any] = {
    "face_index": field_schema("integer", "Number of the face in its picture, from 0, the largest first."),
    "bbox": field_schema("object", "x1, y1, x2, y2, width and height, in pixels of the picture."),
    "detection_score": field_schema("number", "How sure it is a face, 0 to 1."),
    "landmarks": {
        "type": "array",
        "description": "Eyes, nose and corners of the mouth, from left to right, as [x, y].",
        "items": {"type": "array", "items": _SCORE},
    },
    "quality_score": field_schema("number", "How good the view is, 0 to 1."),
    "quality_components": field_schema("object", "What the score is of: detection, sharpness, size, pose, brightness."),
    "face_crop_url": field_schema("string", "JPEG of the face with its surroundings."),
    "aligned_face_crop": field_schema("string", "JPEG of 112 x 112, the face upright, in base64."),
    "embedding_model": field_schema("string", "The model that made the vector."),
    "detection_model": field_schema("string", "The model that found the face."),
}
_OUTPUT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **_FIELDS,
        "faces": {
            "type": "array",
            "description": "With output_mode per_image: what is told of each face.",
            "items": {"type": "object", "properties": {name: _FIELDS[name] for name in _FIELDS}},
        },
        "face_count": field_schema("integer", "With output_mode per_image: how many faces count."),
        "source_frame_thumbnail": field_schema("string", "JPEG of the picture, at most 640 pixels."),
        "source_frame_width": field_schema("integer", "Width of the picture in pixels."),
        "source_frame_height": field_schema("integer", "Height of the picture in pixels."),
        "frame_number": field_schema("integer", "Picture of the video, from 0; 0 for others."),
        "timestamp": field_schema("number", "Seconds from the start of the video."),
        "page_number": field_schema("integer", "Page of the PDF, from 0; 0 for others."),
        "occurrences": field_schema("integer", "In how many pictures of the video the face was seen."),
        "first_timestamp": field_schema("number", "When it was seen first, in seconds."),
        "last_timestamp": field_schema("number", "When it was seen last, in seconds."),
        "processing_time_ms": field_schema("number", "Time spent on the picture."),
    },
}


def _load(parameters: Mapping[str, Any], resources: Resources) -> FaceExtractor:
    """Return the extractor; raise ModelMissing before a file is read."""
    check_installed(FACES)
    return FaceExtractor(parameters, resources)


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Finds the faces of images, pages and videos, and tells which are of the same person.",
    category="image",
    icon="user",
    input_schema={
        "type": "object",
        "properties": {
            "image": field_schema("string", "A stored image, or a PDF: each of its pages is looked at."),
            "video": field_schema("string", "A stored video."),
            "video_frame": field_schema("string", "A picture of a video, stored as an image."),
            "pdf": field_schema("string", "A stored PDF."),
        },
    },
    output_schema=_OUTPUT_SCHEMA,
    parameter_schema=FaceParameters.model_json_schema(),
    default_parameters=FaceParameters().model_dump(mode="json"),
    input_types={"image": ("image", "pdf"), "video": ("video",), "video_frame": ("image",), "pdf": ("pdf",)},
    vector_outputs=(vector_output(FACES, f"{_NAME}_{_VERSION}_embedding", queries=("image",)),),
    position_fields=("frame_number", "page_number", "face_index"),
    costs=priced(2, "moderate", {"image": 5, "face": 5}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"image": "photo"},
        "parameters": {"quality_threshold": 0.3},
    },
)

DEFINITION = Definition(record=_RECORD, parameters=FaceParameters, load=_load)
