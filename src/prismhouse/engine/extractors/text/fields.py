"""Fields of the documents of a text."""

from __future__ import annotations

from prismhouse.engine.extractors.schemas import field_schema

__all__ = ["OUTPUT_SCHEMA"]

OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "text": field_schema("string", "The chunk's text."),
        "chunk_index": field_schema("integer", "Place of the chunk in its text, from 0."),
        "total_chunks": field_schema("integer", "Chunks of the text."),
        "start_char": field_schema("integer", "First character of the chunk in the text, from 0."),
        "end_char": field_schema("integer", "Character after the chunk's last one."),
        "input_index": field_schema("integer", "Which of several texts of one object, from 0."),
        "response_truncated": field_schema(
            "boolean", "True when response_shape is filled from the chunk's beginning alone."
        ),
        "embedding_truncated": field_schema("boolean", "True when the chunk is longer than the model reads."),
        "page_number": field_schema("integer", "pages: number of the chunk's first page, from 1."),
        "heading_path": {
            "type": "array",
            "items": {"type": "string"},
            "description": "markdown: headings above the chunk, outermost first.",
        },
        "chunk_kind": field_schema("string", "markdown: section or code."),
        "code_language": field_schema("string", "markdown: language of a code block, when it is given."),
        "start_ms": field_schema("integer", "time_segments: start of the first cue."),
        "end_ms": field_schema("integer", "time_segments: end of the last cue."),
        "segment_index": field_schema("integer", "time_segments: place of the segment, from 0."),
        "total_segments": field_schema("integer", "time_segments: segments of the text."),
    },
}
