"""A namespace with an end: warned first, deleted an hour later at the earliest."""

from __future__ import annotations

from datetime import datetime

import structlog

from prismhouse.api.namespaces import store
from prismhouse.api.namespaces.deletion import Deletion
from prismhouse.api.namespaces.ports import EventLog
from prismhouse.kit.clock import iso, utc_now
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, Writer

__all__ = ["EXPIRE_JOB", "Expiry"]

EXPIRE_JOB = "namespaces.expire"
_WARNING_SECONDS = 3600.0
_log = structlog.get_logger(__name__)


class Expiry:
    """Each end that is set has a job of its own, due at that moment; a job whose end was moved does nothing."""

    def __init__(self, db: Database, *, jobs: JobQueue, events: EventLog, deletion: Deletion) -> None:
        self._db = db
        self._jobs = jobs
        self._events = events
        self._deletion = deletion
        jobs.register(EXPIRE_JOB, self.run)

    async def schedule(self, tx: Writer, namespace_id: str, expires_at: datetime) -> None:
        """Enqueue the warning for `expires_at`, in the transaction that sets it."""
        arguments = {"namespace_id": namespace_id, "expires_at": iso(expires_at), "warned": False}
        delay = max((expires_at - utc_now()).total_seconds(), 1.0)
        await self._jobs.enqueue(tx, EXPIRE_JOB, [arguments], delay_seconds=delay)

    async def run(self, *, namespace_id: str, expires_at: str, warned: bool) -> None:
        """Warn, or, when the warning is an hour old, delete by force."""
        async with self._db.write() as tx:
            row = await store.live(tx, namespace_id)
            if row is None or iso(row["expires_at"]) != expires_at:
                return
            if warned:
                await self._deletion.start(tx, row, force=True)
                _log.info("an expired namespace is being deleted", namespace_id=namespace_id)
                return
            await self._events.emit(
                tx,
                organization_id=row["organization_id"],
                namespace_id=namespace_id,
                event_type="namespace_expiring",
                resource_id=namespace_id,
                payload={
                    "namespace_id": namespace_id,
                    "namespace_name": row["namespace_name"],
                    "expires_at": expires_at,
                },
            )
            again = {"namespace_id": namespace_id, "expires_at": expires_at, "warned": True}
            await self._jobs.enqueue(tx, EXPIRE_JOB, [again], delay_seconds=_WARNING_SECONDS)
