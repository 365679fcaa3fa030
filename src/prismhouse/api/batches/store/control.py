"""Work that is taken back, given up, or run again: chunks, counts and failures of a batch change together.

Whoever changes chunks holds them first and locks the batch after: a worker that stores a chunk locks in that order.
"""

from __future__ import annotations

from collections.abc import Sequence

from prismhouse.engine.extractors.port import RowFailure
from prismhouse.kit.ids import BatchId, TaskId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = [
    "cancel_counts",
    "clear",
    "delete_documents",
    "fail_open",
    "failures_to_retry",
    "fed",
    "first_run",
    "hold_chunks",
    "new_upstream_documents",
    "objects_taken_back",
    "open_numbers",
    "queued_numbers",
    "reopen",
    "reset_tier",
    "restore",
    "stopped_collections",
    "stopped_tiers",
    "take_back",
    "taken_back",
    "written_objects",
]

_SCOPE = "namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s"
_WHICH = (
    f"{_SCOPE} AND (%(tier)s::int IS NULL OR tier = %(tier)s) AND (%(name)s::text IS NULL OR collection_id = %(name)s)"
)
_OPEN = "state IN ('pending', 'queued')"


async def hold_chunks(
    tx: NamespaceWriter, batch_id: str, *, tier: int | None = None, collection_id: str | None = None
) -> None:
    """Wait for chunks that are being stored and let no other be stored until the transaction ends."""
    await tx.fetch_value(
        f"""
        SELECT count(*) FROM (
          SELECT 1 FROM batch_chunks WHERE {_WHICH} AND state <> 'done' ORDER BY tier, chunk FOR UPDATE) held
        """,
        {"batch_id": batch_id, "tier": tier, "name": collection_id},
    )


async def take_back(
    tx: NamespaceWriter, batch_id: BatchId, *, tier: int | None = None, collection_id: str | None = None
) -> int:
    """Withdraw what has not run and return how many rows were: they are not submitted any more.

    Rows that failed before and were to be tried again stay what they were: failed.
    """
    await tx.execute(
        f"DELETE FROM batch_chunks WHERE {_WHICH} AND {_OPEN} AND retry",
        {"batch_id": batch_id, "tier": tier, "name": collection_id},
    )
    return int(
        await tx.fetch_value(
            f"""
            WITH taken AS (
              UPDATE batch_chunks SET state = 'canceled' WHERE {_WHICH} AND {_OPEN}
              RETURNING tier, collection_id, cardinality(source_ids) AS rows
            ), summed AS (
              SELECT tier, collection_id, sum(rows)::int AS rows FROM taken GROUP BY tier, collection_id
            ), counted AS (
              UPDATE batch_counts AS n SET submitted = submitted - rows, canceled = canceled + rows, updated_at = now()
              FROM summed WHERE n.namespace_id = %(namespace_id)s AND n.batch_id = %(batch_id)s
                AND n.tier = summed.tier AND n.collection_id = summed.collection_id
            )
            SELECT coalesce(sum(rows), 0) FROM summed
            """,
            {"batch_id": batch_id, "tier": tier, "name": collection_id},
        )
    )


async def taken_back(tx: NamespaceReader, batch_id: str) -> int:
    """Return how many rows of a batch were withdrawn."""
    value = await tx.fetch_value(
        f"SELECT coalesce(sum(canceled), 0) FROM batch_counts WHERE {_SCOPE}", {"batch_id": batch_id}
    )
    return int(value)


async def objects_taken_back(tx: NamespaceReader, batch_id: str) -> set[str]:
    """Return the objects of which rows were withdrawn: nobody knows what would have become of them."""
    rows = await tx.fetch_all(
        """
        SELECT DISTINCT coalesce(d.root_object_id, source_id) AS object_id
        FROM batch_chunks AS c CROSS JOIN unnest(c.source_ids) AS source_id
        LEFT JOIN documents AS d ON d.namespace_id = %(namespace_id)s AND d.document_id = source_id
        WHERE c.namespace_id = %(namespace_id)s AND c.batch_id = %(batch_id)s AND c.state = 'canceled'
        """,
        {"batch_id": batch_id},
    )
    return {row["object_id"] for row in rows}


