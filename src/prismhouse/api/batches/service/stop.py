"""Stop a batch for good: what waits is withdrawn, what runs is told, and nothing of it is stored any more."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from prismhouse.api.batches.model import ACTIVE, BatchRow, BatchStatus
from prismhouse.api.batches.service.finish import end_batch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, control, journal
from prismhouse.api.batches.store.chunks import Chunk
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.engine.extractors.port import ErrorType, RowFailure
from prismhouse.engine.pipeline.ledger import FailureCategory
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.jobs.queue import QueuedJob
from prismhouse.storage.postgres.database import DatabaseUnavailable, NamespaceWriter, Reader

__all__ = ["Stopped", "cancel", "give_up", "jobs_of", "outcome_of", "while_wanted", "withdraw"]

_JOBS = ("batches.start_tier", "batches.run_chunk")
_LOOK_SECONDS = 0.5
_WAIT_SECONDS = 3.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The batch as it was, and the ids of its jobs: of those that waited, and of those that a worker has."""

    batch: BatchRow
    withdrawn: int
    running: frozenset[int]

    def outcome(self, left: Collection[int]) -> dict[str, int]:
        """Return how the cancellation went, where these jobs still run."""
        requested = self.withdrawn + len(self.running)
        return {
            "ray_jobs_requested": requested,
            "ray_jobs_accepted": requested - len(left),
            "ray_jobs_refused": len(left),
        }


async def jobs_of(
    parts: Parts, tx: Reader, namespace_id: NamespaceId, batch_id: str, **holding: Any
) -> list[QueuedJob]:
    """Return what waits or runs for a batch, of one tier or chunk where `holding` says so."""
    return await parts.queue.find(tx, _JOBS, {"namespace_id": namespace_id, "batch_id": batch_id, **holding})


async def withdraw(parts: Parts, tx: NamespaceWriter, jobs: Sequence[QueuedJob]) -> tuple[int, frozenset[int]]:
    """Take jobs back; return how many had not begun, and the ids of the others."""
    gone = await parts.queue.withdraw(tx.unscoped, [job.job_id for job in jobs if not job.running])
    return len(gone), frozenset(job.job_id for job in jobs) - gone


async def cancel(parts: Parts, tx: NamespaceWriter, batch_id: str, *, reason: str) -> Stopped | None:
    """Cancel a batch unless it is gone or has ended: None."""
    await control.hold_chunks(tx, batch_id)
    batch = await store.lock(tx, batch_id)
    if batch is None or batch.is_terminal:
        return None
    withdrawn, running = await withdraw(parts, tx, await jobs_of(parts, tx.unscoped, tx.namespace_id, batch_id))
    await control.take_back(tx, batch.batch_id)
    await end_batch(parts, tx, batch, BatchStatus.CANCELED, reason=reason)
    stopped = Stopped(batch, withdrawn, running)
    if batch.task_id is not None:
        # As it is now: who waits for what still runs may die before it can tell more.
        noted = {"cancellation": stopped.outcome(stopped.running)}
        await parts.tasks.update(tx.unscoped, batch.task_id, additional_data=noted)
    return stopped


async def outcome_of(parts: Parts, namespace_id: NamespaceId, batch_id: str, stopped: Stopped) -> dict[str, int]:
    """Return how the cancellation went, after a moment for running work to stop: `refused` may run on.

    Whatever runs on stores nothing.
    """
    left, loop = stopped.running, asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_SECONDS
    while left:
        async with parts.db.read() as reader:
            left &= {job.job_id for job in await jobs_of(parts, reader, namespace_id, batch_id)}
        if not left or loop.time() > deadline:
            break
        await asyncio.sleep(0.1)
    return stopped.outcome(left)


async def give_up(
    parts: Parts, tx: NamespaceWriter, batch_id: str, error: Exception, *, tier: int | None, run: int
) -> None:
    """Fail a batch of which a job failed for the last time: every row that did not run has failed with it."""
    await control.hold_chunks(tx, batch_id)
    batch = await store.lock(tx, batch_id)
    if batch is None or batch.is_terminal or batch.run != run:
        return
    reason = error.message if isinstance(error, WarehouseError) else f"{type(error).__name__}: {error}"
    # No row is to blame. Only a worker that died each time may have met one that is too large.
    died = isinstance(error, WarehouseError) and error.code is Code.INTERNAL
    kind = ErrorType.RESOURCE if died else ErrorType.TRANSIENT
    failure = RowFailure(stage="engine", code="not_run", message=reason, error_type=kind)
    await withdraw(parts, tx, await jobs_of(parts, tx.unscoped, tx.namespace_id, batch_id))
    await control.fail_open(tx, batch.batch_id, failure)
    event = JournalEvent.BATCH_GIVEN_UP
    await journal.record(tx, batch_id, tier=tier, level="error", event=event, message=reason)
    await end_batch(parts, tx, batch, BatchStatus.FAILED, reason=reason, category=FailureCategory.PIPELINE)


async def while_wanted(parts: Parts, batch: BatchRow, chunk: Chunk, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work of a chunk, but drop it at once when nobody wants it any more; return whether it was done."""
    task = asyncio.ensure_future(work)
    try:
        while True:
            await asyncio.wait({task}, timeout=_LOOK_SECONDS)
            if task.done():
                task.result()
                return True
            if not await _is_wanted(parts, batch, chunk):
                return False
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.info("work that nobody wanted ended with an error", batch_id=batch.batch_id, error=repr(error))


async def _is_wanted(parts: Parts, batch: BatchRow, chunk: Chunk) -> bool:
    try:
        async with parts.db.read() as reader:
            return await chunks.is_wanted(
                reader.within(batch.namespace_id),
                batch.batch_id,
                chunk.tier,
                chunk.chunk,
                run=batch.run,
                statuses=[status.value for status in ACTIVE],
            )
    except DatabaseUnavailable:
        return True
