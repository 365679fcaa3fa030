"""One tier, or one extractor job of it: stop it, or run what it did not do."""

from __future__ import annotations

from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchRow, TierRow
from prismhouse.api.batches.service.find import ended_batch, find_batch, lock_batch
from prismhouse.api.batches.service.finish import end_stopped_tier, end_tier, stop_tier
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.rerun import run_again
from prismhouse.api.batches.service.retry import add_retries
from prismhouse.api.batches.service.stop import Stopped, jobs_of, withdraw
from prismhouse.api.batches.service.submit import job_id
from prismhouse.api.batches.service.tiers import enqueue_pending
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, control, journal
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = [
    "JobEnded",
    "JobNotFound",
    "TierEnded",
    "TierNotFound",
    "TierNotRetried",
    "cancel_job",
    "cancel_tier",
    "retry_tier",
    "tier_of",
]


class TierNotFound(WarehouseError):
    """Batch {batch_id} has no tier {tier}."""

    code = Code.NOT_FOUND
    hint = "Tiers are counted from 0; a draft has none."


class JobNotFound(WarehouseError):
    """Tier {tier} of batch {batch_id} has no extractor job {job}."""

    code = Code.NOT_FOUND
    hint = "Read the batch: extractor_jobs of the tier name them as ray_job_id."


class TierEnded(WarehouseError):
    """Tier {tier} of batch {batch_id} is {status}: there is nothing to stop."""

    code = Code.BAD_REQUEST
    hint = "Its documents stay."


class JobEnded(WarehouseError):
    """Extractor job {job} of tier {tier} has ended: there is nothing to stop."""

    code = Code.BAD_REQUEST
    hint = "Its documents stay."


class TierNotRetried(WarehouseError):
    """Tier {tier} of batch {batch_id} is {status}: nothing of it failed or was cancelled."""

    code = Code.BAD_REQUEST
    hint = "Resubmit the batch with from_tier to run a tier anew."


async def tier_of(tx: NamespaceReader, batch: BatchRow, tier: int) -> TierRow:
    """Return a tier of the batch; raise TierNotFound."""
    rows = await chunks.tiers(tx, batch.batch_id)
    if tier >= len(rows):
        raise TierNotFound(batch_id=batch.batch_id, tier=tier)
    return rows[tier]


async def cancel_tier(
    parts: Parts, tx: NamespaceWriter, batch_id: str, tier: int, *, bucket: str, reason: str | None = None
) -> Stopped:
    """Stop a tier that waits or runs; the others go on with what is there."""
    await tier_of(tx, await find_batch(parts, tx, batch_id, bucket=bucket), tier)
    await control.hold_chunks(tx, batch_id, tier=tier)
    batch = await lock_batch(parts, tx, batch_id)
    row = await tier_of(tx, batch, tier)
    if batch.status not in ACTIVE or row.completed_at is not None:
        raise TierEnded(batch_id=batch_id, tier=tier, status=row.status)
    jobs = await jobs_of(parts, tx.unscoped, tx.namespace_id, batch_id, tier=tier)
    withdrawn, running = await withdraw(parts, tx, jobs)
    taken = await control.take_back(tx, batch.batch_id, tier=tier)
    await control.cancel_counts(tx, batch.batch_id, tier)
    message = f"The tier was cancelled: {taken} rows did not run. {reason or ''}".strip()
    await _record(tx, batch, tier, JournalEvent.TIER_CANCELED, message)
    if all(earlier.completed_at is not None for earlier in (await chunks.tiers(tx, batch_id))[:tier]):
        await end_stopped_tier(parts, tx, batch, tier)
    else:
        await stop_tier(tx, batch, row, status="CANCELED")
        await parts.tasks.update(tx.unscoped, row.task_id, status="CANCELED")
    return Stopped(batch, withdrawn, running)


