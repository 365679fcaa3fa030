"""Answers as bytes, without a second validation."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import BaseModel

from prismhouse.kit import json

__all__ = ["Answer", "answer"]


class Answer(Response):
    """JSON bytes."""

    media_type = "application/json"


def answer(
    content: BaseModel | dict[str, Any] | bytes, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    """Return 200 with the model, mapping or ready JSON bytes."""
    if isinstance(content, BaseModel):
        content = content.model_dump_json(by_alias=True).encode()
    elif isinstance(content, dict):
        content = json.dumps(content)
    return Answer(content, status_code=status, headers=headers)