async def restore(tx: NamespaceWriter, batch_id: BatchId, tier: int, *, run: int, since_run: int = 0) -> int:
    """Submit again what was withdrawn from a tier, of runs since that one, as work of `run`; return how many rows.

    Rows of a collection that is gone stay withdrawn.
    """
    return int(
        await tx.fetch_value(
            """
            WITH given AS (
              UPDATE batch_chunks SET state = 'pending', run = %(run)s
              WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s
                AND state = 'canceled' AND run >= %(since_run)s AND EXISTS (SELECT 1 FROM collections AS c
                  WHERE c.namespace_id = %(namespace_id)s AND c.collection_id = batch_chunks.collection_id)
              RETURNING collection_id, cardinality(source_ids) AS rows
            ), summed AS (
              SELECT collection_id, sum(rows)::int AS rows FROM given GROUP BY collection_id
            ), counted AS (
              UPDATE batch_counts AS n SET submitted = submitted + rows, canceled = canceled - rows, updated_at = now()
              FROM summed WHERE n.namespace_id = %(namespace_id)s AND n.batch_id = %(batch_id)s
                AND n.tier = %(tier)s AND n.collection_id = summed.collection_id
            )
            SELECT coalesce(sum(rows), 0) FROM summed
            """,
            {"batch_id": batch_id, "tier": tier, "run": run, "since_run": since_run},
        )
    )


async def first_run(tx: NamespaceReader, batch_id: str, *, from_tier: int) -> int:
    """Return the run that began with the newest submission: later ones are retries."""
    value = await tx.fetch_value(
        f"SELECT coalesce(min(run), 0) FROM batch_chunks WHERE {_SCOPE} AND tier >= %(from_tier)s",
        {"batch_id": batch_id, "from_tier": from_tier},
    )
    return int(value)


async def fail_open(tx: NamespaceWriter, batch_id: BatchId, failure: RowFailure) -> int:
    """Count the rows that never ran as failed, each with this failure, and return how many they are."""
    await tx.execute(f"DELETE FROM batch_chunks WHERE {_SCOPE} AND {_OPEN} AND retry", {"batch_id": batch_id})
    return int(
        await tx.fetch_value(
            """
            WITH ended AS (
              UPDATE batch_chunks SET state = 'done'
              WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND state IN ('pending', 'queued')
              RETURNING tier, collection_id, source_ids
            ), failed AS (
              INSERT INTO row_failures (namespace_id, batch_id, tier, collection_id, source_id, object_id, document_id,
                                        stage, code, message, error_type)
              SELECT %(namespace_id)s, %(batch_id)s, ended.tier, ended.collection_id, source_id,
                     coalesce(d.root_object_id, source_id), d.document_id,
                     %(stage)s, %(code)s, %(message)s, %(error_type)s
              FROM ended CROSS JOIN unnest(ended.source_ids) AS source_id
              LEFT JOIN documents AS d ON d.namespace_id = %(namespace_id)s AND d.document_id = source_id
              ON CONFLICT DO NOTHING
              RETURNING tier, collection_id
            ), summed AS (
              SELECT tier, collection_id, count(*)::int AS rows FROM failed GROUP BY tier, collection_id
            ), counted AS (
              UPDATE batch_counts AS n SET failed = failed + rows, updated_at = now()
              FROM summed WHERE n.namespace_id = %(namespace_id)s AND n.batch_id = %(batch_id)s
                AND n.tier = summed.tier AND n.collection_id = summed.collection_id
            )
            SELECT coalesce(sum(rows), 0) FROM summed
            """,
            {
                "batch_id": batch_id,
                "stage": failure.stage,
                "code": failure.code,
                "message": failure.message.replace("\x00", "")[:2000],
                "error_type": str(failure.error_type),
            },
        )
    )


