"""Every statement about buckets and their counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from prismhouse.kit.ids import BucketId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Record

__all__ = ["BucketRow", "count", "delete", "find", "hold", "insert", "page", "totals", "update"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStats:
    """How many batches a bucket has had."""

    total: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRow:
    """A bucket with its exact counts. `config` holds what nothing acts on yet, and the task of a deletion."""

    bucket_id: BucketId
    bucket_name: str
    description: str | None
    bucket_schema: dict[str, Any]
    unique_key: dict[str, Any] | None
    metadata: dict[str, Any]
    config: dict[str, Any]
    status: str
    is_locked: bool
    created_at: datetime
    updated_at: datetime
    object_count: int
    failed_object_count: int
    size_bytes: int
    last_upload_at: datetime | None
    stats_updated_at: datetime | None
    batches: BatchStats = field(default_factory=BatchStats)


_SELECT = """
SELECT b.bucket_id, b.bucket_name, b.description, b.bucket_schema, b.unique_key, b.metadata, b.config, b.status,
       b.is_locked, b.created_at, b.updated_at, c.object_count, c.failed_object_count, c.size_bytes,
       c.last_upload_at, c.stats_updated_at
FROM buckets b
CROSS JOIN LATERAL (
  SELECT coalesce(sum(object_count), 0)::bigint AS object_count,
         coalesce(sum(failed_object_count), 0)::bigint AS failed_object_count,
         coalesce(sum(size_bytes), 0)::bigint AS size_bytes,
         max(last_upload_at) AS last_upload_at, max(updated_at) AS stats_updated_at
  FROM bucket_counters WHERE namespace_id = b.namespace_id AND bucket_id = b.bucket_id
) c
WHERE b.namespace_id = %(namespace_id)s"""


async def insert(tx: NamespaceWriter, values: Mapping[str, Any]) -> bool:
    """Insert a bucket; return False when the name is taken."""
    return bool(
        await tx.execute(
            """
            INSERT INTO buckets (namespace_id, bucket_id, bucket_name, description, bucket_schema, unique_key,
                                 metadata, config)
            VALUES (%(namespace_id)s, %(bucket_id)s, %(bucket_name)s, %(description)s, %(bucket_schema)s,
                    %(unique_key)s, %(metadata)s, %(config)s)
            ON CONFLICT (namespace_id, bucket_name) DO NOTHING""",
            _json(values),
        )
    )


async def find(tx: NamespaceReader, identifier: str, *, lock: bool = False) -> BucketRow | None:
    """Return the bucket with this id, else the one with this name; `lock` keeps it as it is until `tx` ends."""
    row = await tx.fetch_one(
        f"{_SELECT} AND (b.bucket_id = %(identifier)s OR b.bucket_name = %(identifier)s)"
        f" ORDER BY b.bucket_id = %(identifier)s DESC LIMIT 1 {'FOR NO KEY UPDATE OF b' if lock else ''}",
        {"identifier": identifier},
    )
    return None if row is None else BucketRow(**row)


async def hold(tx: NamespaceWriter, bucket_id: str) -> str | None:
    """Return the status of a bucket that nobody can begin to delete or alter before this transaction ends."""
    value = await tx.fetch_value(
        """
        SELECT CASE WHEN is_locked THEN 'LOCKED' ELSE status END FROM buckets
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s FOR SHARE""",
        {"bucket_id": bucket_id},
    )
    return None if value is None else str(value)


async def name_taken(tx: NamespaceReader, bucket_name: str, bucket_id: str) -> bool:
    """Say whether another bucket has the name."""
    return bool(
        await tx.fetch_value(
            """
            SELECT 1 FROM buckets
            WHERE namespace_id = %(namespace_id)s AND bucket_name = %(bucket_name)s AND bucket_id <> %(bucket_id)s""",
            {"bucket_name": bucket_name, "bucket_id": bucket_id},
        )
    )


async def update(tx: NamespaceWriter, bucket_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of a bucket."""
    sets = sql.SQL(", ").join(
        [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values]
        + [sql.SQL("updated_at = now()")]
    )
    statement = sql.SQL(
        "UPDATE buckets SET {} WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s"
    ).format(sets)
    await tx.execute(statement, {**_json(values), "bucket_id": bucket_id})


