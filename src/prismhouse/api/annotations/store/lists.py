"""Statements that find, count and group many annotations, as they stand or as they stood at an instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prismhouse.api.annotations.store.rows import COLUMNS, KINDS
from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["Position", "page", "portion", "stats", "summary", "whole"]

Position = tuple[datetime, str]
"""created_at and id of the last annotation of a portion."""

_NAMES = ", ".join(f"a.{name}" for name in KINDS)
# created_at is bounded too, though it never is after updated_at: it stands in the indexes.
_STOOD = "a.created_at <= %(as_of)s AND a.updated_at <= %(as_of)s"
_ORDER = "a.created_at DESC, a.annotation_id"
_AFTER = "a.created_at <= %(created_at)s AND (a.created_at < %(created_at)s OR a.annotation_id > %(annotation_id)s)"
_SIZE = "(coalesce(octet_length(a.payload::text), 0) + coalesce(octet_length(a.metadata::text), 0))"
_MAX_LIMIT = 2**63 - 1
_SUMMARY = """
SELECT document_id, label, count(*) AS annotations FROM annotations
WHERE namespace_id = %(namespace_id)s AND document_id = ANY(%(document_ids)b)
GROUP BY document_id, label ORDER BY document_id, label
"""

_WHOLE = "SELECT EXISTS (SELECT FROM namespaces WHERE namespace_id = %(namespace_id)s AND status = 'active')"


def _matching(
    filters: Mapping[str, str], *, past: bool, columns: str = _NAMES, also: Sequence[str] = (), first: str = ""
) -> str:
    """Return SQL for the rows that match; `first` keeps the newest ones of each table, so that an index gives them.

    Names of `filters` are columns, never text of a request.
    """
    conditions = [f"a.{name} = %({name})s" for name in filters]
    where = " AND ".join(["a.namespace_id = %(namespace_id)s", *conditions, *also])
    ordered = f"ORDER BY {_ORDER} LIMIT {first}" if first else ""
    if not past:
        return f"SELECT {columns} FROM annotations AS a WHERE {where} {ordered}"
    return (
        f"(SELECT {columns} FROM annotations AS a WHERE {where} AND {_STOOD} {ordered}) UNION ALL"
        f" (SELECT {columns} FROM annotation_history AS a"
        f" WHERE {where} AND {_STOOD} AND a.ended_at > %(as_of)s {ordered})"
    )


async def page(
    tx: NamespaceReader, filters: Mapping[str, str], *, as_of: datetime | None, skip: int, limit: int
) -> tuple[list[Record], int]:
    """Return a page, newest first, and how many match: of one snapshot, in one round trip."""
    past = as_of is not None
    statement = (
        f"SELECT n.total_count, {COLUMNS}"
        f" FROM (SELECT count(*) AS total_count FROM ({_matching(filters, past=past, columns='1')}) AS a) AS n"
        f" LEFT JOIN LATERAL (SELECT a.* FROM ({_matching(filters, past=past, first='%(last)s')}) AS a"
        f"   ORDER BY {_ORDER} LIMIT %(limit)s OFFSET %(skip)s) AS a ON true"
        f" ORDER BY {_ORDER}"
    )
    parameters: dict[str, Any] = {**filters, "as_of": as_of, "skip": skip, "limit": limit}
    parameters["last"] = min(skip + limit, _MAX_LIMIT)
    # Planned anew each time: which index serves it depends on the values.
    rows = await tx.fetch_all(statement, parameters, prepare=False)
    total = int(rows[0]["total_count"])
    return [row for row in rows if row["annotation_id"] is not None], total


async def portion(
    tx: NamespaceReader,
    filters: Mapping[str, str],
    *,
    as_of: datetime,
    after: Position | None,
    limit: int,
    most_bytes: int,
) -> list[Record]:
    """Return the annotations that stood at an instant after a position, newest first; none when there are no more.

    They end with the one that reaches `most_bytes` of JSON objects: one is given, however large.
    """
    also = [_AFTER] if after else []
    created_at, annotation_id = after or (None, None)
    statement = (
        f"SELECT {COLUMNS} FROM ("
        f"  SELECT a.*, sum({_SIZE}) OVER (ORDER BY {_ORDER}) - {_SIZE} AS bytes_before"
        f"  FROM ({_matching(filters, past=True, also=also, first='%(limit)s')}) AS a"
        f"  ORDER BY {_ORDER} LIMIT %(limit)s) AS a"
        f" WHERE a.bytes_before < %(most_bytes)s ORDER BY {_ORDER}"
    )
    parameters: dict[str, Any] = {**filters, "as_of": as_of, "limit": limit, "most_bytes": most_bytes}
    return await tx.fetch_all(
        statement, {**parameters, "created_at": created_at, "annotation_id": annotation_id}, prepare=False
    )


async def whole(tx: NamespaceReader) -> bool:
    """Say whether nothing of the namespace was emptied so far: it is not being deleted."""
    return bool(await tx.fetch_value(_WHOLE))


async def stats(tx: NamespaceReader, filters: Mapping[str, str]) -> dict[str, int]:
    """Return the number of annotations per label, in the order of labels."""
    statement = (
        f"SELECT a.label, count(*) AS annotations FROM ({_matching(filters, past=False, columns='a.label')}) AS a"
        " GROUP BY a.label ORDER BY a.label"
    )
    rows = await tx.fetch_all(statement, dict(filters), prepare=False)
    return {row["label"]: row["annotations"] for row in rows}


async def summary(tx: NamespaceReader, document_ids: Sequence[str]) -> list[Record]:
    """Return document_id, label and number of annotations, for the documents that have any."""
    return await tx.fetch_all(_SUMMARY, {"document_ids": list(document_ids)})