async def failures_to_retry(
    tx: NamespaceReader,
    batch_id: str,
    *,
    transient_only: bool,
    tiers: Sequence[int] | None,
    max_retries: int | None,
) -> list[tuple[int, str, list[str]]]:
    """Return (tier, collection, sources) of the rows that gave nothing, of collections that still stand."""
    rows = await tx.fetch_all(
        """
        SELECT f.tier, f.collection_id, array_agg(f.source_id ORDER BY f.created_at, f.source_id) AS sources
        FROM row_failures AS f
        JOIN collections AS c ON c.namespace_id = f.namespace_id AND c.collection_id = f.collection_id AND c.enabled
        WHERE f.namespace_id = %(namespace_id)s AND f.batch_id = %(batch_id)s AND f.part = 0
          AND (NOT %(transient_only)s OR f.error_type = 'transient')
          AND (%(tiers)b::int[] IS NULL OR f.tier = ANY(%(tiers)b::int[]))
          AND (%(max_retries)s::int IS NULL OR f.retry_count < %(max_retries)s)
        GROUP BY f.tier, f.collection_id ORDER BY f.tier, f.collection_id
        """,
        {
            "batch_id": batch_id,
            "transient_only": transient_only,
            "tiers": None if tiers is None else list(tiers),
            "max_retries": max_retries,
        },
    )
    return [(row["tier"], row["collection_id"], row["sources"]) for row in rows]


async def reopen(tx: NamespaceWriter, batch_id: BatchId, tiers: Sequence[int], task_ids: Sequence[TaskId]) -> None:
    """Let tiers wait to be started again, each under a new task."""
    await tx.execute(
        """
        UPDATE batch_tiers AS t SET status = 'PENDING', task_id = given.task_id, started_at = NULL, completed_at = NULL
        FROM unnest(%(tiers)b::int[], %(task_ids)b::text[]) AS given (tier, task_id)
        WHERE t.namespace_id = %(namespace_id)s AND t.batch_id = %(batch_id)s AND t.tier = given.tier
        """,
        {"batch_id": batch_id, "tiers": list(tiers), "task_ids": list(task_ids)},
    )


async def open_numbers(tx: NamespaceReader, batch_id: str, tier: int, collection_id: str) -> set[int]:
    """Return the numbers of the chunks that one collection has still to run in a tier."""
    rows = await tx.fetch_all(
        f"SELECT chunk FROM batch_chunks WHERE {_WHICH} AND {_OPEN}",
        {"batch_id": batch_id, "tier": tier, "name": collection_id},
    )
    return {row["chunk"] for row in rows}


async def queued_numbers(tx: NamespaceReader, batch_id: str, tier: int) -> list[int]:
    """Return the numbers of the chunks of a tier that should stand in the queue."""
    rows = await tx.fetch_all(
        f"SELECT chunk FROM batch_chunks WHERE {_SCOPE} AND tier = %(tier)s AND state = 'queued' ORDER BY chunk",
        {"batch_id": batch_id, "tier": tier},
    )
    return [row["chunk"] for row in rows]


async def stopped_collections(tx: NamespaceReader, batch_id: str, tier: int) -> set[str]:
    """Return the collections of a tier that were stopped by themselves."""
    rows = await tx.fetch_all(
        f"SELECT collection_id FROM batch_counts WHERE {_SCOPE} AND tier = %(tier)s AND canceled_at IS NOT NULL",
        {"batch_id": batch_id, "tier": tier},
    )
    return {row["collection_id"] for row in rows}


async def stopped_tiers(tx: NamespaceReader, batch_id: str) -> set[int]:
    """Return the tiers of which every collection was stopped by itself, not with the batch."""
    rows = await tx.fetch_all(
        f"SELECT tier FROM batch_counts WHERE {_SCOPE} GROUP BY tier HAVING bool_and(canceled_at IS NOT NULL)",
        {"batch_id": batch_id},
    )
    return {row["tier"] for row in rows}


async def reset_tier(tx: NamespaceWriter, batch_id: BatchId, tier: int) -> None:
    """Forget that collections of a tier were stopped."""
    await tx.execute(
        f"UPDATE batch_counts SET canceled_at = NULL WHERE {_SCOPE} AND tier = %(tier)s",
        {"batch_id": batch_id, "tier": tier},
    )


async def fed(tx: NamespaceWriter, batch_id: BatchId, tier: int, *, run: int) -> None:
    """Note that a tier was handed the sources of all runs up to this one."""
    await tx.execute(
        f"UPDATE batch_tiers SET fed_run = %(run)s WHERE {_SCOPE} AND tier = %(tier)s",
        {"batch_id": batch_id, "tier": tier, "run": run},
    )


