"""Filters of object lists."""

from __future__ import annotations

from typing import Any

from prismhouse.query.filters import Filter, object_columns, parse, to_sql

__all__ = ["condition_of", "filter_of"]

_COLUMNS = object_columns("o")


def filter_of(tree: Any, *, max_depth: int, case_sensitive: bool = False) -> Filter:
    """Return the filter of a request; raise Invalid."""
    return parse(tree, max_depth=max_depth, path=("body", "filters"), case_sensitive=case_sensitive)


def condition_of(filter_: Filter) -> tuple[str, dict[str, Any]]:
    """Return a condition on `objects o` with its parameters; statements with it run inside `guarded`."""
    return to_sql(filter_, _COLUMNS)
