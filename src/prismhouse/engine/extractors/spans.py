"""Places in a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Chunk", "Span", "trimmed"]

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a text, `start` and `end` in characters; `fields` are further fields of its document."""

    text: str
    start: int
    end: int
    fields: Mapping[str, Any] = field(default_factory=dict)


def trimmed(text: str, start: int, end: int) -> Span | None:
    """Return the span without white space at its ends, or None when nothing is left."""
    piece = text[start:end]
    body = piece.strip()
    if not body:
        return None
    start += len(piece) - len(piece.lstrip())
    return start, start + len(body)
