"""The records of batches and their objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.api.batches.model import BatchRow
from prismhouse.api.buckets.service import BatchStats
from prismhouse.kit.ids import BatchId, NamespaceId, new_id
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Reader
from prismhouse.storage.postgres.locks import Lock

__all__ = [
    "add_objects",
    "conflicting",
    "delete",
    "drafts_of",
    "find",
    "hold_submissions",
    "idle_seconds",
    "insert",
    "list_batches",
    "locate",
    "lock",
    "new_batch_id",
    "object_ids",
    "object_ids_of",
    "open_of_bucket",
    "replaces_from_now",
    "stats_of_buckets",
    "update",
]

_COLUMNS = ", ".join(BatchRow.__dataclass_fields__)
_FIND = f"SELECT {_COLUMNS} FROM batches WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s"
# Not FOR UPDATE: rows that refer to the batch take its key, and two chunks would wait for each other.
_LOCK = f"{_FIND} FOR NO KEY UPDATE"
_LIST = f"""
SELECT {_COLUMNS} FROM batches
WHERE namespace_id = %(namespace_id)s
  AND (%(bucket_id)s::text IS NULL OR bucket_id = %(bucket_id)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(collection_id)s::text IS NULL OR dag_tiers @> %(tiers)s OR requested_collections @> ARRAY[%(collection_id)s])
  AND (%(before)s::bigint IS NULL OR sequence < %(before)s)
ORDER BY sequence DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_COUNT = """
SELECT count(*) FROM batches
WHERE namespace_id = %(namespace_id)s
  AND (%(bucket_id)s::text IS NULL OR bucket_id = %(bucket_id)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(collection_id)s::text IS NULL OR dag_tiers @> %(tiers)s OR requested_collections @> ARRAY[%(collection_id)s])
"""
_JSON = frozenset({"metadata", "dag_tiers", "source_filters"})
_CHANGEABLE = frozenset(BatchRow.__dataclass_fields__) - {"namespace_id", "batch_id", "sequence", "created_at"}


def _wrapped(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if name in _JSON and value is not None else value for name, value in values.items()}


async def insert(tx: NamespaceWriter, batch_id: BatchId, values: Mapping[str, Any]) -> BatchRow:
    """Insert a batch with some of its columns; the others take their defaults."""
    names = sorted(values.keys() & _CHANGEABLE)
    row = await tx.fetch_one(
        f"INSERT INTO batches (namespace_id, batch_id, {', '.join(names)})"
        f" VALUES (%(namespace_id)s, %(batch_id)s, {', '.join(f'%({name})s' for name in names)}) RETURNING {_COLUMNS}",
        {**_wrapped(values), "batch_id": batch_id},
    )
    return BatchRow.from_record(row or {})


async def update(tx: NamespaceWriter, batch_id: BatchId, **values: Any) -> None:
    """Set columns."""
    sets = "".join(f", {name} = %({name})s" for name in sorted(values.keys() & _CHANGEABLE))
    await tx.execute(
        f"UPDATE batches SET updated_at = now(){sets}"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s",
        {**_wrapped(values), "batch_id": batch_id},
    )


async def find(tx: NamespaceReader, batch_id: str, *, bucket_id: str | None = None) -> BatchRow | None:
    """Return the batch, if it is of the bucket."""
    row = await tx.fetch_one(_FIND, {"batch_id": batch_id})
    return BatchRow.from_record(row) if row and bucket_id in (None, row["bucket_id"]) else None


async def locate(
    tx: Reader, organization_id: str, batch_id: str, *, patterns: Sequence[str] | None
) -> tuple[NamespaceId, str] | None:
    """Return id and name of the namespace of a batch, where the organization owns it and the key's scopes open it."""
    scopes = [] if patterns is None else [{"resource_id": one} for one in patterns] or [{"resource_id": ""}]
    row = await tx.fetch_one(
        """
        SELECT n.namespace_id, n.namespace_name FROM batches AS b JOIN namespaces AS n USING (namespace_id)
        WHERE b.batch_id = %(batch_id)s AND b.organization_id = %(organization_id)s
          AND n.organization_id = b.organization_id AND n.status = 'active'
          AND (%(patterns)s::jsonb = '[]' OR key_opens(%(patterns)s::jsonb, n.namespace_id)) LIMIT 1
        """,
        {"organization_id": organization_id, "batch_id": batch_id, "patterns": Jsonb(scopes)},
    )
    return (NamespaceId(row["namespace_id"]), row["namespace_name"]) if row else None


