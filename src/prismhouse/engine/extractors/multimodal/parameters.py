"""What may be set for the multimodal extractors, and what is refused because nothing here can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from prismhouse.engine.extractors.models import SENT_DIMENSIONS, check_dimensions, chosen_model
from prismhouse.engine.extractors.parameters import Parameters, check_task
from prismhouse.engine.extractors.shapes import check_shape
from prismhouse.engine.inference.registry import CONSE

__all__ = ["MOST_PICTURES", "GenerationConfig", "MultimodalParameters", "shot_threshold", "silence_threshold"]

_NEEDS_VISION = "needs a model with vision = true in the file of models (PRISMHOUSE_INFERENCE__MODELS_FILE)"
_LANGUAGES = frozenset(
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy"  # noqa: SIM905
    " id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru"
    " sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh".split()
)
_SENSITIVITIES = {"low": 0.5, "medium": 0.35, "high": 0.25}
_SILENCE_DB = -40

MOST_PICTURES = 8
"""Of a segment, that a model is shown."""


class GenerationConfig(BaseModel):
    """How a model writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidate_count: Literal[1] = Field(1, description="Answers for each document.")
    max_output_tokens: int = Field(1024, ge=1, le=100_000, description="Most tokens of an answer.")
    temperature: float = Field(0.2, ge=0, le=2, description="How freely is written.")
    top_p: float = Field(0.8, gt=0, le=1, description="Part of the likeliest words that are chosen from.")
    video_fps: float | None = Field(
        None,
        gt=0,
        le=1,
        description=f"Pictures a second of a segment that the model is shown, {MOST_PICTURES} at most. Null: four.",
    )
    response_mime_type: Literal["text/plain", "application/json"] | None = Field(
        None, description="`application/json`: json_output is filled."
    )
    response_schema: dict[str, Any] | None = Field(None, description="JSON schema of json_output.")


class MultimodalParameters(Parameters):
    """How videos and sounds are split, and what is made of each segment."""

    unserved: ClassVar[Mapping[str, str]] = {
        "run_multimodal_embedding": "without its vector a document could not be found",
        "use_cdn": "there is no content delivery network; files are served here",
    }
    written: ClassVar[Mapping[str, bool]] = {
        "run_video_description": True,
        "response_shape": True,
        "generation_config": True,
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
    description_prompt: str | None = Field(
        None, max_length=20_000, description="What descriptions are to tell. Null: what is there, happens, and where."
    )
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
    run_video_description: bool = Field(
        False, description=f"Whether images, segments and what is said are described. It {_NEEDS_VISION}."
    )
    run_description_embedding: bool = Field(
        False, description="Whether the description has a vector of its own. Needs `run_video_description`."
    )
    run_ocr: bool = Field(False, description="Whether writing in pictures is read.")
    run_ocr_embedding: bool = Field(False, description="Whether what is read has a vector of its own. Needs `run_ocr`.")
    enable_thumbnails: bool = Field(True, description="Whether a JPEG of at most 640 pixels is kept.")
    use_cdn: bool = Field(False, description="False: files are served by this server.")
    generation_config: GenerationConfig | None = Field(
        None, description="How it is written; `response_schema` and `application/json` fill json_output."
    )
    output_dimensionality: int = Field(
        SENT_DIMENSIONS,
        ge=1,
        description="Vectors have the dimensions of their model, 384 for the built-in one, whether it is left as it is"
        " or says so.",
    )
    task_type: str = Field("RETRIEVAL_DOCUMENT", description="Vectors are made for this task alone.")
    response_shape: str | dict[str, Any] | None = Field(
        None,
        description="What json_output is to hold of each document, in words or as a JSON schema of an object. It"
        f" {_NEEDS_VISION}.",
    )
    embedding_task: str | None = Field(
        None, description="Vectors are made for `retrieval_document`, whether it is left out or says so."
    )

    embedding_model: str | None = Field(
        None,
        validate_default=True,
        description="Model that puts texts and images into one space. Unset: the default of the file of models, else "
        f"{CONSE}.",
    )

    @field_validator("embedding_model")
    @classmethod
    def _is_here(cls, name: str | None) -> str | None:
        return chosen_model(name, "joint_embedding")

    @model_validator(mode="after")
    def _writes_what_is_used(self) -> Self:
        check_shape("response_shape", self.response_shape)
        config = self.generation_config
        if config is None:
            return self
        try:
            check_shape("response_schema", config.response_schema)
        except ValueError as error:
            raise ValueError(f"generation_config: {error}") from None
        used = self.run_video_description or self.response_shape is not None or config.response_schema is not None
        if not used and config.response_mime_type != "application/json":
            raise ValueError("generation_config: nothing is written. Set run_video_description or response_shape.")
        return self

    @model_validator(mode="after")
    def _vectors_as_they_are(self) -> Self:
        check_dimensions(self.output_dimensionality, self.embedding_model or CONSE)
        check_task("task_type", self.task_type)
        check_task("embedding_task", self.embedding_task)
        return self

    @model_validator(mode="after")
    def _embeds_what_there_is(self) -> Self:
        if self.run_transcription_embedding and not self.run_transcription:
            raise ValueError("run_transcription_embedding: there is no transcription. Set run_transcription to true.")
        if self.run_description_embedding and not self.run_video_description:
            raise ValueError("run_description_embedding: there is no description. Set run_video_description to true.")
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
