"""What the catalogue says of course content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.engine.extractors.course.documents import CODE
from prismhouse.engine.extractors.course.extract import CourseExtractor
from prismhouse.engine.extractors.course.parameters import CourseParameters
from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.pages import BOX_FIELD
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.inference.registry import CONSE, MINILM, check_installed
from prismhouse.engine.inference.writers import writer_entry

__all__ = ["DEFINITION"]

_NAME, _VERSION = "course_content_extractor", "v1"


_OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "doc_type": field_schema("string", "What it is of: video, pdf or code."),
        "unit_type": field_schema(
            "string", "segment or screen of a video; element or page of a PDF; function, class, block, file or text."
        ),
        "text_content": field_schema("string", "What is said, or what is written in prose; of code, its comment."),
        "code_content": field_schema("string", "The code; of screens and PDFs, what looks like code."),
        "code_language": field_schema("string", "Its language: by the file's name, else guessed."),
        "screen_text": field_schema("string", "What is written on the screen, each text once."),
        "title": field_schema(
            "string", "File and name of code, the heading above in a PDF, the first line of a screen."
        ),
        "file_path": field_schema("string", "Path of the file in the archive."),
        "start_time": field_schema("number", "Seconds at which the segment begins."),
        "end_time": field_schema("number", "Seconds at which it ends."),
        "segment_index": field_schema("integer", "Place of the segment in the video, from 0."),
        "page_number": field_schema("integer", "Page of the PDF, from 0."),
        "element_index": field_schema("integer", "Place on the page, in the segment or in the file, from 0."),
        "element_type": field_schema("string", "heading, paragraph, list, table, figure, footer, code; or page."),
        "bbox": BOX_FIELD,
        "start_line": field_schema("integer", "First line in the file, from 1."),
        "end_line": field_schema("integer", "Last line in the file."),
        "summary": field_schema("string", "What a model writes of it; with enrich_with_llm."),
        "embedding_truncated": field_schema("boolean", "True when some of the text did not go into a vector."),
        "source_video_url": field_schema("string", "The video that the segment is of."),
        "thumbnail": field_schema("string", "JPEG of the segment, the screen or the page, at most 640 pixels."),
    },
}


def _outputs(parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    """Return the vectors that are wanted, the first of them as the primary one."""
    wanted = (
        ("run_text_embedding", MINILM, MINILM, "text", ("text",)),
        ("run_code_embedding", CODE, MINILM, "code", ("text",)),
        ("run_visual_embedding", CONSE, CONSE, "visual", ("text", "image")),
    )
    made: list[VectorOutput] = []
    for switch, name, model, field, queries in wanted:
        if parameters[switch]:
            storage_name = f"{_NAME}_{_VERSION}_{field}_embedding"
            made.append(vector_output(model, storage_name, name=name, queries=queries, primary=not made))
    return tuple(made)


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Takes lectures, papers and source code apart into units: segments, screens, elements, functions.",
    category="education",
    icon="graduation-cap",
    input_schema={
        "type": "object",
        "properties": {
            "video": field_schema("string", "A stored video."),
            "srt": field_schema("string", "Its subtitles, as SRT or VTT."),
            "pdf": field_schema("string", "A stored PDF."),
            "code_archive": field_schema("string", "A stored ZIP archive of source code."),
        },
    },
    output_schema=_OUTPUT_SCHEMA,
    parameter_schema=CourseParameters.model_json_schema(),
    default_parameters=CourseParameters().model_dump(mode="json"),
    # `any` is found by name alone: a field of texts is not taken for subtitles because there is one.
    input_types={"video": ("video",), "srt": ("any",), "pdf": ("pdf",), "code_archive": ("binary", "document", "any")},
    vector_outputs=_outputs(CourseParameters().model_dump(mode="json")),
    position_fields=("doc_type", "file_path", "segment_index", "page_number", "element_index", "start_line"),
    type_mode="multimodal",
    costs=priced(3, "complex", {"minute": 50, "page": 5, "extraction": 1}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"video": "lecture", "srt": "subtitles", "pdf": "slides", "code_archive": "examples"},
        "parameters": {"segmentation_method": "scene", "target_segment_duration_ms": 120000},
    },
)


def _check(parameters: Mapping[str, Any]) -> None:
    if parameters["enrich_with_llm"]:
        writer_entry()


def _load(parameters: Mapping[str, Any], resources: Resources) -> CourseExtractor:
    """Return the extractor; raise ModelMissing for the models that its vectors need, before a file is read."""
    for output in _outputs(parameters):
        check_installed(output.model)
    return CourseExtractor(parameters, resources)


DEFINITION = Definition(record=_RECORD, parameters=CourseParameters, load=_load, outputs=_outputs, check=_check)