async def cancel_job(
    parts: Parts, tx: NamespaceWriter, batch_id: str, tier: int, job: str, *, bucket: str, reason: str | None = None
) -> tuple[Stopped, str]:
    """Stop one collection's extraction in a tier; the tier goes on without it, and ends when nothing else is left."""
    found = await find_batch(parts, tx, batch_id, bucket=bucket)
    await tier_of(tx, found, tier)
    names = {job_id(batch_id, tier, name): name for name in (found.dag_tiers or ())[tier]}
    name = names.get(job, job)
    if name not in names.values():
        raise JobNotFound(batch_id=batch_id, tier=tier, job=job)
    await control.hold_chunks(tx, batch_id, tier=tier, collection_id=name)
    batch = await lock_batch(parts, tx, batch_id)
    row = await tier_of(tx, batch, tier)
    if batch.status not in ACTIVE or row.completed_at is not None:
        raise TierEnded(batch_id=batch_id, tier=tier, status=row.status)
    mine = await control.open_numbers(tx, batch_id, tier, name)
    if name in await control.stopped_collections(tx, batch_id, tier) or (row.started_at is not None and not mine):
        raise JobEnded(batch_id=batch_id, tier=tier, job=job)
    all_jobs = await jobs_of(parts, tx.unscoped, tx.namespace_id, batch_id, tier=tier)
    jobs = [job for job in all_jobs if job.arguments.get("chunk") in mine]
    withdrawn, running = await withdraw(parts, tx, jobs)
    taken = await control.take_back(tx, batch.batch_id, tier=tier, collection_id=name)
    await control.cancel_counts(tx, batch.batch_id, tier, name)
    message = f"The extraction of {name} was cancelled: {taken} rows did not run. {reason or ''}".strip()
    await _record(tx, batch, tier, JournalEvent.JOB_CANCELED, message)
    if row.started_at is not None:
        if await chunks.open_chunks(tx, batch_id, tier):
            await enqueue_pending(parts, tx, batch, tier, len(jobs))
        else:
            await end_tier(parts, tx, batch, tier)
    return Stopped(batch, withdrawn, running), name


async def retry_tier(
    parts: Parts, tx: NamespaceWriter, batch_id: str, tier: int, *, bucket: str, priority: int | None = None
) -> dict[str, Any]:
    """Run what a tier did not do: rows that failed, rows that were taken back, or all of it if it never began.

    `priority` is the batch's from now on, among those of its namespace.
    """
    await tier_of(tx, await find_batch(parts, tx, batch_id, bucket=bucket), tier)
    batch = await ended_batch(parts, tx, batch_id, bucket=bucket, verb="retried")
    row = await tier_of(tx, batch, tier)
    failed = await control.failures_to_retry(tx, batch_id, transient_only=False, tiers=[tier], max_retries=None)
    stopped = await control.stopped_tiers(tx, batch_id)
    count = await control.restore(tx, batch.batch_id, tier, run=batch.run + 1)
    if row.status != "CANCELED" and not failed and not count:
        raise TierNotRetried(batch_id=batch_id, tier=tier, status=row.status)
    count += await add_retries(parts, tx, batch, failed)
    await control.reset_tier(tx, batch.batch_id, tier)
    rows = await chunks.tiers(tx, batch_id)
    tiers = [tier, *(later.tier for later in rows if later.tier > tier and _follows(later, stopped))]
    message = f"{count} rows of the tier run again." if row.fed_run is not None else "The tier runs for the first time."
    await _record(tx, batch, tier, JournalEvent.TIER_RETRIED, message)
    if priority is not None:
        await store.update(tx, batch.batch_id, priority=priority)
    task_id = await run_again(parts, tx, batch, tiers)
    return {
        "batch_id": batch_id,
        "tier_num": tier,
        "task_id": task_id,
        "status": "QUEUED",
        "retried_count": count,
        "message": message,
    }


def _follows(row: TierRow, stopped: set[int]) -> bool:
    """A later tier goes on with what comes, unless it was stopped by itself."""
    return row.fed_run is not None or row.tier not in stopped


async def _record(tx: NamespaceWriter, batch: BatchRow, tier: int, event: JournalEvent, message: str) -> None:
    await journal.record(tx, batch.batch_id, tier=tier, level="info", event=event, message=message)
