"""A batch that has ended runs again: new tasks, a new run number, and the first tier that has something to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import create_tasks, job_arguments
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import control
from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import TaskId
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["FRESH", "run_again"]

# What an earlier run left behind in the record.
FRESH: dict[str, Any] = {
    "failure_reason": None,
    "failure_category": None,
    "started_at": None,
    "completed_at": None,
}


async def run_again(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tiers: Sequence[int]) -> TaskId:
    """Queue these tiers, in order, of a batch that `tx` has locked; return the task of the run.

    The chunks of the new run, `batch.run` + 1, stand already; later tiers get what they make.
    """
    dag = batch.dag_tiers or ()
    task_ids = await create_tasks(parts, tx, batch, dag, tiers)
    await control.reopen(tx, batch.batch_id, tiers, task_ids)
    await store.update(
        tx,
        batch.batch_id,
        **FRESH,
        run=batch.run + 1,
        status=BatchStatus.QUEUED,
        task_id=task_ids[0],
        queued_at=utc_now(),
        retry_count=batch.retry_count + 1,
        last_retry_at=utc_now(),
    )
    job = {**job_arguments(batch, task_ids[0], tier=tiers[0]), "run": batch.run + 1}
    await parts.queue.enqueue(tx.unscoped, "batches.start_tier", [job])
    return task_ids[0]
