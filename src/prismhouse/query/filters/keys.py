"""What documents are sorted, grouped and ranged by: one comparable value per field, which an index can hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prismhouse.kit import json
from prismhouse.query.filters.columns import Columns, Kind, Path

__all__ = ["ABSENT", "SEVERAL", "Key", "json_path", "key_of"]

# Keys at most this are of absent values; keys at least that, of fields with several values.
ABSENT = "[null]"
SEVERAL = "[null, null]"
_ALWAYS_THERE = frozenset({"document_id", "collection_id", "source_type", "created_at", "updated_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An SQL expression of type `kind`: `jsonb` (an array, see `field_key` in migration 0010), `text` or `timestamptz`.

    `present` and `absent` are conditions; every document has a value where `present` is empty.
    """

    expression: str
    kind: str
    present: str = ""
    absent: str = "false"


def json_path(path: Path, tail: str = "") -> str:
    """Return a jsonpath to `path`; its names are quoted, so they can hold anything."""
    names = "".join(f".{json.dumps(name).decode()}" for name in path)
    return f"lax ${names}{tail}"


def key_of(field: str, columns: Columns, bind: Callable[[str], str]) -> Key:
    """Return the key of a field. `bind` turns a jsonpath into SQL: a parameter, or a literal where an index is made.

    A field with several places has the key of the first that holds a value.
    """
    found = []
    for place in columns.places(field):
        if place.kind is Kind.JSON:
            found.append(f"field_key({place.sql}, {bind(json_path(place.path, '[*]'))}::jsonpath)")
            continue
        kind = "timestamptz" if place.kind is Kind.TIME else "text"
        if place.sql.rpartition(".")[2] in _ALWAYS_THERE:
            return Key(expression=place.sql, kind=kind)
        return Key(expression=place.sql, kind=kind, present=f"{place.sql} IS NOT NULL", absent=f"{place.sql} IS NULL")
    expression = found[-1]
    for earlier in reversed(found[:-1]):
        expression = f"CASE WHEN {earlier} > '{ABSENT}' THEN {earlier} ELSE {expression} END"
    return Key(
        expression=f"({expression})",
        kind="jsonb",
        present=f"({expression}) > '{ABSENT}'::jsonb",
        absent=f"({expression}) <= '{ABSENT}'::jsonb",
    )
