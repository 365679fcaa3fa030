"""Heal a tier: jobs that stand twice, work that no job stands for, states that do not follow their counts.

None of these should ever be needed: jobs, chunks and states change in one transaction. Each says what it found.
"""

from __future__ import annotations

from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchRow, TierRow
from prismhouse.api.batches.schemas import HealAction
from prismhouse.api.batches.service.find import find_batch, lock_batch
from prismhouse.api.batches.service.finish import end_tier
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.stop import jobs_of
from prismhouse.api.batches.service.submit import job_arguments
from prismhouse.api.batches.service.tier_control import tier_of
from prismhouse.api.batches.service.tiers import enqueue_pending
from prismhouse.api.batches.store import chunks, control, journal
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["heal"]


async def heal(
    parts: Parts, tx: NamespaceWriter, batch_id: str, tier: int, action: HealAction, *, bucket: str
) -> dict[str, Any]:
    """Do one of the actions and return what was found and changed."""
    await tier_of(tx, await find_batch(parts, tx, batch_id, bucket=bucket), tier)
    batch = await lock_batch(parts, tx, batch_id)
    row = await tier_of(tx, batch, tier)
    match action:
        case "kill_duplicates":
            found = await _kill_duplicates(parts, tx, batch, tier)
        case "detect_stuck":
            found = await _queue_stuck(parts, tx, batch, row)
        case "sync_status":
            found = await _sync_status(parts, tx, batch, row)
    if found:
        await journal.record(
            tx, batch_id, tier=tier, level="warning", event=JournalEvent.TIER_HEALED, message=f"{action}: {found[0]}"
        )
    return {
        "batch_id": batch_id,
        "tier_num": tier,
        "action": action,
        "status": (await tier_of(tx, batch, tier)).status,
        "healed_count": len(found),
        "findings": found,
        "message": f"{len(found)} findings, put right." if found else "Nothing is wrong.",
    }


async def _kill_duplicates(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int) -> list[str]:
    """Keep one job for each piece of work, a running one where there is one, and none of an earlier run."""
    kept, spare = set(), []
    jobs = await jobs_of(parts, tx.unscoped, tx.namespace_id, batch.batch_id, tier=tier)
    for job in sorted(jobs, key=lambda job: (not job.running, job.job_id)):
        work = (job.name, job.arguments.get("chunk"))
        stale = job.arguments.get("run", 0) != batch.run or batch.status not in ACTIVE
        if (work in kept or stale) and not job.running:
            spare.append(job.job_id)
        kept.add(work)
    gone = await parts.queue.withdraw(tx.unscoped, spare)
    return [f"Job {number} stood for work that another job does." for number in sorted(gone)]


async def _queue_stuck(parts: Parts, tx: NamespaceWriter, batch: BatchRow, row: TierRow) -> list[str]:
    """Queue what waits for a job that is not there."""
    if batch.status not in ACTIVE:
        return []
    jobs = await jobs_of(parts, tx.unscoped, tx.namespace_id, batch.batch_id, tier=row.tier, run=batch.run)
    earlier = (await chunks.tiers(tx, batch.batch_id))[: row.tier]
    if row.status == "PENDING" and not jobs and all(item.completed_at is not None for item in earlier):
        job = job_arguments(batch, batch.task_id, tier=row.tier)
        await parts.queue.enqueue(tx.unscoped, "batches.start_tier", [job])
        return ["No job stood for the start of the tier; it was queued."]
    if row.status != "IN_PROGRESS":
        return []
    known = {job.arguments.get("chunk") for job in jobs}
    queued = await control.queued_numbers(tx, batch.batch_id, row.tier)
    stuck = [number for number in queued if number not in known]
    again = [job_arguments(batch, batch.task_id, tier=row.tier, chunk=number) for number in stuck]
    await parts.queue.enqueue(tx.unscoped, "batches.run_chunk", again)
    if not queued:
        await enqueue_pending(parts, tx, batch, row.tier, parts.chunks_in_flight)
    return [f"No job stood for chunk {number}; it was queued." for number in stuck]


async def _sync_status(parts: Parts, tx: NamespaceWriter, batch: BatchRow, row: TierRow) -> list[str]:
    """End a tier that has nothing left to do, and give its task the state of the tier."""
    found = []
    if (
        batch.status in ACTIVE
        and row.status == "IN_PROGRESS"
        and not await chunks.open_chunks(tx, batch.batch_id, row.tier)
    ):
        await end_tier(parts, tx, batch, row.tier)
        found.append("Every chunk was done, but the tier had not ended.")
    row = await tier_of(tx, batch, row.tier)
    if row.task_id != batch.task_id and row.status != "SKIPPED":
        task = await parts.tasks.seen(tx.unscoped, batch.organization_id, row.task_id)
        if task["status"] != row.status:
            await parts.tasks.update(tx.unscoped, row.task_id, status=row.status)
            found.append(f"Its task was {task['status']}, the tier is {row.status}.")
    return found
