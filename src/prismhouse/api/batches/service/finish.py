"""Ends: of a tier, of a batch. The state, the task, the event and the objects change in one transaction."""

from __future__ import annotations

from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import job_arguments
from prismhouse.api.batches.service.telling import tell_end
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, ledger
from prismhouse.engine.pipeline.ledger import (
    Counts,
    FailureCategory,
    Outcome,
    batch_outcome,
    category_of,
    tier_outcome,
)
from prismhouse.kit.clock import utc_now
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["end_batch", "end_tier"]

_REASON_CHARACTERS = 2000


async def end_tier(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int) -> None:
    """End a tier whose chunks are done: start the next one, or end the batch, which `tx` has locked."""
    rows = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    by_tier = [Counts.total(row.counts for row in rows if row.tier == number) for number in range(tier + 1)]
    outcome = tier_outcome(by_tier[tier])
    await chunks.update_tier(tx, batch.batch_id, tier, status=outcome)
    total = len(batch.dag_tiers or ())
    if outcome is not Outcome.FAILED and tier + 1 < total:
        await _end_tier_task(parts, tx, batch, tier, outcome)
        await parts.queue.enqueue(
            tx.unscoped, "batches.start_tier", [job_arguments(batch, batch.task_id, tier=tier + 1)]
        )
        return
    outcome = batch_outcome(by_tier)
    reason = category = None
    if outcome is Outcome.FAILED:
        kinds = (await ledger.summary_of(tx, [batch.batch_id])).get(batch.batch_id, {})
        category = category_of(kind for _, kind in kinds)
        reason = _why(Counts.total(by_tier))
    await end_batch(parts, tx, batch, BatchStatus(outcome), reason=reason, category=category)


def _why(counts: Counts) -> str:
    if counts.failed:
        return f"No document was written: {counts.failed} of {counts.submitted} rows failed."
    if counts.fetched and not counts.after_filter:
        return f"No document was written: none of {counts.fetched} sources passed the collection's source_filters."
    if counts.skipped:
        return f"No document was written: all {counts.skipped} rows were empty."
    return "No document was written: no source was found."


async def end_batch(
    parts: Parts,
    tx: NamespaceWriter,
    batch: BatchRow,
    status: BatchStatus,
    *,
    reason: str | None = None,
    category: FailureCategory | None = None,
) -> None:
    """Set the terminal state of a batch that `tx` has locked, and tell everyone."""
    reason = reason and reason.replace("\x00", "")[:_REASON_CHARACTERS]
    replaced = 0
    if batch.dedup_strategy == "replace" and status in (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS):
        replaced = await chunks.remove_replaced(tx, batch.batch_id, batch.collection_ids)
    await store.update(
        tx,
        batch.batch_id,
        status=status,
        failure_reason=reason,
        failure_category=category,
        documents_replaced=replaced,
        completed_at=utc_now(),
    )
    if status is not BatchStatus.CANCELED:
        await _mark_objects(parts, tx, batch, reason)
    counts = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    result = _result(batch, status, Counts.total(row.counts for row in counts), reason, category)
    await _end_tasks(parts, tx, batch, status, result, reason)
    if status is not BatchStatus.CANCELED:
        await parts.events.emit(
            tx.unscoped,
            organization_id=batch.organization_id,
            namespace_id=batch.namespace_id,
            event_type="batch.failed" if status is BatchStatus.FAILED else "batch.completed",
            resource_id=batch.batch_id,
            payload=result,
        )
    await tell_end(parts, tx, batch, result, counts)
    if result["documents_written"]:
        await parts.queue.enqueue(
            tx.unscoped, "batches.build_indexes", [{"namespace_id": batch.namespace_id}], priority=-10
        )


def _result(
    batch: BatchRow, status: BatchStatus, counts: Counts, reason: str | None, category: FailureCategory | None
) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id,
        "bucket_id": batch.bucket_id,
        "namespace_id": batch.namespace_id,
        "status": status,
        "collection_ids": batch.collection_ids,
        "object_count": batch.object_count,
        "documents_written": counts.documents_written,
        "rows_failed": counts.failed,
        "rows_incomplete": counts.incomplete,
        "failure_reason": reason,
        "failure_category": category,
        "completed_at": utc_now(),
    }


async def _mark_objects(parts: Parts, tx: NamespaceWriter, batch: BatchRow, reason: str | None) -> None:
    failed, partial = await ledger.messages_of_objects(tx, batch.batch_id)
    ids = await store.object_ids(tx, batch.batch_id)
    unfinished = set(ids) - await chunks.objects_with_documents(tx, batch.batch_id) if reason else set()
    outcomes: dict[str, tuple[str, str | None]] = {}
    for name in ids:
        error = failed.get(name) or (reason if name in unfinished else None)
        outcomes[name] = ("FAILED", error) if error else ("COMPLETED", partial.get(name))
    await parts.objects.mark(tx, outcomes)


async def _end_tier_task(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int, outcome: Outcome) -> None:
    """The task of tier 0 stands for the whole batch and ends with it."""
    if tier:
        row = (await chunks.tiers(tx, batch.batch_id))[tier]
        await parts.tasks.update(tx.unscoped, row.task_id, status=outcome)


async def _end_tasks(
    parts: Parts,
    tx: NamespaceWriter,
    batch: BatchRow,
    status: BatchStatus,
    result: dict[str, Any],
    reason: str | None,
) -> None:
    for row in await chunks.tiers(tx, batch.batch_id):
        is_main = row.task_id == batch.task_id
        if row.completed_at is None:
            await chunks.update_tier(tx, batch.batch_id, row.tier, status=_unfinished(status, row.started_at is None))
        if is_main:
            outputs = [result]
            await parts.tasks.update(tx.unscoped, row.task_id, status=status, outputs=outputs, error=reason)
        elif row.completed_at is None or row.tier == len(batch.dag_tiers or ()) - 1:
            await parts.tasks.update(tx.unscoped, row.task_id, status=status, error=reason)


def _unfinished(status: BatchStatus, never_began: bool) -> str:
    """A tier that a failed batch never reached was not run: that is no failure of its own."""
    return "SKIPPED" if never_began and status is BatchStatus.FAILED else status
