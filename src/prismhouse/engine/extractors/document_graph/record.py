"""What the catalogue says of the document graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.document_graph.correction import check_corrector
from prismhouse.engine.extractors.document_graph.extract import DocumentGraphExtractor
from prismhouse.engine.extractors.document_graph.parameters import DocumentGraphParameters
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.pages import BOX_FIELD
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.inference.registry import MINILM, PAGE_LAYOUT, PP_OCR, check_installed

__all__ = ["DEFINITION"]

_NAME, _VERSION = "document_graph_extractor", "v1"


_OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "page_number": field_schema("integer", "Page of the file, from 1."),
        "total_pages": field_schema("integer", "Pages of the file."),
        "block_index": field_schema("integer", "Place of the block on its page, as it is read, from 0."),
        "object_type": field_schema("string", "paragraph, list, table, figure, header (also a heading) or footer."),
        "text_raw": field_schema("string", "The text; rows of a table are lines, their cells parted by bars."),
        "text_corrected": field_schema(
            "string", "The text as a model reads it in the picture, where it was uncertain."
        ),
        "bbox": BOX_FIELD,
        "page_width": field_schema("number", "Width of the page in points."),
        "page_height": field_schema("number", "Height of the page in points."),
        "overall_confidence": field_schema("number", "How sure the text is, 0 to 1."),
        "confidence_tag": field_schema("string", "A from 0.85, B from 0.70, C from 0.50, else D."),
        "source_file": field_schema("string", "Name of the file."),
        "embedding_truncated": field_schema("boolean", "True when the text is longer than the model reads."),
        "thumbnail_url": field_schema("string", "JPEG of the page."),
        "segment_thumbnail_url": field_schema("string", "JPEG of the block."),
    },
}


def _outputs(parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    if not parameters["run_text_embedding"]:
        return ()
    return (vector_output(parameters.get("embedding_model") or MINILM, "document_graph_extractor_v1_text_embedding"),)


_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Takes PDFs apart into paragraphs, lists, tables and figures in reading order; scans are read by OCR.",
    category="document",
    icon="file-text",
    input_schema={
        "type": "object",
        "properties": {"pdf": field_schema("string", "A stored PDF.")},
        "required": ["pdf"],
    },
    output_schema=_OUTPUT_SCHEMA,
    parameter_schema=DocumentGraphParameters.model_json_schema(),
    default_parameters=DocumentGraphParameters().model_dump(mode="json"),
    input_types={"pdf": ("pdf",)},
    vector_outputs=_outputs({"run_text_embedding": True}),
    position_fields=("page_number", "block_index"),
    costs=priced(3, "complex", {"page": 5, "extraction": 20}),
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"pdf": "report"},
        "parameters": {"min_text_length": 5, "thumbnail_mode": "segment"},
    },
)


def _load(parameters: Mapping[str, Any], resources: Resources) -> DocumentGraphExtractor:
    """Return the extractor; raise ModelMissing or WriterMissing for what it may need, before a file is read."""
    check_corrector(parameters)
    check_installed(PP_OCR)
    if parameters["use_layout_detection"]:
        check_installed(PAGE_LAYOUT)
    return DocumentGraphExtractor(parameters, resources)


DEFINITION = Definition(
    record=_RECORD, parameters=DocumentGraphParameters, load=_load, outputs=_outputs, check=check_corrector
)
