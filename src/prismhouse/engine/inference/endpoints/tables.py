"""The kinds `openai_embeddings` and `openai_chat` of the file of models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from prismhouse.engine.inference.endpoints.place import JSONMode
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.kind import Table, fingerprint_of

__all__ = ["OpenAIChat", "OpenAIEmbeddings"]

_OF_EVERY_TABLE = {"kind", "title", "licence", "memory_mb"}


class _Endpoint(Table):
    """What both kinds say.

    Attributes:
        url: where `/embeddings` or `/chat/completions` follows; may be of a private network.
        model: as the server calls it.
        api_key_env: name of the environment variable that holds the key; the key itself stands nowhere.
        concurrency: requests of one process at once.
        timeout_seconds: of one request, from opening the connection to the last byte.
        attempts: requests for the same input before the failure is the row's.
    """

    url: str
    model: str = Field(min_length=1, max_length=300)
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    concurrency: int = Field(4, ge=1, le=64)
    connect_seconds: float = Field(5, ge=0.1, le=60)
    timeout_seconds: float = Field(60, ge=0.1, le=600)
    attempts: int = Field(3, ge=1, le=10)

    @field_validator("url")
    @classmethod
    def _is_a_base(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ValueError("is not a URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
            raise ValueError("must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("must not hold a user, password, query or fragment; keys go into api_key_env")
        return url.rstrip("/")

    def _options(self) -> Mapping[str, Any]:
        return self.model_dump(mode="json", exclude=_OF_EVERY_TABLE)

    def _made(self, name: str, **more: Any) -> ModelEntry:
        options = self._options()
        return ModelEntry(
            name=name,
            title=self.title or f"{self.model} at {urlsplit(self.url).netloc}",
            licence=self.licence,
            extra="",
            imports=(),
            memory_bytes=self.memory_mb * 2**20,
            source="file",
            kind=self.kind,
            options=options,
            fingerprint=fingerprint_of(self.kind, options, ()),
            **more,
        )


class OpenAIEmbeddings(_Endpoint):
    """A text model behind `POST /embeddings`.

    Attributes:
        dimensions: of its vectors; `request_dimensions` sends them along, for models that can shorten theirs.
        query_prompt: set before a text that is searched with; `passage_prompt` before one that is found.
        max_characters: longer texts are cut, and their documents say so.
        batch_inputs: texts in one request; `batch_characters` bounds their sum.
    """

    dimensions: int = Field(ge=1, le=16_000)
    request_dimensions: bool = False
    query_prompt: str = Field("", max_length=2_000)
    passage_prompt: str = Field("", max_length=2_000)
    max_characters: int = Field(8_000, ge=1, le=10_000_000)
    batch_inputs: int = Field(64, ge=1, le=4_096)
    batch_characters: int = Field(100_000, ge=1, le=10_000_000)

    def entry(self, name: str, base: Path) -> ModelEntry:  # noqa: ARG002 - no path stands in this table
        """See `Table.entry`."""
        return self._made(
            name,
            task="text_embedding",
            modalities=("text",),
            dimensions=self.dimensions,
            loader="prismhouse.engine.inference.endpoints.embeddings:load",
        )


class OpenAIChat(_Endpoint):
    """A writer behind `POST /chat/completions`.

    Attributes:
        vision: whether it looks at pictures.
        max_characters: of what is sent it reads so much, and documents say when that was not all.
        json_mode: what of `response_format` is asked for: `json_schema`, `json_object`, or nothing. A server that
            refuses the first of them for a schema is asked for the next.
        max_tokens: that it may write where a collection does not say; `max_tokens_field` is what the server calls them.
    """

    vision: bool = False
    max_characters: int = Field(40_000, ge=1, le=10_000_000)
    json_mode: JSONMode = "schema"
    max_tokens: int = Field(1_024, ge=1, le=1_000_000)
    max_tokens_field: str = Field("max_tokens", pattern=r"^[a-z_]{1,50}$")

    def entry(self, name: str, base: Path) -> ModelEntry:  # noqa: ARG002 - no path stands in this table
        """See `Table.entry`."""
        return self._made(
            name,
            task="generation",
            modalities=("text", "image") if self.vision else ("text",),
            loader="prismhouse.engine.inference.endpoints.chat:load",
        )