async def delete(tx: NamespaceWriter, bucket_id: str) -> None:
    """Remove the bucket and everything that still refers to it."""
    await tx.execute(
        "DELETE FROM buckets WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s",
        {"bucket_id": bucket_id},
    )


async def count(
    tx: NamespaceWriter,
    bucket_id: str,
    *,
    objects: int = 0,
    failed: int = 0,
    size_bytes: int = 0,
    uploaded: bool = False,
) -> None:
    """Add to the counters. Connections add to different rows, so that writers of one bucket do not queue."""
    await tx.execute(
        """
        INSERT INTO bucket_counters AS c (namespace_id, bucket_id, shard, object_count, failed_object_count,
                                          size_bytes, last_upload_at)
        VALUES (%(namespace_id)s, %(bucket_id)s, pg_backend_pid() %% 16, %(objects)s, %(failed)s, %(size_bytes)s,
                CASE WHEN %(uploaded)s THEN now() END)
        ON CONFLICT (namespace_id, bucket_id, shard) DO UPDATE SET
          object_count = c.object_count + EXCLUDED.object_count,
          failed_object_count = c.failed_object_count + EXCLUDED.failed_object_count,
          size_bytes = c.size_bytes + EXCLUDED.size_bytes,
          last_upload_at = coalesce(EXCLUDED.last_upload_at, c.last_upload_at),
          updated_at = now()""",
        {"bucket_id": bucket_id, "objects": objects, "failed": failed, "size_bytes": size_bytes, "uploaded": uploaded},
    )


_SORTS = {
    "created_at": "b.created_at",
    "updated_at": "b.updated_at",
    "bucket_name": "b.bucket_name",
    "bucket_id": "b.bucket_id",
    "object_count": "c.object_count",
    "total_size_bytes": "c.size_bytes",
}
SORT_FIELDS = tuple(_SORTS)
_FILTERS = {"bucket_id": "b.bucket_id", "bucket_name": "b.bucket_name", "status": "b.status"}
FILTER_FIELDS = tuple(_FILTERS)


def _where(search: str | None, filters: Mapping[str, str], *, case_sensitive: bool) -> tuple[str, dict[str, Any]]:
    text, parameters = "", dict[str, Any]()
    if search:
        like = "LIKE" if case_sensitive else "ILIKE"
        text += f" AND (b.bucket_name {like} %(search)s OR b.description {like} %(search)s)"
        escaped = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        parameters["search"] = f"%{escaped}%"
    for name, value in filters.items():
        text += f" AND {_FILTERS[name]} = %(filter_{name})s"
        parameters[f"filter_{name}"] = value
    return text, parameters


async def page(
    tx: NamespaceReader,
    *,
    search: str | None,
    filters: Mapping[str, str],
    case_sensitive: bool,
    sorts: list[tuple[str, bool]],
    limit: int,
    offset: int,
) -> list[BucketRow]:
    """Return buckets, newest first unless sorts (field, descending) say otherwise."""
    where, parameters = _where(search, filters, case_sensitive=case_sensitive)
    order = [f"{_SORTS[name]} {'DESC' if descending else 'ASC'}" for name, descending in sorts] or ["b.created_at DESC"]
    rows = await tx.fetch_all(
        f"{_SELECT}{where} ORDER BY {', '.join(order)}, b.bucket_id LIMIT %(limit)s OFFSET %(offset)s",
        {**parameters, "limit": limit, "offset": offset},
    )
    return [BucketRow(**row) for row in rows]


async def totals(tx: NamespaceReader, *, search: str | None, filters: Mapping[str, str], case_sensitive: bool) -> int:
    """Return the number of matching buckets."""
    where, parameters = _where(search, filters, case_sensitive=case_sensitive)
    value = await tx.fetch_value(
        f"SELECT count(*) FROM buckets b WHERE b.namespace_id = %(namespace_id)s{where}",
        parameters,
    )
    return int(value)


def _json(values: Mapping[str, Any]) -> Record:
    return {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
