"""Delete the documents that a batch wrote, with their vectors: a part at a time, and the rest in the background."""

from __future__ import annotations

import asyncio
from typing import Any

from prismhouse.api.batches.service.find import ended_batch, find_batch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.telling import tell_deleted
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import control, journal
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.kit.ids import NamespaceId

__all__ = ["JOB", "delete_documents", "delete_rest"]

JOB = "batches.delete_documents"
_AT_ONCE = 5_000
_PATIENCE_SECONDS = 10.0
_VERB = "relieved of its documents"


async def delete_documents(
    parts: Parts, namespace_id: NamespaceId, batch_id: str, *, bucket: str, principal: str | None = None
) -> dict[str, Any]:
    """Delete for ten seconds at most; what is left then is left to a job.

    An end user, `principal`, deletes what the access lists give to change, and nothing else.
    """
    loop = asyncio.get_running_loop()
    deadline, deleted, part = loop.time() + _PATIENCE_SECONDS, 0, _AT_ONCE
    async with parts.db.read() as reader:
        bucket = (await find_batch(parts, reader.within(namespace_id), batch_id, bucket=bucket)).bucket_id
    while part == _AT_ONCE and loop.time() < deadline:
        part = await _part(parts, namespace_id, batch_id, bucket=bucket, principal=principal)
        deleted += part
    complete = part < _AT_ONCE
    if not complete:
        async with parts.db.write() as unit:
            rest = {"namespace_id": namespace_id, "batch_id": batch_id, "principal_id": principal}
            await parts.queue.enqueue(unit, JOB, [rest])
    more = "" if complete else " The rest goes in the background; ask again to see how many are left."
    return {
        "batch_id": batch_id,
        "deleted_count": deleted,
        "complete": complete,
        "message": f"{deleted} documents were deleted.{more}",
        "success": True,
    }


async def delete_rest(
    parts: Parts, *, namespace_id: NamespaceId, batch_id: str, principal_id: str | None = None
) -> None:
    """Delete until nothing is left, unless the batch is gone or runs again."""
    while True:
        async with parts.db.read() as reader:
            batch = await store.find(reader.within(namespace_id), batch_id)
        if batch is None or not batch.is_terminal:
            return
        if await _part(parts, namespace_id, batch_id, bucket=batch.bucket_id, principal=principal_id) < _AT_ONCE:
            return


async def _part(parts: Parts, namespace_id: NamespaceId, batch_id: str, *, bucket: str, principal: str | None) -> int:
    async with parts.db.write() as unit:
        tx = unit.within(namespace_id)
        batch = await ended_batch(parts, tx, batch_id, bucket=bucket, verb=_VERB)
        gone = await control.delete_documents(tx, batch.batch_id, limit=_AT_ONCE, principal=principal)
        deleted = sum(map(len, gone.values()))
        if deleted:
            await tell_deleted(parts, tx, batch, gone)
            await store.update(tx, batch.batch_id, documents_deleted=(batch.documents_deleted or 0) + deleted)
            message = f"{deleted} documents of the batch were deleted by request."
            event = JournalEvent.DOCUMENTS_DELETED
            await journal.record(tx, batch_id, tier=None, level="warning", event=event, message=message)
    return deleted
