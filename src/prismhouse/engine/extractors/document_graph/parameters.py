"""What may be set for the document graph, and what is refused because nothing here can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from prismhouse.engine.extractors.models import chosen_model
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.inference.registry import MINILM

__all__ = ["DocumentGraphParameters"]

_NO_VLM = "needs a model that reads pictures of text and follows instructions, and none is built in"


class DocumentGraphParameters(Parameters):
    """How the pages of a PDF become blocks."""

    unserved: ClassVar[Mapping[str, str]] = {
        "layout_detector": "the layout is found by PicoDet; docling is not built in",
        "vlm_provider": _NO_VLM,
        "vlm_model": _NO_VLM,
        "llm_api_key": _NO_VLM,
    }

    extractor_type: Literal["document_graph_extractor"] = "document_graph_extractor"
    use_layout_detection: bool = Field(
        True,
        description="Whether tables, figures, headers and footers are told apart by a model; false: by place alone.",
    )
    layout_detector: Literal["pymupdf", "docling"] = Field(
        "pymupdf", description="Has no effect: PicoDet finds the layout. `docling` is refused."
    )
    vertical_threshold: float = Field(
        15.0, ge=1, le=100, description="Points between lines from which on they are of two blocks."
    )
    horizontal_threshold: float = Field(
        50.0, ge=1, le=200, description="Points between pieces of a line from which on they are of two blocks."
    )
    min_text_length: int = Field(
        20, ge=1, le=500, description="Shorter blocks are left out, unless they are tables or figures."
    )
    base_confidence: float = Field(
        0.85, ge=0, le=1, description="Confidence of text that the file itself holds; what is recognized has its own."
    )
    min_confidence_for_vlm: float = Field(0.6, ge=0, le=1, description=f"Has no effect: correction {_NO_VLM}.")
    use_vlm_correction: bool = Field(True, description=f"Has no effect, and may stay true: correction {_NO_VLM}.")
    fast_mode: bool = Field(False, description="Has no effect: it turns off the correction that is not there.")
    vlm_provider: str = Field("google", description=f"Left as it is: correction {_NO_VLM}.")
    vlm_model: str = Field("gemini-2.5-flash", description=f"Left as it is: correction {_NO_VLM}.")
    llm_api_key: str | None = Field(None, description=f"Unset: correction {_NO_VLM}.")
    embedding_model: str | None = Field(
        None,
        validate_default=True,
        description=f"Text model of the vectors. Unset: the default of the file of models, else {MINILM}.",
    )
    run_text_embedding: bool = Field(True, description="Whether each block has a vector of its text.")
    render_dpi: int = Field(150, ge=72, le=300, description="Dots per inch of the page that models look at.")
    generate_thumbnails: bool = Field(True, description="Whether JPEGs are kept.")
    thumbnail_mode: Literal["full_page", "segment", "both"] = Field(
        "both", description="What is shown: the page, the block, or both."
    )
    thumbnail_dpi: int = Field(72, ge=36, le=150, description="Dots per inch of JPEGs.")

    @field_validator("embedding_model")
    @classmethod
    def _is_here(cls, name: str | None) -> str | None:
        return chosen_model(name, "text_embedding")