async def lock(tx: NamespaceWriter, batch_id: str) -> BatchRow | None:
    """Return the batch, which nobody else changes until the transaction ends."""
    row = await tx.fetch_one(_LOCK, {"batch_id": batch_id})
    return BatchRow.from_record(row) if row else None


async def replaces_from_now(tx: NamespaceWriter, batch_id: BatchId) -> None:
    """Note, unless it is noted already, when the batch began: what ended before is old to it."""
    await tx.execute(
        "UPDATE batches SET replaces_before = now()"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND replaces_before IS NULL",
        {"batch_id": batch_id},
    )


async def idle_seconds(tx: NamespaceReader, batch_id: BatchId) -> float:
    """Return for how long nobody touched a batch."""
    return float(
        await tx.fetch_value(
            "SELECT extract(epoch FROM now() - updated_at) FROM batches"
            " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s",
            {"batch_id": batch_id},
        )
    )


async def list_batches(
    tx: NamespaceReader,
    *,
    bucket_id: str | None,
    status: str | None,
    collection_id: str | None,
    before: int | None,
    limit: int,
    offset: int,
) -> tuple[list[BatchRow], int]:
    """Return a page, newest first, and how many there are in all."""
    parameters = {
        "bucket_id": bucket_id,
        "status": status,
        "collection_id": collection_id,
        "tiers": Jsonb([[collection_id]]),
        "before": before,
        "limit": limit,
        "offset": offset,
    }
    rows = await tx.fetch_all(_LIST, parameters)
    return [BatchRow.from_record(row) for row in rows], int(await tx.fetch_value(_COUNT, parameters))


def new_batch_id() -> BatchId:
    """Return an id that no batch has."""
    return BatchId(new_id("btch", 6))


async def open_of_bucket(tx: NamespaceReader, bucket_id: str) -> list[str]:
    """Return batches of a bucket that have not ended."""
    rows = await tx.fetch_all(
        "SELECT batch_id FROM batches WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s"
        " AND status IN ('DRAFT', 'QUEUED', 'PROCESSING') ORDER BY batch_id",
        {"bucket_id": bucket_id},
    )
    return [row["batch_id"] for row in rows]


async def drafts_of(tx: NamespaceReader, bucket_id: str, *, limit: int) -> list[str]:
    """Return the drafts of a bucket, oldest first."""
    rows = await tx.fetch_all(
        "SELECT batch_id FROM batches WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s"
        " AND status = 'DRAFT' ORDER BY sequence LIMIT %(limit)s",
        {"bucket_id": bucket_id, "limit": limit},
    )
    return [row["batch_id"] for row in rows]


async def delete(tx: NamespaceWriter, batch_id: BatchId) -> None:
    """Delete the record and its ledger."""
    await tx.execute(
        "DELETE FROM batches WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s", {"batch_id": batch_id}
    )


async def add_objects(tx: NamespaceWriter, batch_id: BatchId, object_ids: Sequence[str]) -> int:
    """Add objects in order, those already there once; return how many the batch has now."""
    await tx.execute(
        """
        INSERT INTO batch_objects (namespace_id, batch_id, object_id, ordinal)
        SELECT %(namespace_id)s, %(batch_id)s, given.object_id, given.ordinal + batches.object_count
        FROM unnest(%(object_ids)b::text[]) WITH ORDINALITY AS given (object_id, ordinal), batches
        WHERE batches.namespace_id = %(namespace_id)s AND batches.batch_id = %(batch_id)s
        ON CONFLICT DO NOTHING
        """,
        {"batch_id": batch_id, "object_ids": list(object_ids)},
    )
    return int(
        await tx.fetch_value(
            """
            UPDATE batches SET updated_at = now(), object_count =
              (SELECT count(*) FROM batch_objects WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s)
            WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s RETURNING object_count
            """,
            {"batch_id": batch_id},
        )
    )


