"""Lists of a bucket: filtered, searched, sorted, paged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.api.objects.model import StoredObject
from prismhouse.api.objects.store.read import COLUMNS, with_blobs
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["Selection", "page", "select_ids", "total"]

_SEARCHED = """ AND (o.key_prefix ILIKE %(search)s OR EXISTS (
  SELECT 1 FROM jsonb_path_query(jsonb_build_array(o.fields, o.metadata), 'strict $.**') AS v(value)
  WHERE jsonb_typeof(v.value) IN ('string', 'number') AND v.value #>> '{}' ILIKE %(search)s))"""
_SORTS = {
    "created_at": ("o.created_at", "timestamptz"),
    "updated_at": ("o.updated_at", "timestamptz"),
    "status": ("o.status", "text"),
    "object_id": ("o.object_id", "text"),
    "key_prefix": ("coalesce(o.key_prefix, '')", "text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which objects of a bucket a list shows; `condition` is compiled from filters, over the alias `o`."""

    bucket_id: str
    condition: str = "true"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    search: str | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the WHERE clause with its parameters."""
        text = (
            " WHERE o.namespace_id = %(namespace_id)s AND o.bucket_id = %(bucket_id)s"
            f" AND o.lifecycle_state = 'active' AND {self.condition}"
        )
        parameters = {**self.parameters, "bucket_id": self.bucket_id}
        if self.search:
            escaped = self.search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            parameters["search"] = f"%{escaped}%"
            text += _SEARCHED
        return text, parameters


async def page(
    tx: NamespaceReader,
    selection: Selection,
    *,
    sort: tuple[str, bool] | None,
    after: Sequence[Any] | None,
    limit: int,
    offset: int,
) -> list[tuple[StoredObject, list[Any]]]:
    """Return objects with the values that continue after each.

    Args:
        tx: the namespace.
        selection: which objects.
        sort: field and whether descending; None is the order of creation. Ties keep that order.
        after: the values of the row to continue after.
        limit: most rows.
        offset: rows to leave out first, without `after`.
    """
    where, parameters = selection.where()
    descending = sort is not None and sort[1]
    key, kind = _SORTS.get(sort[0], ("", "jsonb")) if sort else ("o.sequence", "bigint")
    if sort is not None and not key:
        key = "coalesce(o.fields #> %(sort_path)s, o.metadata #> %(sort_tail)s, 'null')"
        path = sort[0].split(".")
        parameters |= {"sort_path": path, "sort_tail": path[1:] if path[0] == "metadata" and path[1:] else path}
    if after is not None:
        parameters |= {"after_value": Jsonb(after[0]) if kind == "jsonb" else after[0], "after_sequence": after[1]}
        comparison = "<" if descending else ">"
        where += f" AND ({key}, o.sequence) {comparison} (%(after_value)s::{kind}, %(after_sequence)s::bigint)"
    direction = "DESC" if descending else "ASC"
    rows = await tx.fetch_all(
        f"SELECT {COLUMNS}, {key} AS sort_value FROM objects o{where}"
        f" ORDER BY {key} {direction}, o.sequence {direction} LIMIT %(limit)s OFFSET %(offset)s",
        {**parameters, "limit": limit, "offset": 0 if after is not None else offset},
    )
    keys = [[_plain(row.pop("sort_value")), row["sequence"]] for row in rows]
    objects = await with_blobs(tx, rows, texts=False)
    return list(zip(objects.values(), keys, strict=True))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def total(tx: NamespaceReader, selection: Selection) -> int:
    """Return the number of selected objects."""
    where, parameters = selection.where()
    return int(await tx.fetch_value(f"SELECT count(*) FROM objects o{where}", parameters))


async def select_ids(tx: NamespaceReader, selection: Selection, limit: int) -> list[str]:
    """Return ids in order of creation."""
    where, parameters = selection.where()
    rows = await tx.fetch_all(
        f"SELECT o.object_id FROM objects o{where} ORDER BY o.sequence LIMIT %(limit)s",
        {**parameters, "limit": limit},
    )
    return [row["object_id"] for row in rows]
