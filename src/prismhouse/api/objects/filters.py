"""Filters of object lists."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["condition_of"]


def condition_of(tree: Any, *, max_depth: int, case_sensitive: bool = False) -> tuple[str, dict[str, Any]]:  # noqa: ARG001
    """Return a condition on `objects o` with its parameters; raise Invalid."""
    if not tree:
        return "true", {}
    if not isinstance(tree, dict) or any(isinstance(value, dict | list) for value in tree.values()):
        raise Invalid([field_fault(["body", "filters"], "Only {field: value} is understood.")])
    return "o.fields @> %(f0)s", {"f0": Jsonb(tree)}