async def object_ids(tx: NamespaceReader, batch_id: str, limit: int | None = None) -> list[str]:
    """Return its objects, in order."""
    rows = await tx.fetch_all(
        "SELECT object_id FROM batch_objects WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s"
        " ORDER BY ordinal, object_id LIMIT %(limit)s",
        {"batch_id": batch_id, "limit": limit},
    )
    return [row["object_id"] for row in rows]


async def object_ids_of(
    tx: NamespaceReader, batch_ids: Sequence[str], *, limit: int | None = None
) -> dict[str, list[str]]:
    """Return the objects of several batches in order, of each the first `limit`."""
    rows = await tx.fetch_all(
        """
        SELECT asked.batch_id, ARRAY(
          SELECT o.object_id FROM batch_objects AS o
          WHERE o.namespace_id = %(namespace_id)s AND o.batch_id = asked.batch_id
          ORDER BY o.ordinal, o.object_id LIMIT %(limit)s) AS ids
        FROM unnest(%(batch_ids)b::text[]) AS asked (batch_id)
        """,
        {"batch_ids": list(batch_ids), "limit": limit},
    )
    return {row["batch_id"]: row["ids"] for row in rows}


async def hold_submissions(tx: NamespaceWriter, bucket_id: str) -> None:
    """Let no other batch of the bucket be compared with the running ones until the transaction ends."""
    await tx.fetch_value(
        "SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(namespace_id)s || '/' || %(bucket_id)s))",
        {"lock": int(Lock.SUBMIT), "bucket_id": bucket_id},
    )


async def conflicting(tx: NamespaceReader, batch: BatchRow, collection_ids: Sequence[str]) -> str | None:
    """Return another active batch of the bucket that sends one of the same objects to one of `collection_ids`."""
    rows = await tx.fetch_all(
        """
        SELECT batch_id FROM batches other
        WHERE other.namespace_id = %(namespace_id)s AND other.bucket_id = %(bucket_id)s
          AND other.status IN ('QUEUED', 'PROCESSING') AND other.batch_id <> %(batch_id)s
          AND EXISTS (SELECT 1 FROM jsonb_array_elements(other.dag_tiers) tier, jsonb_array_elements_text(tier) name
                      WHERE name = ANY(%(collection_ids)b))
        """,
        {"bucket_id": batch.bucket_id, "batch_id": batch.batch_id, "collection_ids": list(collection_ids)},
    )
    if not rows:
        return None
    # One look for each object. A join is planned by statistics, which know nothing yet of a new batch's objects: it
    # compared each of ours with all of theirs.
    value = await tx.fetch_value(
        """
        SELECT found.batch_id FROM batch_objects ours, LATERAL (
          SELECT theirs.batch_id FROM batch_objects theirs
          WHERE theirs.namespace_id = %(namespace_id)s AND theirs.object_id = ours.object_id
            AND theirs.batch_id = ANY(%(running)b) LIMIT 1) found
        WHERE ours.namespace_id = %(namespace_id)s AND ours.batch_id = %(batch_id)s
        LIMIT 1
        """,
        {"batch_id": batch.batch_id, "running": [row["batch_id"] for row in rows]},
    )
    return None if value is None else str(value)


async def stats_of_buckets(tx: NamespaceReader, bucket_ids: Sequence[str]) -> dict[str, BatchStats]:
    """Return the number of batches of buckets, by how they stand."""
    rows = await tx.fetch_all(
        """
        SELECT bucket_id, count(*) AS total,
          count(*) FILTER (WHERE status IN ('QUEUED', 'PROCESSING')) AS active,
          count(*) FILTER (WHERE status IN ('COMPLETED', 'COMPLETED_WITH_ERRORS')) AS completed,
          count(*) FILTER (WHERE status = 'FAILED') AS failed
        FROM batches WHERE namespace_id = %(namespace_id)s AND bucket_id = ANY(%(bucket_ids)b) GROUP BY bucket_id
        """,
        {"bucket_ids": list(bucket_ids)},
    )
    return {row.pop("bucket_id"): BatchStats(**row) for row in rows}
