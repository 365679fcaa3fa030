"""Lists of a bucket's uploads: filtered, searched, sorted, paged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.api.uploads.model import Upload
from prismhouse.api.uploads.store.rows import UPLOADS, upload_of
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["Selection", "page", "total"]

_SEARCHED = """ AND (u.filename ILIKE %(search)s OR EXISTS (
  SELECT 1 FROM jsonb_path_query(u.metadata, 'strict $.**') AS v(value)
  WHERE jsonb_typeof(v.value) IN ('string', 'number', 'boolean') AND v.value #>> '{}' ILIKE %(search)s))"""
_SORTS = {
    "created_at": ("u.created_at", "timestamptz"),
    "updated_at": ("u.updated_at", "timestamptz"),
    "expires_at": ("u.expires_at", "timestamptz"),
    "completed_at": ("coalesce(u.completed_at, 'epoch')", "timestamptz"),
    "verified_at": ("coalesce(u.verified_at, 'epoch')", "timestamptz"),
    "file_size_bytes": ("coalesce(u.file_size_bytes, 0)", "bigint"),
} | {
    name: (f"coalesce(u.{name}, '')", "text")
    for name in ("upload_id", "filename", "content_type", "status", "blob_property", "blob_type", "object_id")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which uploads of a bucket a list shows; `condition` is compiled from filters, over the alias `u`."""

    bucket_id: str
    condition: str = "true"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    search: str | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the WHERE clause with its parameters."""
        text = f" WHERE u.bucket_id = %(bucket_id)s AND {self.condition}"
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
    sort: tuple[str, bool],
    after: Sequence[Any] | None,
    limit: int,
    offset: int,
) -> list[tuple[Upload, list[Any]]]:
    """Return uploads with the values that continue after each.

    Args:
        tx: the namespace.
        selection: which uploads.
        sort: field and whether descending; ties go by the order of creation.
        after: the values of the row to continue after.
        limit: most rows.
        offset: rows to leave out first, without `after`.
    """
    where, parameters = selection.where()
    name, descending = sort
    key, kind = _SORTS.get(name, ("", "jsonb"))
    if not key:
        path = name.split(".")
        column = "object_metadata" if path[0] == "object_metadata" and path[1:] else "metadata"
        key = f"coalesce(u.{column} #> %(sort_path)s, 'null')"
        parameters["sort_path"] = path[1:] if path[0] in {"metadata", "object_metadata"} and path[1:] else path
    if after is not None:
        parameters |= {"after_value": Jsonb(after[0]) if kind == "jsonb" else after[0], "after_sequence": after[1]}
        comparison = "<" if descending else ">"
        where += f" AND ({key}, u.sequence) {comparison} (%(after_value)s::{kind}, %(after_sequence)s::bigint)"
    direction = "DESC" if descending else "ASC"
    rows = await tx.fetch_all(
        f"SELECT u.*, {key} AS sort_value FROM {UPLOADS}{where}"
        f" ORDER BY {key} {direction}, u.sequence {direction} LIMIT %(limit)s OFFSET %(offset)s",
        {**parameters, "limit": limit, "offset": 0 if after is not None else offset},
    )
    found = []
    for row in rows:
        values = [_plain(row.pop("sort_value")), row["sequence"]]
        del row["file_size_bytes"], row["is_duplicate"]
        found.append((upload_of(row), values))
    return found


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def total(tx: NamespaceReader, selection: Selection) -> int:
    """Return the number of selected uploads."""
    where, parameters = selection.where()
    return int(await tx.fetch_value(f"SELECT count(*) FROM {UPLOADS}{where}", parameters))
