"""What waits and runs, as one look at the database says. Everything is bounded: the look must not be the load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prismhouse.storage.postgres.database import Database

__all__ = ["Backlog", "take_backlog"]

_MOST = 100_000
_AGED = 20

# `waiting` is due and could run now; `scheduled` waits for its time or for a retry.
_JOBS = """
WITH open AS (
  SELECT id, task_name, scheduled_at,
    CASE WHEN status = 'doing' THEN 'running' WHEN scheduled_at > now() THEN 'scheduled' ELSE 'waiting' END AS state
  FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT %(most)s
), placed AS (
  SELECT *, row_number() OVER (PARTITION BY task_name, state ORDER BY id) AS place FROM open
)
SELECT task_name, state, count(*) AS number, max(extract(epoch FROM now() - greatest(queued.at, scheduled_at))) AS age
FROM placed LEFT JOIN LATERAL (
  SELECT max(at) AS at FROM procrastinate_events
  WHERE job_id = placed.id AND type IN ('deferred', 'deferred_for_retry')
) AS queued ON placed.state = 'waiting' AND placed.place <= %(aged)s
GROUP BY task_name, state
"""
_BATCHES = "SELECT status, count(*) AS number FROM batches WHERE status IN ('QUEUED', 'PROCESSING') GROUP BY status"
_DELIVERIES = "SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE status = 'pending' LIMIT %(most)s) AS open"
_WORKERS = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '60 s'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Jobs by (name, state), the age in seconds of the oldest one that could run, live workers, active batches.

    `deliveries` are events that webhooks still wait for.
    """

    jobs: Mapping[tuple[str, str], int]
    oldest_seconds: Mapping[str, float]
    workers: int
    batches: Mapping[str, int]
    deliveries: int


async def take_backlog(db: Database) -> Backlog:
    """Return what waits and runs; raise DatabaseUnavailable."""
    async with db.read() as tx:
        jobs = await tx.fetch_all(_JOBS, {"most": _MOST, "aged": _AGED})
        batches = await tx.fetch_all(_BATCHES)
        deliveries = await tx.fetch_value(_DELIVERIES, {"most": _MOST})
        workers = await tx.fetch_value(_WORKERS)
    return Backlog(
        jobs={(row["task_name"], row["state"]): row["number"] for row in jobs},
        oldest_seconds={
            row["task_name"]: max(0.0, float(row["age"] or 0)) for row in jobs if row["state"] == "waiting"
        },
        workers=workers,
        batches={row["status"]: row["number"] for row in batches},
        deliveries=deliveries,
    )