async def new_upstream_documents(
    tx: NamespaceReader, batch_id: str, collection_ids: Sequence[str], *, after_run: int
) -> list[str]:
    """Return documents of `collection_ids` that the batch made in later runs than `after_run`."""
    rows = await tx.fetch_all(
        """
        WITH made AS (
          SELECT DISTINCT c.collection_id, source_id FROM batch_chunks AS c, unnest(c.source_ids) AS source_id
          WHERE c.namespace_id = %(namespace_id)s AND c.batch_id = %(batch_id)s AND c.run > %(after_run)s
            AND c.collection_id = ANY(%(collection_ids)b) AND c.state = 'done'
        )
        SELECT d.document_id FROM documents AS d
        JOIN made ON made.collection_id = d.collection_id
          AND made.source_id = coalesce(d.source_document_id, d.source_object_id)
        LEFT JOIN batch_objects AS o ON o.namespace_id = %(namespace_id)s AND o.batch_id = %(batch_id)s
          AND o.object_id = d.root_object_id
        WHERE d.namespace_id = %(namespace_id)s AND d.batch_id = %(batch_id)s
        ORDER BY o.ordinal, d.document_id
        """,
        {"batch_id": batch_id, "collection_ids": list(collection_ids), "after_run": after_run},
    )
    return [row["document_id"] for row in rows]


async def cancel_counts(tx: NamespaceWriter, batch_id: BatchId, tier: int, collection_id: str | None = None) -> None:
    """Note that a tier, or one collection of it, was stopped."""
    await tx.execute(
        f"UPDATE batch_counts SET canceled_at = now(), updated_at = now() WHERE {_WHICH} AND canceled_at IS NULL",
        {"batch_id": batch_id, "tier": tier, "name": collection_id},
    )


async def clear(tx: NamespaceWriter, batch_id: BatchId, *, from_tier: int) -> None:
    """Forget what tiers from this one on did; their documents stay."""
    for table in ("batch_chunks", "row_failures", "batch_counts", "batch_tiers"):
        await tx.execute(
            f"DELETE FROM {table} WHERE {_SCOPE} AND tier >= %(from_tier)s",
            {"batch_id": batch_id, "from_tier": from_tier},
        )


async def delete_documents(
    tx: NamespaceWriter, batch_id: BatchId, *, limit: int, principal: str | None
) -> dict[str, list[str]]:
    """Delete documents that a batch wrote, at most `limit`, and return their ids by collection.

    An end user deletes only those that the access lists give to change; None, all.
    """
    rows = await tx.fetch_all(
        """
        WITH doomed AS MATERIALIZED (
          SELECT document_id FROM documents WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s
            AND may_write(internal, %(principal)s::text)
          ORDER BY document_id LIMIT %(limit)s FOR UPDATE
        ), gone AS (
          DELETE FROM documents
          WHERE namespace_id = %(namespace_id)s AND document_id IN (SELECT document_id FROM doomed)
          RETURNING collection_id, document_id
        )
        SELECT collection_id, array_agg(document_id ORDER BY document_id) AS document_ids FROM gone
        GROUP BY collection_id ORDER BY collection_id
        """,
        {"batch_id": batch_id, "limit": limit, "principal": principal},
    )
    return {row["collection_id"]: row["document_ids"] for row in rows}


async def written_objects(tx: NamespaceReader, batch_id: str) -> set[str]:
    """Return the objects of a batch that lost no row of this batch and have documents of it."""
    rows = await tx.fetch_all(
        """
        SELECT DISTINCT root_object_id FROM documents AS d
        WHERE d.namespace_id = %(namespace_id)s AND d.batch_id = %(batch_id)s AND d.root_object_id IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM row_failures AS f WHERE f.namespace_id = %(namespace_id)s
            AND f.batch_id = %(batch_id)s AND f.object_id = d.root_object_id AND f.missing_feature IS NULL)
        """,
        {"batch_id": batch_id},
    )
    return {row["root_object_id"] for row in rows}
