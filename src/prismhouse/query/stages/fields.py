"""Values of documents by field path, for stages that work in memory."""

from __future__ import annotations

from typing import Any

from prismhouse.query.filters import document_columns
from prismhouse.query.hits import Hit

__all__ = ["MISSING", "value_of"]

_COLUMNS = document_columns()
MISSING = object()


def value_of(hit: Hit, path: str) -> Any:
    """Return the value at a dotted path, as filters resolve it (`metadata.x` also means `x`), or MISSING."""
    if path == "score" and hit.score is not None:
        return hit.score
    for place in _COLUMNS.places(path):
        value: Any = hit.document
        for name in place.shown:
            value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
        if value is not MISSING:
            return value
    return MISSING
