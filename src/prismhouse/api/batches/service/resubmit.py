"""Resubmit: a batch that has ended is a draft again, and by default submitted at once."""

from __future__ import annotations

from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus
from prismhouse.api.batches.service.create import expire_later
from prismhouse.api.batches.service.find import ended_batch, lock_batch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.rerun import FRESH
from prismhouse.api.batches.service.submit import submit
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, control, journal
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["TierNotDone", "resubmit"]

_KEPT = ("COMPLETED", "COMPLETED_WITH_ERRORS")


class TierNotDone(WarehouseError):
    """Tier {tier} of batch {batch_id} is {status}: what comes after it cannot start from there."""

    code = Code.BAD_REQUEST
    hint = "Resubmit from that tier, or without from_tier."


async def resubmit(
    parts: Parts, tx: NamespaceWriter, batch_id: str, *, bucket: str, from_tier: int | None, auto_submit: bool
) -> dict[str, Any]:
    """Forget what the tiers from `from_tier` on did, but for their documents, and run them anew."""
    batch = await ended_batch(parts, tx, batch_id, bucket=bucket, verb="resubmitted")
    first = from_tier or 0
    await _check_tier(tx, batch, first)
    await control.clear(tx, batch.batch_id, from_tier=first)
    await store.update(
        tx,
        batch.batch_id,
        **FRESH,
        status=BatchStatus.DRAFT,
        run=batch.run + 1,
        from_tier=first,
        replaces_before=None,
        queued_at=None,
        current_tier=None,
        dag_tiers=list(batch.dag_tiers or ())[:first] or None,
    )
    await journal.record(
        tx,
        batch_id,
        tier=None,
        level="info",
        event=JournalEvent.BATCH_RESUBMITTED,
        message=f"It starts again from tier {first}.",
        details={"from_tier": first, "run": batch.run + 1, "was": batch.status},
    )
    answer: dict[str, Any] = {"batch_id": batch_id, "status": "DRAFT", "task_id": None, "from_tier": first}
    if auto_submit:
        task_id = await submit(parts, tx, await lock_batch(parts, tx, batch_id))
        return {**answer, "status": "QUEUED", "task_id": task_id, "message": f"Submitted again from tier {first}."}
    if (minutes := parts.worker.draft_minutes) is not None:
        await expire_later(parts, tx, batch.batch_id, seconds=minutes * 60)
    return {**answer, "message": "It is a draft again; submit it to run it."}


async def _check_tier(tx: NamespaceWriter, batch: BatchRow, first: int) -> None:
    total = len(batch.dag_tiers or ())
    if first and first >= total:
        message = f"must be less than {total}, the number of its tiers"
        raise Invalid([field_fault(["query", "from_tier"], message)])
    for row in (await chunks.tiers(tx, batch.batch_id))[:first]:
        if row.status not in _KEPT:
            raise TierNotDone(tier=row.tier, batch_id=batch.batch_id, status=row.status)
