"""Statements behind the reports of batches that no verb needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.api.batches.model import BatchRow
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Reader, Record

__all__ = ["active", "content", "extracted", "list_everywhere", "stored", "touch", "workers"]

_COLUMNS = ", ".join(f"b.{name}" for name in BatchRow.__dataclass_fields__)
# A namespace on its way out is not there any more, nor are its batches.
_OPEN = """
  b.organization_id = %(organization_id)s
  AND (%(patterns)s::jsonb = '[]' OR key_opens(%(patterns)s::jsonb, b.namespace_id))
  AND EXISTS (SELECT 1 FROM namespaces AS n WHERE n.namespace_id = b.namespace_id AND n.status = 'active'
    AND n.organization_id = %(organization_id)s
    AND (%(namespace)s::text IS NULL OR %(namespace)s IN (n.namespace_id, n.namespace_name)))
"""


def _tenant(organization_id: str, patterns: Sequence[str] | None, namespace: str | None) -> dict[str, Any]:
    scopes = [] if patterns is None else [{"resource_id": one} for one in patterns] or [{"resource_id": ""}]
    return {"organization_id": organization_id, "patterns": Jsonb(scopes), "namespace": namespace}


async def list_everywhere(
    tx: Reader,
    organization_id: str,
    *,
    patterns: Sequence[str] | None,
    namespace: str | None,
    bucket: str | None,
    status: str | None,
    collection_id: str | None,
    before: int | None,
    limit: int,
    offset: int,
) -> tuple[list[BatchRow], int]:
    """Return a page of the organization's batches, newest first, and how many there are; `bucket` is an id or name."""
    where = f"""
        FROM batches AS b WHERE {_OPEN}
          AND (%(bucket)s::text IS NULL OR b.bucket_id = %(bucket)s OR EXISTS (SELECT 1 FROM buckets AS k
            WHERE k.namespace_id = b.namespace_id AND k.bucket_id = b.bucket_id AND k.bucket_name = %(bucket)s))
          AND (%(status)s::text IS NULL OR b.status = %(status)s)
          AND (%(collection_id)s::text IS NULL OR b.dag_tiers @> %(tiers)s
            OR b.requested_collections @> ARRAY[%(collection_id)s])
    """
    given = {
        **_tenant(organization_id, patterns, namespace),
        "bucket": bucket,
        "status": status,
        "collection_id": collection_id,
        "tiers": Jsonb([[collection_id]]),
        "before": before,
        "limit": limit,
        "offset": offset,
    }
    total = await tx.fetch_value(f"SELECT count(*) {where}", given)
    rows = await tx.fetch_all(
        f"SELECT {_COLUMNS} {where} AND (%(before)s::bigint IS NULL OR b.sequence < %(before)s)"
        " ORDER BY b.sequence DESC LIMIT %(limit)s OFFSET %(offset)s",
        given,
    )
    return [BatchRow.from_record(row) for row in rows], int(total)


async def active(
    tx: Reader, organization_id: str, *, patterns: Sequence[str] | None, namespace: str | None, limit: int
) -> list[Record]:
    """Return active batches in the order in which their namespaces take them up, with their jobs and open chunks."""
    return await tx.fetch_all(
        f"""
        WITH jobs AS (
          SELECT args ->> 'namespace_id' AS namespace_id, args ->> 'batch_id' AS batch_id,
            count(*) FILTER (WHERE status = 'doing') AS running, count(*) FILTER (WHERE status = 'todo') AS waiting
          FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND task_name = 'batches.run_chunk' GROUP BY 1, 2
        )
        SELECT b.batch_id, b.namespace_id, b.bucket_id, b.batch_name, b.status, b.object_count, b.priority, b.task_id,
          b.queued_at, b.started_at, b.current_tier, jsonb_array_length(b.dag_tiers) AS total_tiers,
          coalesce(jobs.running, 0) AS jobs_running, coalesce(jobs.waiting, 0) AS jobs_waiting,
          row_number() OVER (PARTITION BY b.namespace_id ORDER BY b.priority DESC, b.queued_at, b.sequence) - 1 AS ahead
        FROM batches AS b LEFT JOIN jobs USING (namespace_id, batch_id)
        WHERE b.status IN ('QUEUED', 'PROCESSING') AND {_OPEN}
        ORDER BY b.priority DESC, b.queued_at, b.sequence LIMIT %(limit)s
        """,
        {**_tenant(organization_id, patterns, namespace), "limit": limit},
    )


