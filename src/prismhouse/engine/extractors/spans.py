"""Places in a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prismhouse.engine.media.errors import MediaFault

__all__ = ["Chunk", "Span", "check_count", "trimmed"]

Span = tuple[int, int]

_MAX_CHUNKS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a text, `start` and `end` in characters; `fields` are further fields of its document."""

    text: str
    start: int
    end: int
    fields: Mapping[str, Any] = field(default_factory=dict)


def check_count(count: int) -> None:
    """Raise MediaFault when a text would become more chunks than a document store should hold of one text."""
    if count > _MAX_CHUNKS:
        message = (
            f"The text would become about {count} chunks; the limit is {_MAX_CHUNKS}. "
            "Raise chunk_size, lower chunk_overlap, or split the text."
        )
        raise MediaFault("too_many_chunks", message)


def trimmed(text: str, start: int, end: int) -> Span | None:
    """Return the span without white space at its ends, or None when nothing is left."""
    piece = text[start:end]
    body = piece.strip()
    if not body:
        return None
    start += len(piece) - len(piece.lstrip())
    return start, start + len(body)
