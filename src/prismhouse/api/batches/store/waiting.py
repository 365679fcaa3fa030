"""Which batches wait, and which are worked on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import NamespaceReader, Reader

__all__ = ["Pace", "active_of", "ahead_of", "jobs_of", "pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast batches of a namespace have been going: rows done in the seconds that their tiers took."""

    rows: int
    seconds: float


async def ahead_of(tx: NamespaceReader, batch_ids: Sequence[str]) -> dict[str, int]:
    """Return how many active batches of the namespace were submitted before each active one of `batch_ids`."""
    rows = await tx.fetch_all(
        """
        SELECT batch_id, ahead FROM (
          SELECT batch_id, row_number() OVER (ORDER BY queued_at, sequence) - 1 AS ahead FROM batches
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


async def active_of(
    tx: Reader, organization_id: str, *, namespaces: Sequence[str] | None, limit: int
) -> list[Mapping[str, Any]]:
    """Return the active batches of an organization in the order in which they were submitted, and their open rows.

    `namespaces` are patterns of the caller's key; None is all.
    """
    rows: list[dict[str, Any]] = await tx.fetch_all(
        """
        SELECT b.batch_id, b.namespace_id, b.bucket_id, b.batch_name, b.status, b.object_count,
          b.queued_at, b.started_at,
          b.current_tier, jsonb_array_length(b.dag_tiers) AS total_tiers, b.task_id,
          (SELECT count(*) FROM procrastinate_jobs AS j WHERE j.status = 'doing' AND j.task_name = 'batches.run_chunk'
            AND j.args ->> 'namespace_id' = b.namespace_id AND j.args ->> 'batch_id' = b.batch_id) AS jobs_running,
          (SELECT max(j.priority) FROM procrastinate_jobs AS j WHERE j.status IN ('todo', 'doing')
            AND j.args ->> 'namespace_id' = b.namespace_id AND j.args ->> 'batch_id' = b.batch_id) AS priority,
          (SELECT count(*) FROM batch_chunks AS c WHERE c.namespace_id = b.namespace_id AND c.batch_id = b.batch_id
            AND c.state IN ('pending', 'queued')) AS chunks_waiting
        FROM batches AS b
        WHERE b.organization_id = %(organization_id)s AND b.status IN ('QUEUED', 'PROCESSING')
          AND (%(patterns)s::jsonb = '[]' OR key_opens(%(patterns)s::jsonb, b.namespace_id))
        ORDER BY b.queued_at, b.sequence LIMIT %(limit)s
        """,
        {"organization_id": organization_id, "patterns": _scopes(namespaces), "limit": limit},
    )
    return [*rows]


def _scopes(patterns: Sequence[str] | None) -> Jsonb:
    if patterns is None:
        return Jsonb([])
    return Jsonb([{"resource_id": pattern} for pattern in patterns] or [{"resource_id": ""}])
