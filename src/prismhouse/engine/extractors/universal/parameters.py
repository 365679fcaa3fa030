"""What may be set for the universal extractor, and what is refused because nothing here can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from prismhouse.engine.extractors.models import SENT_DIMENSIONS, check_dimensions
from prismhouse.engine.extractors.parameters import Parameters, check_task
from prismhouse.engine.inference.registry import CONSE

__all__ = ["UniversalParameters"]


class UniversalParameters(Parameters):
    """How much of a file is read, and what is told of it."""

    unserved: ClassVar[Mapping[str, str]] = {
        "max_concurrency": "how many files are read at once is decided by the compute processes",
    }

    extractor_type: Literal["universal_extractor"] = "universal_extractor"
    output_dimensionality: int = Field(
        SENT_DIMENSIONS,
        ge=256,
        le=3072,
        description=f"Vectors have the dimensions of {CONSE}, 384, whether it is left as it is or says so.",
    )
    task_type: str = Field("RETRIEVAL_DOCUMENT", description="Vectors are made for this task alone.")
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
        4, ge=1, le=32, description="Cannot be changed: the compute processes decide how many files are read at once."
    )

    @model_validator(mode="after")
    def _vectors_as_they_are(self) -> Self:
        check_dimensions(self.output_dimensionality, CONSE)
        check_task("task_type", self.task_type)
        return self
