"""Where a model stands and within which bounds it is asked: a table of the file of models, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

__all__ = ["KINDS", "JSONMode", "Place", "place_of"]

KINDS = ("openai_embeddings", "openai_chat")
JSONMode = Literal["schema", "object", "none"]
_CHARACTERS = {"openai_embeddings": 8_000, "openai_chat": 40_000}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_DIMENSIONS = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A model of an OpenAI-compatible server.

    Attributes:
        url: where `/embeddings` or `/chat/completions` follows; may be of a private network.
        model: as the server calls it.
        api_key_env: name of the environment variable that holds the key; the key itself stands nowhere.
        vision: whether it looks at pictures.
        dimensions: of the vectors; 0 for a writer.
        request_dimensions: whether `dimensions` is sent along, for models that can shorten their vectors.
        query_prefix: set before a text that is searched with; `document_prefix` before one that is found.
        max_characters: longer texts are cut, and their documents say so.
        batch_inputs: texts in one request; `batch_characters` bounds their sum.
        concurrency: requests of one process at once.
        timeout_seconds: of one request from the first byte sent to the last received.
        attempts: requests for the same input before the failure is the row's.
        json_mode: what of `response_format` is asked for: `json_schema`, `json_object`, or nothing. A server that
            refuses the first is asked for the next.
        max_tokens_field: what the server calls the bound of what is written.
    """

    name: str
    kind: str
    url: str
    model: str
    api_key_env: str | None = None
    vision: bool = False
    dimensions: int = 0
    request_dimensions: bool = False
    query_prefix: str = ""
    document_prefix: str = ""
    max_characters: int
    batch_inputs: int = 64
    batch_characters: int = 100_000
    concurrency: int = 4
    connect_seconds: float = 5.0
    timeout_seconds: float = 60.0
    attempts: int = 3
    json_mode: JSONMode = "schema"
    max_tokens: int = 1_024
    max_tokens_field: str = "max_tokens"

    def key(self) -> str | None:
        """Return the key; None without one. Raises KeyError where the variable that should hold it is not set."""
        return None if self.api_key_env is None else os.environ[self.api_key_env].strip()


_OF_BOTH = ("url", "model", "api_key_env", "concurrency", "connect_seconds", "timeout_seconds", "attempts")
_KEYS = {
    "openai_embeddings": (
        *_OF_BOTH,
        "dimensions",
        "request_dimensions",
        "query_prefix",
        "document_prefix",
        "max_characters",
        "batch_inputs",
        "batch_characters",
    ),
    "openai_chat": (*_OF_BOTH, "vision", "max_characters", "json_mode", "max_tokens", "max_tokens_field"),
}
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "dimensions": (1, _MOST_DIMENSIONS),
    "max_characters": (1, 10_000_000),
    "batch_inputs": (1, 4_096),
    "batch_characters": (1, 10_000_000),
    "concurrency": (1, 64),
    "connect_seconds": (0.1, 60),
    "timeout_seconds": (0.1, 600),
    "attempts": (1, 10),
    "max_tokens": (1, 1_000_000),
}
_TYPES = {field.name: field.type for field in fields(Place)}


def place_of(name: str, table: Mapping[str, Any]) -> Place:
    """Return the place that a table of the file of models describes; raise ValueError naming the key at fault."""
    kind = table.get("kind")
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} is not one of {', '.join(KINDS)}.")
    known = _KEYS[kind]
    given = {key: value for key, value in table.items() if key != "kind"}
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{key}: is no key of {kind}. Known: {', '.join(known)}.")
        _check(key, value)
    needed = ("url", "model", "dimensions") if kind == "openai_embeddings" else ("url", "model")
    for key in needed:
        if key not in given:
            raise ValueError(f"{key}: is missing.")
    given["url"] = given["url"].rstrip("/")
    given.setdefault("max_characters", _CHARACTERS[kind])
    return Place(name=name, kind=str(kind), **given)


def _check(key: str, value: Any) -> None:
    expected = {"str": str, "str | None": str, "bool": bool, "int": int, "float": (int, float), "JSONMode": str}
    kind = expected[str(_TYPES[key])]
    if not isinstance(value, cast("Any", kind)) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{key}: {value!r} is not of the type that is expected here.")
    if key in _BOUNDS and not _BOUNDS[key][0] <= value <= _BOUNDS[key][1]:
        raise ValueError(f"{key}: {value!r} is not between {_BOUNDS[key][0]} and {_BOUNDS[key][1]}.")
    if key == "url":
        _check_url(value)
    if key in ("model", "max_tokens_field") and not value:
        raise ValueError(f"{key}: is empty.")
    if key == "api_key_env" and not _VARIABLE.fullmatch(value):
        # What stands here may be the key itself: it is not repeated.
        raise ValueError("api_key_env: must be the name of an environment variable, not a key.")
    if key == "json_mode" and value not in get_args(JSONMode):
        raise ValueError(f"json_mode: {value!r} is not one of {', '.join(get_args(JSONMode))}.")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("url: is not a URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url: must begin with http:// or https:// and name a host.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("url: must not hold a user, password, query or fragment. Keys go into api_key_env.")