async def workers(tx: Reader) -> bool:
    """Return whether any worker has been heard of in the last minute."""
    return bool(
        await tx.fetch_value(
            "SELECT EXISTS (SELECT 1 FROM procrastinate_workers WHERE last_heartbeat > now() - interval '60 s')"
        )
    )


async def touch(tx: NamespaceWriter, batch_id: str) -> None:
    """Begin the waiting time of a draft anew."""
    await tx.execute(
        "UPDATE batches SET updated_at = now() WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s"
        " AND status = 'DRAFT'",
        {"batch_id": batch_id},
    )


async def extracted(tx: NamespaceReader, batch_id: str, collection_ids: Sequence[str]) -> int:
    """Return how many objects of a batch have documents in one of the collections."""
    return int(
        await tx.fetch_value(
            """
            SELECT count(*) FROM batch_objects AS o
            WHERE o.namespace_id = %(namespace_id)s AND o.batch_id = %(batch_id)s AND EXISTS (
              SELECT 1 FROM readable.every_document AS d WHERE d.namespace_id = %(namespace_id)s
                AND d.root_object_id = o.object_id AND d.collection_id = ANY(%(collection_ids)b))
            """,
            {"batch_id": batch_id, "collection_ids": list(collection_ids)},
        )
    )


async def stored(tx: NamespaceReader, batch_id: str, collection_ids: Sequence[str]) -> int:
    """Return how many documents the collections hold of the objects of a batch."""
    return int(
        await tx.fetch_value(
            """
            SELECT count(*) FROM batch_objects AS o JOIN readable.every_document AS d
              ON d.namespace_id = %(namespace_id)s AND d.root_object_id = o.object_id
                AND d.collection_id = ANY(%(collection_ids)b)
            WHERE o.namespace_id = %(namespace_id)s AND o.batch_id = %(batch_id)s
            """,
            {"batch_id": batch_id, "collection_ids": list(collection_ids)},
        )
    )


async def content(
    tx: NamespaceReader, object_ids: Sequence[str], properties: Sequence[str] | None
) -> list[Mapping[str, Any]]:
    """Return what objects hold in blobs and fields of `properties`, or in all blobs: by type, how many, how large.

    Fields count as text. `objects` says how many objects have any.
    """
    blobs: Sequence[Mapping[str, Any]] = await tx.fetch_all(
        """
        SELECT type, count(*) AS number, count(DISTINCT object_id) AS objects,
          coalesce(sum(size_bytes), 0) AS size_bytes, coalesce(sum(length(text)), 0) AS characters
        FROM blobs WHERE namespace_id = %(namespace_id)s AND object_id = ANY(%(object_ids)b)
          AND (%(properties)s::text[] IS NULL OR property = ANY(%(properties)s))
        GROUP BY type ORDER BY type
        """,
        {"object_ids": list(object_ids), "properties": None if properties is None else list(properties)},
    )
    if not properties:
        return [*blobs]
    fields = await tx.fetch_all(
        """
        SELECT 'field' AS type, count(*) AS number, count(DISTINCT o.object_id) AS objects,
          coalesce(sum(length(o.fields ->> asked.name)), 0) AS size_bytes,
          coalesce(sum(length(o.fields ->> asked.name)), 0) AS characters
        FROM objects AS o, unnest(%(properties)b::text[]) AS asked (name)
        WHERE o.namespace_id = %(namespace_id)s AND o.object_id = ANY(%(object_ids)b)
          AND o.fields ->> asked.name IS NOT NULL
        """,
        {"object_ids": list(object_ids), "properties": list(properties)},
    )
    return [*blobs, *(row for row in fields if row["number"])]
