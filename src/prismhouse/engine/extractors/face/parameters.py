"""What may be set for faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from prismhouse.engine.extractors.parameters import Parameters

__all__ = ["FaceParameters"]


class FaceParameters(Parameters):
    """Which faces count, and what is kept of them."""

    unserved: ClassVar[Mapping[str, str]] = {
        "detection_model": "one detector is built in, YuNet, which documents name in detection_model",
    }

    extractor_type: Literal["face_identity_extractor"] = "face_identity_extractor"
    detection_model: Literal["scrfd_500m", "scrfd_2.5g", "scrfd_10g"] = Field(
        "scrfd_2.5g",
        description="Left as it is: YuNet finds the faces, the one detector that is built in. The others are refused.",
    )
    min_face_size: int = Field(20, ge=10, le=200, description="Pixels of the shorter side; smaller faces do not count.")
    detection_threshold: float = Field(0.5, ge=0.0, le=1.0, description="Faces less sure than this do not count.")
    max_faces_per_image: int | None = Field(None, ge=1, description="The largest so many count. Null: all.")
    normalize_embeddings: bool = Field(True, description="Whether vectors are of unit length.")
    enable_quality_scoring: bool = Field(True, description="Whether `quality_score` is told.")
    quality_threshold: float | None = Field(
        None, ge=0.0, le=1.0, description="Faces of a lower `quality_score` do not count. Null: all count."
    )
    max_video_length: int = Field(60, ge=1, le=300, description="Seconds of a video that are looked at.")
    video_sampling_fps: float = Field(1.0, ge=0.1, le=60.0, description="Pictures of a video looked at a second.")
    video_deduplication: bool = Field(
        True, description="Whether a face that is seen several times in a video becomes one document, its best view."
    )
    video_deduplication_threshold: float = Field(
        0.8, ge=0.0, le=1.0, description="Cosine from which two faces of a video count as one."
    )
    output_mode: Literal["per_face", "per_image"] = Field(
        "per_face", description="One document for each face, or for each picture with its faces listed."
    )
    include_face_crops: bool = Field(True, description="Whether the face is kept as a file, and upright in 112 pixels.")
    include_source_frame_thumbnail: bool = Field(False, description="Whether a small JPEG of the picture is kept.")
    store_detection_metadata: bool = Field(True, description="Whether box, landmarks and scores are told.")

    @model_validator(mode="after")
    def _quality_is_known_where_it_counts(self) -> Self:
        if self.quality_threshold is not None and not self.enable_quality_scoring:
            raise ValueError("quality_threshold: needs enable_quality_scoring. Leave one of them out.")
        return self
