"""Filters of object lists."""

from __future__ import annotations

from typing import Any

from prismhouse.query.filters import object_columns, parse, to_sql

__all__ = ["condition_of"]

_COLUMNS = object_columns("o")


def condition_of(tree: Any, *, max_depth: int, case_sensitive: bool = False) -> tuple[str, dict[str, Any]]:
    """Return a condition on `objects o` with its parameters; raise Invalid."""
    filter_ = parse(tree, max_depth=max_depth, path=("body", "filters"), case_sensitive=case_sensitive)
    return to_sql(filter_, _COLUMNS)
