"""Retry: the rows of a batch that failed, and nothing else, run once more; what they make flows into later tiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismhouse.api.batches.model import BatchRow, TierRow
from prismhouse.api.batches.schemas import RetryBatch
from prismhouse.api.batches.service.find import ended_batch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.rerun import run_again
from prismhouse.api.batches.store import chunks, control, journal
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.engine.pipeline.plan import cut_work
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["add_retries", "retry"]


async def retry(
    parts: Parts, tx: NamespaceWriter, batch_id: str, request: RetryBatch, *, bucket: str
) -> dict[str, Any]:
    """Queue the failed rows that the request means; without any, change nothing and say so."""
    batch = await ended_batch(parts, tx, batch_id, bucket=bucket, verb="retried")
    failed = await control.failures_to_retry(
        tx,
        batch_id,
        transient_only=request.retry_mode == "transient_only",
        tiers=request.tier_nums,
        max_retries=request.max_retry_count,
    )
    if not failed:
        return _answer(batch, 0, batch.status, "No failed row is to be retried.")
    count = await add_retries(parts, tx, batch, failed)
    first, touched = failed[0][0], {tier for tier, _, _ in failed}
    rows = await chunks.tiers(tx, batch_id)
    tiers = [row.tier for row in rows if row.tier >= first and _runs(row, touched)]
    begun = await control.first_run(tx, batch_id, from_tier=batch.from_tier)
    for tier in tiers:  # what an earlier retry brought here, before it was cancelled
        await control.restore(tx, batch.batch_id, tier, run=batch.run + 1, since_run=begun + 1)
    await journal.record(
        tx,
        batch_id,
        tier=None,
        level="info",
        event=JournalEvent.BATCH_RETRIED,
        message=f"{count} failed rows are tried again ({request.retry_mode}), from tier {first}.",
        details={"rows": count, "retry_mode": request.retry_mode, "tiers": sorted(touched), "run": batch.run + 1},
    )
    task_id = await run_again(parts, tx, batch, tiers)
    return {**_answer(batch, count, "QUEUED", f"{count} failed rows are tried again."), "task_id": task_id}


async def add_retries(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, failed: Sequence[tuple[int, str, Sequence[str]]]
) -> int:
    """Cut failed rows into chunks of the next run; they stay failed until a chunk of theirs is stored."""
    for tier in sorted({tier for tier, _, _ in failed}):
        work = [
            (name, part)
            for number, name, ids in failed
            if number == tier
            for part in cut_work(ids, parts.worker.chunk_rows, shares=parts.chunks_in_flight)
        ]
        await chunks.insert_chunks(tx, batch.batch_id, tier, work, run=batch.run + 1, retry=True)
    return sum(len(ids) for _, _, ids in failed)


def _runs(row: TierRow, touched: set[int]) -> bool:
    """A tier that was cancelled before it began stays cancelled; any other one may get new documents."""
    return row.tier in touched or row.status != "CANCELED" or row.fed_run is not None


def _answer(batch: BatchRow, count: int, status: str, message: str) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id,
        "task_id": batch.task_id,
        "retried_count": count,
        "status": status,
        "message": message,
    }
