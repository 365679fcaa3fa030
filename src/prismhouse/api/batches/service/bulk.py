"""Many batches at once: a whole bucket cut into batches, or every draft of a bucket submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismhouse.api.batches.model import BatchStatus
from prismhouse.api.batches.schemas import BatchMetadata, BulkSubmit, CreateBatch
from prismhouse.api.batches.service.create import By, add, expire_later, insert
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import submit
from prismhouse.api.batches.store import batches as store
from prismhouse.api.buckets.service import BucketRow
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId, new_id
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["bulk_submit", "submit_all"]

_MOST_OBJECTS = 1_000_000
_MOST_DRAFTS = 10_000


async def bulk_submit(
    parts: Parts, tx: NamespaceWriter, bucket: BucketRow, request: BulkSubmit, *, by: By
) -> dict[str, Any]:
    """Make and submit the batches in one transaction; one that is refused stays a draft and says why."""
    size = min(request.chunk_size, parts.limits.batch_objects)
    most = min(request.max_objects or _MOST_OBJECTS, _MOST_OBJECTS)
    ids = await parts.objects.select_ids(tx, bucket.bucket_id, filters=request.filters, limit=most)
    group = new_id("bgrp")
    metadata = BatchMetadata.model_validate({"batch_group_id": group})
    asked = CreateBatch(collection_ids=request.collection_ids, dedup_strategy=request.dedup_strategy, metadata=metadata)
    results = [
        await _one(parts, tx, bucket, asked, ids[start : start + size], by=by) for start in range(0, len(ids), size)
    ]
    failed = sum("error" in result for result in results)
    return {
        "batch_group_id": group,
        "total_objects": len(ids),
        "total_batches": len(results),
        "submitted": len(results) - failed,
        "failed": failed,
        "chunk_size": size,
        "batches": results,
    }


async def _one(
    parts: Parts, tx: NamespaceWriter, bucket: BucketRow, asked: CreateBatch, ids: Sequence[str], *, by: By
) -> dict[str, Any]:
    batch = await insert(parts, tx, bucket, asked, by=by)
    await add(parts, tx, batch, ids)
    known = {"batch_id": batch.batch_id, "object_count": len(ids)}
    try:
        async with tx.savepoint():
            await submit(parts, tx, await store.lock(tx, batch.batch_id) or batch)
    except WarehouseError as error:
        if (minutes := parts.worker.draft_minutes) is not None:
            await expire_later(parts, tx, batch.batch_id, seconds=minutes * 60)
        return {**known, "status": "DRAFT", "error": error.message}
    return {**known, "status": "QUEUED"}


async def submit_all(parts: Parts, namespace_id: NamespaceId, bucket: str) -> dict[str, Any]:
    """Submit every draft, oldest first, each in its own transaction; one that is refused stays a draft."""
    async with parts.db.read() as reader:
        tx = reader.within(namespace_id)
        row = await parts.buckets.resolve(tx, bucket)
        drafts = await store.drafts_of(tx, row.bucket_id, limit=_MOST_DRAFTS)
    results: list[dict[str, Any]] = []
    for batch_id in drafts:
        try:
            async with parts.db.write() as unit:
                tx = unit.within(namespace_id)
                batch = await store.lock(tx, batch_id)
                if batch is None or batch.status is not BatchStatus.DRAFT:
                    continue  # somebody else submitted it, or did away with it
                task_id = await submit(parts, tx, batch)
        except WarehouseError as error:
            if error.code.retryable:
                raise
            results.append({"batch_id": batch_id, "status": "DRAFT", "error": error.message})
        else:
            results.append({"batch_id": batch_id, "status": "QUEUED", "task_id": task_id})
    failed = sum("error" in result for result in results)
    return {"submitted": len(results) - failed, "failed": failed, "results": results}
