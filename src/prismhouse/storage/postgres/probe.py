"""Is the database there, and is anyone working its queue?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from prismhouse.storage.postgres.database import Database

__all__ = ["Pulse", "take_pulse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What one look at the database says. `worker_seen_at` is None while no worker runs."""

    worker_seen_at: datetime | None
    jobs_waiting: int
    vectors: bool


async def take_pulse(db: Database) -> Pulse:
    """Return the pulse; raise DatabaseUnavailable."""
    async with db.read() as tx:
        row = await tx.fetch_one(
            """SELECT (SELECT max(last_heartbeat) FROM procrastinate_workers) AS worker_seen_at,
                 (SELECT count(*) FROM (SELECT FROM procrastinate_jobs WHERE status = 'todo' LIMIT 100000) x)
                   AS jobs_waiting,
                 EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') AS vectors"""
        )
    found = row or {}
    return Pulse(
        worker_seen_at=found.get("worker_seen_at"),
        jobs_waiting=int(found.get("jobs_waiting") or 0),
        vectors=bool(found.get("vectors")),
    )
