"""Which batches wait, and which are worked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["Pace", "Place", "ahead_of", "jobs_of", "pace", "places"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast batches of a namespace have been going: rows done in the seconds that their tiers took."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a queued batch stands in its namespace: batches taken up before it, and their rows that are not done."""

    batch_id: str
    ahead: int
    rows_ahead: int


async def places(tx: NamespaceReader, batch_ids: Sequence[str]) -> list[Place]:
    """Return the places of those of the batches that are queued; rows of tiers to come are not counted."""
    rows = await tx.fetch_all(
        """
        WITH queue AS (
          SELECT b.batch_id, b.status, b.priority, b.queued_at, b.sequence,
            greatest(0, coalesce(done.submitted - done.done, b.object_count)) AS rows
          FROM batches AS b LEFT JOIN LATERAL (
            SELECT sum(c.submitted) AS submitted, sum(c.processed + c.failed + c.skipped) AS done
            FROM batch_counts AS c
            WHERE c.namespace_id = b.namespace_id AND c.batch_id = b.batch_id AND c.tier = b.current_tier
          ) AS done ON true
          WHERE b.namespace_id = %(namespace_id)s AND b.status IN ('QUEUED', 'PROCESSING')
        ), placed AS (
          SELECT batch_id, status, row_number() OVER turn - 1 AS ahead,
            coalesce(sum(rows) OVER (turn ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS rows_ahead
          FROM queue WINDOW turn AS (ORDER BY priority DESC, queued_at, sequence)
        )
        SELECT batch_id, ahead, rows_ahead::bigint AS rows_ahead FROM placed
        WHERE status = 'QUEUED' AND batch_id = ANY(%(batch_ids)b)
        """,
        {"batch_ids": list(batch_ids)},
    )
    return [Place(**row) for row in rows]


async def ahead_of(tx: NamespaceReader, batch_ids: Sequence[str]) -> dict[str, int]:
    """Return how many active batches of the namespace are taken up before each active one of `batch_ids`."""
    rows = await tx.fetch_all(
        """
        SELECT batch_id, ahead FROM (
          SELECT batch_id, row_number() OVER (ORDER BY priority DESC, queued_at, sequence) - 1 AS ahead FROM batches
          WHERE namespace_id = %(namespace_id)s AND status IN ('QUEUED', 'PROCESSING')) AS queue
        WHERE batch_id = ANY(%(batch_ids)b)
        """,
        {"batch_ids": list(batch_ids)},
    )
    return {row["batch_id"]: row["ahead"] for row in rows}


async def jobs_of(tx: NamespaceReader, batch_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the chunk jobs of batches by state: `doing` has a worker, `todo` waits for one."""
    rows = await tx.fetch_all(
        """
        SELECT args ->> 'batch_id' AS batch_id, status::text, count(*) AS number FROM procrastinate_jobs
        WHERE status IN ('todo', 'doing') AND task_name = 'batches.run_chunk'
          AND args ->> 'namespace_id' = %(namespace_id)s AND args ->> 'batch_id' = ANY(%(batch_ids)b)
        GROUP BY 1, 2
        """,
        {"batch_ids": list(batch_ids)},
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["batch_id"], {})[row["status"]] = row["number"]
    return found


async def pace(tx: NamespaceReader, *, minutes: int = 60) -> Pace | None:
    """Return how fast the tiers of the namespace went that ended lately or still run; None when there are none."""
    row = await tx.fetch_one(
        """
        SELECT coalesce(sum(c.processed + c.failed + c.skipped), 0) AS rows,
          coalesce(sum(extract(epoch FROM coalesce(t.completed_at, now()) - t.started_at)), 0)::float8 AS seconds
        FROM batch_tiers AS t JOIN LATERAL (
          SELECT sum(processed) AS processed, sum(failed) AS failed, sum(skipped) AS skipped FROM batch_counts AS n
          WHERE n.namespace_id = t.namespace_id AND n.batch_id = t.batch_id AND n.tier = t.tier) AS c ON true
        WHERE t.namespace_id = %(namespace_id)s AND t.started_at IS NOT NULL AND t.batch_id IN (
          SELECT batch_id FROM batches WHERE namespace_id = %(namespace_id)s
            AND updated_at > now() - make_interval(mins => %(minutes)s) ORDER BY sequence DESC LIMIT 50)
        """,
        {"minutes": minutes},
    )
    if row is None or not row["rows"] or row["seconds"] <= 0:
        return None
    return Pace(rows=int(row["rows"]), seconds=row["seconds"])
