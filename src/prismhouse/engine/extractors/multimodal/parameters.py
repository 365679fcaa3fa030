"""What may be set for the multimodal extractors, and what is refused because nothing here can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from prismhouse.engine.extractors.parameters import NEEDS_LANGUAGE_MODEL, Parameters

__all__ = ["MultimodalParameters", "shot_threshold", "silence_threshold"]

_NO_DESCRIPTION = "needs a model that describes pictures, and none is built in or can be set yet"
_LANGUAGES = frozenset(
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy"  # noqa: SIM905
    " id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru"
    " sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh".split()
)
_SENSITIVITIES = {"low": 0.5, "medium": 0.35, "high": 0.25}
_SILENCE_DB = -40


class MultimodalParameters(Parameters):
    """How videos and sounds are split, and what is made of each segment."""

    unserved: ClassVar[Mapping[str, str]] = {
        "run_multimodal_embedding": "without its vector a document could not be found",
        "run_video_description": _NO_DESCRIPTION,
        "run_description_embedding": _NO_DESCRIPTION,
        "use_cdn": "there is no content delivery network; files are served here",
        "generation_config": NEEDS_LANGUAGE_MODEL,
        "response_shape": NEEDS_LANGUAGE_MODEL,
    }

    extractor_type: Literal["multimodal_extractor"] = "multimodal_extractor"
    split_method: Literal["time", "scene", "silence"] = Field(
        "time",
        description="Where segments begin: every `time_split_interval`, at hard cuts, or in the middle of pauses. "
        "A sound has no scenes: it is split by time.",
    )
    time_split_interval: int | None = Field(10, ge=1, description="Seconds of a segment. Null: one segment.")
    silence_db_threshold: int | None = Field(
        None,
        ge=-120,
        lt=0,
        description="What is quieter for half a second is a pause; in dB below full level. Null: -40.",
    )
    scene_detection_threshold: float | None = Field(
        None, gt=0, le=1, description="How much a picture differs at a cut, 0 to 1. Null: by `sensitivity`."
    )
    sensitivity: Literal["low", "medium", "high"] = Field(
        "low", description="How small a change is a cut: thresholds of 0.5, 0.35 and 0.25."
    )
    max_segment_duration: float | None = Field(
        30.0, gt=0, description="Seconds after which scenes, and what lies between pauses, are split. Null: never."
    )
    description_prompt: str | None = Field(None, description=f"Has no effect: {_NO_DESCRIPTION}.")
    transcription_language: str | None = Field(
        None,
        pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$",
        description="ISO 639-1 code of what is spoken. Null: found out for each file. `en` takes a faster model.",
    )
    run_multimodal_embedding: bool = Field(True, description="True: every document has a vector.")
    run_transcription: bool = Field(False, description="Whether speech is written down.")
    run_transcription_embedding: bool = Field(
        False, description="Whether the transcription has a vector of its own. Needs `run_transcription`."
    )
    run_video_description: bool = Field(False, description=f"False: {_NO_DESCRIPTION}.")
    run_description_embedding: bool = Field(False, description=f"False: {_NO_DESCRIPTION}.")
    run_ocr: bool = Field(False, description="Whether writing in pictures is read.")
    run_ocr_embedding: bool = Field(False, description="Whether what is read has a vector of its own. Needs `run_ocr`.")
    enable_thumbnails: bool = Field(True, description="Whether a JPEG of at most 640 pixels is kept.")
    use_cdn: bool = Field(False, description="False: files are served by this server.")
    generation_config: dict[str, Any] | None = Field(None, description=f"Unset: {NEEDS_LANGUAGE_MODEL}.")
    output_dimensionality: Literal[384, 768, 1536, 3072] = Field(
        3072, description="Has no effect: the built-in model has 384 dimensions."
    )
    task_type: str = Field("RETRIEVAL_DOCUMENT", description="The built-in model has one mode for all tasks.")
    response_shape: str | dict[str, Any] | None = Field(None, description=f"Unset: {NEEDS_LANGUAGE_MODEL}.")
    embedding_task: str | None = Field(None, description="The built-in model has one mode for all tasks.")

    @model_validator(mode="after")
    def _embeds_what_there_is(self) -> Self:
        if self.run_transcription_embedding and not self.run_transcription:
            raise ValueError("run_transcription_embedding: there is no transcription. Set run_transcription to true.")
        if self.run_ocr_embedding and not self.run_ocr:
            raise ValueError("run_ocr_embedding: nothing is read. Set run_ocr to true.")
        language = (self.transcription_language or "en").partition("-")[0]
        if language not in _LANGUAGES:
            raise ValueError(
                f"transcription_language: Whisper does not know {language}. Leave it out to have it found."
            )
        return self


def shot_threshold(parameters: Mapping[str, Any]) -> float:
    """Return from which difference on a picture begins a shot."""
    return float(parameters["scene_detection_threshold"] or _SENSITIVITIES[parameters["sensitivity"]])


def silence_threshold(parameters: Mapping[str, Any]) -> float:
    """Return below how many dB it is silent."""
    return float(parameters["silence_db_threshold"] or _SILENCE_DB)
