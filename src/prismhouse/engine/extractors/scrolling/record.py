"""What the catalogue says of scrolling_text_extractor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.extractors.scrolling.extract import ScrollingTextExtractor
from prismhouse.engine.extractors.scrolling.parameters import ScrollingParameters
from prismhouse.engine.inference.registry import PP_OCR, check_installed

__all__ = ["DEFINITION"]

_NAME, _VERSION = "scrolling_text_extractor", "v1"


_BAND = {
    "band_index": field_schema("integer", "Number of the band, from 0, in the order in which they begin."),
    "text": field_schema("string", "What the band says, one round of it."),
    "direction": field_schema("string", "Where it moves: left or right."),
    "speed_px_per_second": field_schema("number", "How fast it moves, in pixels of the video."),
    "y": field_schema("integer", "Upper edge of the band in pixels."),
    "height": field_schema("integer", "Height of the band in pixels."),
    "start_time": field_schema("number", "Seconds at which it is first seen to move."),
    "end_time": field_schema("number", "Seconds at which it is last seen to move."),
}


def _load(parameters: Mapping[str, Any], resources: Resources) -> ScrollingTextExtractor:
    """Return the extractor; raise ModelMissing before a file is read."""
    check_installed(PP_OCR)
    return ScrollingTextExtractor(parameters, resources)


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Reads tickers that run through videos from side to side, and writing that stands still.",
    category="video",
    icon="scroll-text",
    input_schema={
        "type": "object",
        "properties": {"video": field_schema("string", "A stored video.")},
        "required": ["video"],
    },
    output_schema={
        "type": "object",
        "properties": {
            "scrolling_text": field_schema("string", "What all bands say, parted by bars."),
            "scroll_bands": {
                "type": "array",
                "description": "The bands in which writing moves.",
                "items": {"type": "object", "properties": _BAND},
            },
            "bands_detected": field_schema("integer", "How many bands there are."),
            "static_text": field_schema("string", "Writing that stands still, each line once."),
            "start_time": field_schema("number", "0: the document is of the whole video."),
            "end_time": field_schema("number", "Seconds at which the video ends."),
            "duration": field_schema("number", "Seconds that the video lasts."),
            "width": field_schema("integer", "Width of the video in pixels."),
            "height": field_schema("integer", "Height of the video in pixels."),
            "source_fps": field_schema("number", "Pictures a second of the video, on average."),
            "source_video_url": field_schema("string", "The video."),
        },
    },
    parameter_schema=ScrollingParameters.model_json_schema(),
    default_parameters=ScrollingParameters().model_dump(mode="json"),
    input_types={"video": ("video",)},
    vector_outputs=(),
    position_fields=("start_time",),
    costs=priced(2, "moderate", {"minute": 30}),
    inference_type=None,
    example_usage={"feature_extractor_name": _NAME, "version": _VERSION, "input_mappings": {"video": "broadcast"}},
)

DEFINITION = Definition(record=_RECORD, parameters=ScrollingParameters, load=_load)
