"""Background entry points of batches."""

from __future__ import annotations

from functools import partial
from typing import Any

from prismhouse.api.batches.service.batches import Batches
from prismhouse.api.batches.service.cutting import blames_rows
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.run import abandon_chunk, run_chunk
from prismhouse.api.batches.service.stop import give_up as give_up_batch
from prismhouse.api.batches.service.telling import NOTIFY_JOB, notify
from prismhouse.api.batches.service.tiers import start_tier
from prismhouse.kit.ids import NamespaceId, TaskId
from prismhouse.storage.postgres import vectors

__all__ = ["register_jobs"]


def register_jobs(parts: Parts, batches: Batches) -> None:
    """Name the jobs of batches; called once, at wiring."""

    async def tier(*, namespace_id: NamespaceId, batch_id: str, task_id: TaskId, tier: int, run: int = 0) -> None:
        if not await start_tier(parts, namespace_id=namespace_id, batch_id=batch_id, tier=tier, run=run):
            await _end_orphan(parts, task_id)

    async def chunk(
        *, namespace_id: NamespaceId, batch_id: str, task_id: TaskId, tier: int, chunk: int, run: int = 0
    ) -> None:
        if not await run_chunk(parts, namespace_id=namespace_id, batch_id=batch_id, tier=tier, chunk=chunk, run=run):
            await _end_orphan(parts, task_id)

    async def give_up(
        error: Exception,
        *,
        namespace_id: NamespaceId,
        batch_id: str,
        tier: int | None = None,
        run: int = 0,
        **_: Any,
    ) -> None:
        async with parts.db.write() as unit:
            await give_up_batch(parts, unit.within(namespace_id), batch_id, error, tier=tier, run=run)

    async def give_up_chunk(error: Exception, *, task_id: TaskId, chunk: int, **arguments: Any) -> None:
        if blames_rows(error):
            await abandon_chunk(parts, error, chunk=chunk, **arguments)
        else:
            await give_up(error, task_id=task_id, chunk=chunk, **arguments)

    async def build_indexes(*, namespace_id: NamespaceId) -> None:
        await vectors.build_approximate_indexes(parts.db, namespace_id)

    parts.queue.register("batches.start_tier", tier, on_give_up=give_up, lane="quick")
    parts.queue.register("batches.run_chunk", chunk, on_give_up=give_up_chunk, lane="rows")
    parts.queue.register("batches.expire_draft", batches.expire_draft)
    parts.queue.register("batches.build_indexes", build_indexes)
    parts.queue.register(NOTIFY_JOB, partial(notify, parts.sender))


async def _end_orphan(parts: Parts, task_id: TaskId) -> None:
    """A batch that went with its namespace leaves a task behind, which somebody may be waiting for."""
    async with parts.db.write() as tx:
        await parts.tasks.update(tx, task_id, status="CANCELED", error="The namespace was deleted.")
