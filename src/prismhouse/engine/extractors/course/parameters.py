"""What may be set for course content, and what is refused because nothing here can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from prismhouse.engine.extractors.course.languages import LANGUAGES
from prismhouse.engine.extractors.parameters import NEEDS_LANGUAGE_MODEL, Parameters

__all__ = ["PROMPT", "CourseParameters"]

PROMPT = "Summarize this educational content segment, highlighting key concepts."


class CourseParameters(Parameters):
    """How videos, PDFs and archives of a course become units."""

    unserved: ClassVar[Mapping[str, str]] = {
        "use_cdn": "there is no content delivery network; files are served here",
        "visual_embedding_use_case": "pictures are embedded by one model, in one way",
    }
    written: ClassVar[Mapping[str, bool]] = {"enrich_with_llm": False}

    extractor_type: Literal["course_content_extractor"] = "course_content_extractor"
    target_segment_duration_ms: int = Field(
        120_000, ge=30_000, le=600_000, description="Milliseconds after which a segment of a video ends at the latest."
    )
    min_segment_duration_ms: int = Field(
        30_000,
        ge=1_000,
        le=600_000,
        description="Milliseconds that a segment lasts at least; a shorter rest goes to the segment before it.",
    )
    segmentation_method: Literal["scene", "srt", "time"] = Field(
        "scene",
        description="Where segments end: at the last cut, or the last beginning of a subtitle, before the target is"
        " reached; or at the target itself.",
    )
    scene_detection_threshold: float = Field(
        0.3, gt=0, le=1, description="How much a picture differs at a cut, 0 to 1."
    )
    use_whisper_asr: bool = Field(
        True, description="Whether speech is written down where the row has no subtitles (`srt`)."
    )
    expand_to_granular_docs: bool = Field(
        True, description="Whether what is written on the screen gives documents of its own, one for each new screen."
    )
    ocr_frames_per_segment: int = Field(3, ge=1, le=10, description="Pictures of a segment whose writing is read.")
    pdf_extraction_mode: Literal["per_element", "per_page"] = Field(
        "per_element", description="What of a PDF a document is."
    )
    pdf_render_dpi: int = Field(150, ge=72, le=300, description="Dots per inch of the page that models look at.")
    detect_code_in_pdf: bool = Field(True, description="Whether code in PDFs is told from prose.")
    segment_functions: bool = Field(
        True, description="Whether source files become functions, classes and what is between them, or stay whole."
    )
    supported_languages: list[str] = Field(
        default_factory=list,
        description=f"Languages of archives that are read. Empty: all of them, which are {', '.join(LANGUAGES)}.",
    )
    run_text_embedding: bool = Field(True, description="Whether transcripts, screens and texts have a vector.")
    run_code_embedding: bool = Field(
        True, description="Whether code has a vector. It is that of the text model: no model of code is built in."
    )
    run_visual_embedding: bool = Field(False, description="Whether segments of videos have a vector of their pictures.")
    visual_embedding_use_case: str = Field("lecture", description="Cannot be changed: the model has one mode.")
    extract_screen_text: bool = Field(True, description="Whether the writing on pictures of videos is read.")
    generate_thumbnails: bool = Field(True, description="Whether JPEGs of segments, screens and pages are kept.")
    use_cdn: bool = Field(False, description="False: files are served by this server.")
    enrich_with_llm: bool = Field(
        False, description=f"Whether a model writes a `summary` of each document. It {NEEDS_LANGUAGE_MODEL}."
    )
    llm_prompt: str | None = Field(
        PROMPT, max_length=20_000, description="What the summary is to tell. Needs `enrich_with_llm`."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.llm_prompt not in (None, PROMPT) and not self.enrich_with_llm:
            raise ValueError("llm_prompt: nothing is written. Set enrich_with_llm to true.")
        if self.min_segment_duration_ms > self.target_segment_duration_ms:
            raise ValueError(
                f"min_segment_duration_ms: {self.min_segment_duration_ms} must be at most target_segment_duration_ms,"
                f" which is {self.target_segment_duration_ms}."
            )
        if unknown := [name for name in self.supported_languages if name.lower() not in LANGUAGES]:
            raise ValueError(f"supported_languages: {unknown[0]!r} is not read. Known: {', '.join(LANGUAGES)}.")
        return self
