"""What may be set for the universal extractor, and what is refused because nothing here can do it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from prismhouse.engine.extractors.parameters import Parameters

__all__ = ["UniversalParameters"]

_MADE = 384
_SENT = 3072
"""What clients send where nothing was chosen."""


class UniversalParameters(Parameters):
    """How much of a file is read, and what is told of it."""

    extractor_type: Literal["universal_extractor"] = "universal_extractor"
    output_dimensionality: int = Field(
        _SENT,
        ge=256,
        le=3072,
        description=f"Vectors have {_MADE} dimensions, whether it is left at {_SENT} or set to {_MADE}.",
    )
    task_type: str = Field("RETRIEVAL_DOCUMENT", description="The built-in model has one mode for all tasks.")
    generate_description: bool = Field(
        True,
        description="Whether a model with vision = true in the file of models writes a `description` of each document."
        " It may stay true: where no such model serves by default, nothing is described.",
    )
    extract_text: bool = Field(
        True,
        description="Whether writing in pictures and scanned pages is read, and speech written down. The text layer of"
        " a PDF and text files are read in any case.",
    )
    max_video_segments: int = Field(
        10, ge=1, le=50, description="Segments of 30 s of a video or a sound; what comes after is counted as dropped."
    )
    max_document_pages: int = Field(
        50, ge=1, le=200, description="Pages of a document; what comes after is counted as dropped."
    )
    max_file_download_mb: int = Field(500, ge=1, le=1024, description="Larger files fail, in MiB.")
    max_concurrency: int = Field(
        4, ge=1, le=32, description="Has no effect: the compute processes decide how many files are read at once."
    )

    @model_validator(mode="after")
    def _vectors_as_they_are(self) -> Self:
        if self.output_dimensionality not in (_MADE, _SENT):
            raise ValueError(
                f"output_dimensionality: the built-in model makes vectors of {_MADE} dimensions, and they lose their"
                f" meaning when they are cut. Leave it out or set it to {_MADE}."
            )
        return self
