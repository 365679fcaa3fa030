"""Pieces of the JSON schemas by which extractors tell their inputs and their fields."""

from __future__ import annotations

__all__ = ["field_schema"]


def field_schema(kind: str, description: str) -> dict[str, str]:
    """Return the schema of one field: its JSON type, and what it is."""
    return {"type": kind, "description": description}
