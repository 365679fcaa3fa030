"""Objects that are processed at once: what `Objects` calls for `auto_process`."""

from __future__ import annotations

from collections.abc import Sequence

from prismhouse.api.batches.model import BatchRow
from prismhouse.api.batches.schemas import CreateBatch
from prismhouse.api.batches.service.create import By, add, insert
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import submit
from prismhouse.api.batches.store import batches as store
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import BatchId, BucketId, ObjectId, TaskId
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["AutoProcess"]


class AutoProcess:
    """Makes and submits a batch of new objects, in the transaction that stores them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def submit(
        self, tx: NamespaceWriter, scope: Scope, bucket_id: BucketId, object_ids: Sequence[ObjectId]
    ) -> tuple[BatchId, TaskId]:
        """Return the batch and its task; raise NothingToProcess when no collection reads the bucket."""
        batch = await self._draft(tx, scope, bucket_id, object_ids)
        return batch.batch_id, await self._submit(tx, batch)

    async def submit_or_keep(
        self, tx: NamespaceWriter, scope: Scope, bucket_id: BucketId, object_ids: Sequence[ObjectId]
    ) -> tuple[BatchId, TaskId | None, WarehouseError | None]:
        """Return the batch and its task, or the batch as a draft and why it cannot be submitted."""
        batch = await self._draft(tx, scope, bucket_id, object_ids)
        try:
            async with tx.savepoint():
                return batch.batch_id, await self._submit(tx, batch), None
        except WarehouseError as error:
            return batch.batch_id, None, error

    async def _draft(
        self, tx: NamespaceWriter, scope: Scope, bucket_id: BucketId, object_ids: Sequence[ObjectId]
    ) -> BatchRow:
        bucket = await self._parts.buckets.resolve(tx, bucket_id)
        by = By(organization_id=scope.organization_id)
        batch = await insert(self._parts, tx, bucket, CreateBatch(), by=by)
        await add(self._parts, tx, batch, object_ids)
        return batch

    async def _submit(self, tx: NamespaceWriter, batch: BatchRow) -> TaskId:
        return await submit(self._parts, tx, await store.lock(tx, batch.batch_id) or batch)
