"""What may be set for scrolling text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from prismhouse.engine.extractors.parameters import Parameters

__all__ = ["ScrollingParameters"]


class ScrollingParameters(Parameters):
    """How moving writing is looked for. Pixels are those of the video."""

    extractor_type: Literal["scrolling_text_extractor"] = "scrolling_text_extractor"
    fps: float = Field(
        5.0,
        ge=1,
        le=30,
        description="Pictures a second that are compared. Between two of them writing may move by half of its width.",
    )
    strip_height: int = Field(
        40, ge=10, le=200, description="Height of the strips that are compared; about that of a ticker."
    )
    min_shift_px: float = Field(
        2.0, ge=0.5, le=20, description="Least movement between two pictures that are compared."
    )
    consistency_ratio: float = Field(
        0.6, ge=0.3, le=1, description="Part of the pictures in which a strip has to move alike."
    )
    pad: int = Field(8, ge=0, le=50, description="Rows above and below the moving ones that are read with them.")
    static_ocr: bool = Field(True, description="Whether writing that stands still is read too.")
    max_static_frames: int = Field(4, ge=1, le=12, description="Most pictures in which standing writing is read.")
