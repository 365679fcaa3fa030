"""What may be set for texts, and what is refused because nothing here can do it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from prismhouse.engine.extractors.models import chosen_model
from prismhouse.engine.extractors.parameters import (
    KEYS_STAND_ELSEWHERE,
    NEEDS_LANGUAGE_MODEL,
    Parameters,
    check_provider,
    check_task,
)
from prismhouse.engine.extractors.shapes import check_shape
from prismhouse.engine.extractors.text.fields import OUTPUT_SCHEMA
from prismhouse.engine.inference.registry import MINILM

__all__ = ["SplitBy", "TextParameters"]

_NO_CAPTIONS = "captions are those of YouTube videos, which are not fetched; texts are read in every language"


class SplitBy(StrEnum):
    """What a chunk is counted in."""

    CHARACTERS = "characters"
    WORDS = "words"
    SENTENCES = "sentences"
    PARAGRAPHS = "paragraphs"
    PAGES = "pages"
    TIME_SEGMENTS = "time_segments"
    MARKDOWN = "markdown"
    NONE = "none"


class TextParameters(Parameters):
    """How a text is split and embedded."""

    unserved: ClassVar[Mapping[str, str]] = {
        "source_type": "YouTube videos are not fetched; upload the transcript as text",
        "language": _NO_CAPTIONS,
        "extract_captions": _NO_CAPTIONS,
        "normalize": "the vectors are always of unit length",
        "llm_api_key": KEYS_STAND_ELSEWHERE,
    }
    written: ClassVar[Mapping[str, bool]] = {"llm_model": False, "response_shape": False, "llm_provider": False}
    written_by: ClassVar[str | None] = "llm_model"

    extractor_type: Literal["text_extractor"] = "text_extractor"
    source_type: Literal["text", "youtube"] = Field("text", description="`text`. YouTube videos are not fetched.")
    split_by: SplitBy = Field(SplitBy.NONE, description="Unit of the chunks; `none`: one document for each text.")
    chunk_size: int = Field(
        1000, ge=1, le=10_000, description="Size of a chunk, in units of split_by. Markdown: characters."
    )
    chunk_overlap: int = Field(
        0,
        ge=0,
        le=5_000,
        description="Units that a chunk shares with the one before; less than chunk_size. Markdown: ignored."
        " time_segments: seconds.",
    )
    segment_length_seconds: int = Field(120, ge=30, le=600, description="Length of a segment of time_segments.")
    language: str = Field("en", description="Language of captions of YouTube, which are not fetched.")
    extract_captions: bool = Field(True, description="Whether captions of YouTube are read, which are not fetched.")
    normalize: bool = Field(True, description="Vectors are of unit length.")
    response_shape: str | dict[str, Any] | None = Field(
        None,
        description="What is to be told of each document, in words or as a JSON schema of an object; its keys become"
        f" fields. It {NEEDS_LANGUAGE_MODEL}.",
    )
    llm_provider: str | None = Field(None, description="`openai`, the protocol of every model; or unset.")
    llm_model: str | None = Field(
        None, description="Model of the file of models that fills response_shape. Unset: its default."
    )
    llm_api_key: str | None = Field(None, description="Unset: the file of models names where keys are.")
    embedding_model: str | None = Field(
        None,
        validate_default=True,
        validation_alias=AliasChoices("embedding_model", "model"),
        description=f"Text model of the vector. Unset: the default of the file of models, else {MINILM}.",
    )
    embedding_task: str | None = Field(
        None, description="Vectors are made for `retrieval_document`, whether it is left out or says so."
    )

    @field_validator("embedding_model")
    @classmethod
    def _is_here(cls, name: str | None) -> str | None:
        return chosen_model(name, "text_embedding")

    @model_validator(mode="after")
    def _asks_for_what_there_is(self) -> Self:
        check_provider("llm_provider", self.llm_provider)
        check_task("embedding_task", self.embedding_task)
        check_shape("response_shape", self.response_shape, OUTPUT_SCHEMA["properties"])
        return self

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if self.split_by is SplitBy.TIME_SEGMENTS:
            limit, name = self.segment_length_seconds, "segment_length_seconds"
        else:
            limit, name = self.chunk_size, "chunk_size"
        if self.chunk_overlap >= limit:
            raise ValueError(f"chunk_overlap: {self.chunk_overlap} must be less than {name}, which is {limit}.")
        return self
