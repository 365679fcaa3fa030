"""Wire shapes of raw inference and of the test of an extractor."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from prismhouse.api.web.body import RequestModel

__all__ = ["RawInference", "TestExtractor"]


class RawInference(RequestModel):
    """A model, said in one of three ways, and what it is asked."""

    provider: str | None = Field(None, description="Who has the model: openai, google, gemini, anthropic, prismhouse.")
    model: str | None = Field(None, description="The provider's model.")
    inference_name: str | None = Field(None, description="Name of a model, as `prismhouse models list` shows it.")
    feature_uri: str | None = Field(None, description="A feature of an extractor, whose model is meant.")
    inputs: dict[str, Any] = Field(description="One of text, texts, prompts, image_url, image_base64, audio_url, ...")
    parameters: dict[str, Any] | None = Field(None, description="What may be chosen for the model's task.")
    enable_semantic_cache: bool = Field(False, description="Whether an answer may be one that was given before.")
    cache_delta: float | None = Field(
        None, ge=0, le=1, description="Cosine distance up to which two texts count as the same. Unset: 0.02."
    )


class TestExtractor(RequestModel):
    """A sample, by the names of the extractor's inputs."""

    __test__ = False

    inputs: dict[str, Any] = Field(
        min_length=1,
        description="A text, or `{text}`, `{url}`, `{base64}`, `{value}`, by input name; a list gives several.",
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="As in a collection.")
    return_vectors: bool = Field(True, description="Whether vectors are told.")
    limit: int = Field(100, ge=1, le=1000, description="Most documents that are told; all are counted.")
