"""What may be set for the document graph, and what is refused because nothing here can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from prismhouse.engine.extractors.models import chosen_model
from prismhouse.engine.extractors.parameters import KEYS_STAND_ELSEWHERE, Parameters, check_provider
from prismhouse.engine.inference.registry import MINILM

__all__ = ["VLM_MODEL", "DocumentGraphParameters"]

VLM_MODEL = "gemini-2.5-flash"
"""What clients send where nothing was chosen: it stands for the default of the file of models."""

_VLM_PROVIDER = "google"


class DocumentGraphParameters(Parameters):
    """How the pages of a PDF become blocks."""

    unserved: ClassVar[Mapping[str, str]] = {
        "layout_detector": "the layout is found by PicoDet; docling is not built in",
        "llm_api_key": KEYS_STAND_ELSEWHERE,
    }
    written: ClassVar[Mapping[str, bool]] = {"vlm_model": True}
    written_by: ClassVar[str | None] = "vlm_model"

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
    min_confidence_for_vlm: float = Field(0.6, ge=0, le=1, description="Blocks below this confidence are corrected.")
    use_vlm_correction: bool = Field(
        True,
        description="Whether a model with vision = true in the file of models reads uncertain blocks again, into"
        " text_corrected. It may stay true: where no such model serves by default, nothing is corrected.",
    )
    fast_mode: bool = Field(False, description="True: nothing is corrected, whatever use_vlm_correction says.")
    vlm_provider: str = Field(_VLM_PROVIDER, description="`openai`, the protocol of every model; or left as it is.")
    vlm_model: str = Field(
        VLM_MODEL, description="Model of the file of models that corrects. Left as it is: the default of that file."
    )
    llm_api_key: str | None = Field(None, description="Unset: the file of models names where keys are.")
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

    @model_validator(mode="after")
    def _is_asked_as_all_are(self) -> Self:
        if self.vlm_provider != _VLM_PROVIDER:
            check_provider("vlm_provider", self.vlm_provider)
        return self
