"""Ends: of a tier, of a batch. The state, the task, the event and the objects change in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus, TierRow
from prismhouse.api.batches.service.audit import audit_tier
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import job_arguments
from prismhouse.api.batches.service.telling import tell_end
from prismhouse.api.batches.store import amounts, chunks, control, journal, ledger
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store.journal import JournalEvent, Level
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

__all__ = ["end_batch", "end_stopped_tier", "end_tier", "stop_tier"]

_REASON_CHARACTERS = 2000
_LEVELS: dict[Outcome, Level] = {
    Outcome.COMPLETED: "info",
    Outcome.COMPLETED_WITH_ERRORS: "warning",
    Outcome.FAILED: "error",
}


async def end_tier(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int) -> None:
    """End a tier whose chunks are done: start the next one, or end the batch, which `tx` has locked."""
    rows = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    by_tier = [Counts.total(row.counts for row in rows if row.tier == number) for number in range(tier + 1)]
    stopped = all(row.canceled_at is not None for row in rows if row.tier == tier)
    outcome, status = await _close_tier(tx, batch, tier, by_tier[tier], stopped=stopped)
    await _record_tier(tx, batch, tier, outcome, by_tier[tier])
    await _go_on(parts, tx, batch, tier, failed=outcome is Outcome.FAILED, status=status)


async def end_stopped_tier(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int) -> None:
    """End a tier that was stopped before its chunks were done, and go on with those after it."""
    await stop_tier(tx, batch, (await chunks.tiers(tx, batch.batch_id))[tier], status="CANCELED")
    await _go_on(parts, tx, batch, tier, failed=False, status="CANCELED")


async def _go_on(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int, *, failed: bool, status: str) -> None:
    tiers = await chunks.tiers(tx, batch.batch_id)
    following = [row.tier for row in tiers if row.tier > tier and row.status == "PENDING"]
    if following and not failed:
        await _end_tier_task(parts, tx, batch, tiers[tier], status)
        await parts.queue.enqueue(
            tx.unscoped, "batches.start_tier", [job_arguments(batch, batch.task_id, tier=following[0])]
        )
        return
    rows = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    by_tier = [Counts.total(row.counts for row in rows if row.tier == item.tier) for item in tiers]
    stopped = [row.tier for row in tiers if row.status == "CANCELED"]
    outcome = _honest(batch_outcome(by_tier), lost=sum((row.audit or {}).get("lost", 0) for row in tiers))
    reason = category = None
    if stopped and not failed:
        names = ", ".join(str(number) for number in stopped)
        reason = f"Tier {names} was cancelled."
        if outcome is Outcome.FAILED and not any(counts.failed for counts in by_tier):
            await end_batch(parts, tx, batch, BatchStatus.CANCELED, reason=reason, ended_tier=tier)
            return
        outcome = Outcome.COMPLETED_WITH_ERRORS if outcome is Outcome.COMPLETED else outcome
    if outcome is Outcome.FAILED:
        kinds = (await ledger.summary_of(tx, [batch.batch_id])).get(batch.batch_id, {})
        category = category_of(kind for _, kind in kinds)
        reason = _why(Counts.total(by_tier))
    await end_batch(parts, tx, batch, BatchStatus(outcome), reason=reason, category=category, ended_tier=tier)


def _was_stopped(counts: Counts) -> bool:
    """Whether everything that a tier was to do was taken back."""
    return bool(counts.canceled and not counts.submitted and not counts.deduplicated)


async def _close_tier(
    tx: NamespaceWriter, batch: BatchRow, tier: int, counts: Counts, *, stopped: bool
) -> tuple[Outcome, str]:
    """Set the end of a tier, with its books: what was counted is held against what is really there."""
    outcome = tier_outcome(counts)
    row = replace((await chunks.tiers(tx, batch.batch_id))[tier], status=outcome, completed_at=utc_now())
    audit = await audit_tier(tx, batch, row, counts)
    outcome = _honest(outcome, lost=audit["lost"])
    status = "CANCELED" if stopped or _was_stopped(counts) else str(outcome)
    await chunks.update_tier(tx, batch.batch_id, tier, status=status, audit=audit)
    return outcome, status


async def stop_tier(tx: NamespaceWriter, batch: BatchRow, row: TierRow, *, status: str) -> None:
    """Set the end of a tier that did not come to its own end, with its books."""
    rows = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    counts = Counts.total(item.counts for item in rows if item.tier == row.tier)
    ended = replace(row, status=status, completed_at=utc_now())
    audit = await audit_tier(tx, batch, ended, counts)
    await chunks.update_tier(tx, batch.batch_id, row.tier, status=status, audit=audit)


def _honest(outcome: Outcome, *, lost: int) -> Outcome:
    return Outcome.COMPLETED_WITH_ERRORS if lost and outcome is Outcome.COMPLETED else outcome


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
    ended_tier: int | None = None,
) -> None:
    """Set the terminal state of a batch that `tx` has locked, and tell everyone."""
    reason = reason and reason.replace("\x00", "")[:_REASON_CHARACTERS]
    values: dict[str, Any] = {}
    if batch.dedup_strategy == "replace" and status in (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS):
        values = await _replace(tx, batch)
    await store.update(
        tx,
        batch.batch_id,
        status=status,
        failure_reason=reason,
        failure_category=category,
        **values,
        completed_at=utc_now(),
    )
    if status is BatchStatus.CANCELED:
        await _mark_retried(parts, tx, batch)
    else:
        await _mark_objects(parts, tx, batch, reason if status is BatchStatus.FAILED else None)
    counts = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    result = _result(batch, status, Counts.total(row.counts for row in counts), reason, category)
    await _record_batch(tx, batch, status, result)
    await _end_tasks(parts, tx, batch, status, result, reason, ended_tier)
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


async def _record_tier(tx: NamespaceWriter, batch: BatchRow, tier: int, outcome: Outcome, counts: Counts) -> None:
    message = (
        f"{outcome}: {counts.processed} rows gave {counts.documents_written} documents, "
        f"{counts.failed} failed, {counts.skipped} were rightly empty."
    )
    if counts.lost:
        message += f" {counts.lost} were never heard of again."
    details = {"status": outcome, **{name: getattr(counts, name) for name in Counts.__dataclass_fields__}}
    await journal.record(
        tx,
        batch.batch_id,
        tier=tier,
        level=_LEVELS[outcome],
        event=JournalEvent.TIER_ENDED,
        message=message,
        details=details,
    )


async def _record_batch(tx: NamespaceWriter, batch: BatchRow, status: BatchStatus, result: dict[str, Any]) -> None:
    canceled = status is BatchStatus.CANCELED
    await journal.record(
        tx,
        batch.batch_id,
        tier=None,
        level="info" if canceled else _LEVELS[Outcome(status)],
        event=JournalEvent.BATCH_CANCELED if canceled else JournalEvent.BATCH_ENDED,
        message=f"{status}: {result['failure_reason'] or '{} documents written.'.format(result['documents_written'])}",
        details={
            "status": status,
            "documents_written": result["documents_written"],
            "rows_failed": result["rows_failed"],
            "failure_category": result["failure_category"],
        },
    )


async def _replace(tx: NamespaceWriter, batch: BatchRow) -> dict[str, int]:
    """Delete what the batch has replaced; return how many documents it wrote in their place, and how many went."""
    complete, deleted = set(await _complete(tx, batch)), 0
    for tier, names in enumerate(batch.dag_tiers or ()):
        for name in complete.intersection(names):
            if number := await chunks.remove_replaced(tx, batch.batch_id, [name]):
                await amounts.add(tx, batch.batch_id, tier, name, {("documents", "deleted"): number})
                deleted += number
    found = (await amounts.of_batches(tx, [batch.batch_id])).get(batch.batch_id, {})
    replaced = sum(item.get(("documents", "replaced"), 0) for item in found.values())
    return {"documents_replaced": int(replaced), "documents_deleted": (batch.documents_deleted or 0) + deleted}


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
    untouched = await control.objects_taken_back(tx, batch.batch_id) - failed.keys()
    outcomes: dict[str, tuple[str, str | None]] = {}
    for name in (name for name in ids if name not in untouched):
        error = failed.get(name) or (reason if name in unfinished else None)
        outcomes[name] = ("FAILED", error) if error else ("COMPLETED", partial.get(name))
    await parts.objects.mark(tx, outcomes)


async def _complete(tx: NamespaceWriter, batch: BatchRow) -> list[str]:
    """Return the collections that this run went through to the end: what they held before can go."""
    ended = {
        row.tier for row in await chunks.tiers(tx, batch.batch_id) if row.completed_at and row.status != "CANCELED"
    }
    rows = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    return [
        row.collection_id
        for row in rows
        if row.tier >= batch.from_tier and row.tier in ended and not (row.counts.canceled or row.canceled_at)
    ]


async def _mark_retried(parts: Parts, tx: NamespaceWriter, batch: BatchRow) -> None:
    """Objects that failed in an earlier run and were written in this one, before it was stopped, are done."""
    if batch.run:
        done = await control.written_objects(tx, batch.batch_id)
        await parts.objects.mark(tx, dict.fromkeys(sorted(done), ("COMPLETED", None)))


async def _end_tier_task(parts: Parts, tx: NamespaceWriter, batch: BatchRow, row: TierRow, status: str) -> None:
    """The task of the first tier stands for the whole batch and ends with it."""
    if row.task_id != batch.task_id:
        await parts.tasks.update(tx.unscoped, row.task_id, status=status)


async def _end_tasks(
    parts: Parts,
    tx: NamespaceWriter,
    batch: BatchRow,
    status: BatchStatus,
    result: dict[str, Any],
    reason: str | None,
    ended_tier: int | None,
) -> None:
    rows = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    for row in await chunks.tiers(tx, batch.batch_id):
        is_main = row.task_id == batch.task_id
        if row.completed_at is None:
            counts = Counts.total(item.counts for item in rows if item.tier == row.tier)
            await stop_tier(tx, batch, row, status=_unfinished(row, status, counts))
        if is_main:
            outputs = [result]
            await parts.tasks.update(tx.unscoped, row.task_id, status=status, outputs=outputs, error=reason)
        elif row.completed_at is None or row.tier == ended_tier:
            await parts.tasks.update(tx.unscoped, row.task_id, status=status, error=reason)


def _unfinished(row: TierRow, status: BatchStatus, counts: Counts) -> str:
    """A tier that a failed batch never reached was not run: that is no failure of its own.

    One that a retry did not come to again is what it was before.
    """
    if row.started_at is None and row.fed_run is not None:
        return "CANCELED" if _was_stopped(counts) else tier_outcome(counts)
    return "SKIPPED" if row.started_at is None and status is BatchStatus.FAILED else status
