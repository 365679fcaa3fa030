"""What the catalogue says of the web scraper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prismhouse.engine.extractors.definition import Definition, Resources, priced
from prismhouse.engine.extractors.models import vector_output
from prismhouse.engine.extractors.pictures import visual_outputs
from prismhouse.engine.extractors.port import ExtractorRecord, VectorOutput
from prismhouse.engine.extractors.schemas import field_schema
from prismhouse.engine.extractors.shapes import shape_fields
from prismhouse.engine.extractors.web.extract import WebExtractor
from prismhouse.engine.extractors.web.fields import OUTPUT_SCHEMA
from prismhouse.engine.extractors.web.parameters import WebScraperParameters
from prismhouse.engine.inference.registry import CONSE, MINILM, check_installed
from prismhouse.engine.inference.writers import writer_entry

__all__ = ["DEFINITION"]

_NAME, _VERSION = "web_scraper", "v1"
# Named, not imported: processes that only compute need nothing that fetches.
_GATHERER = "prismhouse.engine.web.gather:gather"
_STORED = "web_scraper_v1_{}_embedding"


def _outputs(parameters: Mapping[str, Any]) -> tuple[VectorOutput, ...]:
    """Return the vectors that are asked for; the text's leads, where it is."""
    image, structure = visual_outputs(_STORED.format("image"), _STORED.format("structure"))
    text = vector_output(MINILM, _STORED.format("text"))
    wanted = (
        (text, "generate_text_embeddings"),
        (image, "generate_image_embeddings"),
        (structure, "generate_structure_embeddings"),
    )
    chosen = [output for output, name in wanted if parameters[name]]
    return tuple(replace(output, primary=place == 0) for place, output in enumerate(chosen))


_DEFAULTS = WebScraperParameters().model_dump(mode="json")
_RECORD = ExtractorRecord(
    name=_NAME,
    version=_VERSION,
    description="Crawls a site from one address on, by the rules of its robots.txt, and embeds its pages and pictures.",
    category="text",
    icon="globe",
    input_schema={
        "type": "object",
        "properties": {"url": field_schema("string", "Address of the first page, http or https.")},
        "required": ["url"],
    },
    output_schema=OUTPUT_SCHEMA,
    parameter_schema=WebScraperParameters.model_json_schema(),
    default_parameters=_DEFAULTS,
    input_types={"url": ("url", "string", "text")},
    vector_outputs=_outputs(_DEFAULTS),
    position_fields=("page_url", "chunk_index"),
    max_inputs={"url": 1},
    costs=priced(2, "moderate", {"page": 5, "image": 2}),
    gatherer=_GATHERER,
    gathering_parameter="crawl_timeout",
    example_usage={
        "feature_extractor_name": _NAME,
        "version": _VERSION,
        "input_mappings": {"url": "url"},
        "parameters": {
            "max_depth": 1,
            "max_pages": 20,
            "chunk_strategy": "paragraphs",
            "chunk_size": 5,
            "chunk_overlap": 1,
        },
    },
)


def _check(parameters: Mapping[str, Any]) -> None:
    if parameters["response_shape"] is not None:
        writer_entry(parameters["llm_model"])


def _load(parameters: Mapping[str, Any], resources: Resources) -> WebExtractor:
    """Return the extractor; raise ModelMissing for what it may need, before a page is read."""
    if parameters["generate_image_embeddings"] or parameters["generate_structure_embeddings"]:
        check_installed(CONSE)
    return WebExtractor(parameters, resources)


DEFINITION = Definition(
    record=_RECORD,
    parameters=WebScraperParameters,
    load=_load,
    outputs=_outputs,
    fields=shape_fields,
    check=_check,
)
