"""Where a model stands and within which bounds it is asked, as a loaded model knows it. See tables.py."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

__all__ = ["JSONMode", "Place"]

JSONMode = Literal["schema", "object", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A model of an OpenAI-compatible server: the options of its entry, which tables.py describes."""

    name: str
    url: str
    model: str
    api_key_env: str | None
    concurrency: int
    connect_seconds: float
    timeout_seconds: float
    attempts: int
    max_characters: int
    dimensions: int = 0
    request_dimensions: bool = False
    query_prompt: str = ""
    passage_prompt: str = ""
    batch_inputs: int = 64
    batch_characters: int = 100_000
    vision: bool = False
    json_mode: JSONMode = "schema"
    max_tokens: int = 1_024
    max_tokens_field: str = "max_tokens"

    def key(self) -> str | None:
        """Return the key; None without one. Raises KeyError where the variable that should hold it is not set."""
        return None if self.api_key_env is None else os.environ[self.api_key_env].strip()
