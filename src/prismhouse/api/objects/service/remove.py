"""Removing objects, and the bytes that nothing refers to any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from prismhouse.api.audit.service import Audit
from prismhouse.api.buckets.service import Buckets
from prismhouse.api.objects import store
from prismhouse.api.objects.errors import ObjectNotFound
from prismhouse.api.objects.ports import Derived, EventLog, Uploads
from prismhouse.api.objects.schemas import BulkSoftDelete
from prismhouse.api.web.caller import Scope
from prismhouse.api.webhooks.told import Told, about_many
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import BucketId, NamespaceId
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.postgres.database import Database, Writer

__all__ = ["Removal"]

_OBJECTS_AT_A_TIME = 500
_HASHES_AT_A_TIME = 200
_log = structlog.get_logger(__name__)


class Removal:
    """Deletes rows first, bytes after the commit; what a crash leaves over is on a list that the next sweep reads."""

    def __init__(
        self, db: Database, *, buckets: Buckets, blobs: BlobStore, events: EventLog, audit: Audit | None = None
    ) -> None:
        self._db = db
        self._audit = audit or Audit(db)
        self._buckets = buckets
        self._blobs = blobs
        self._events = events
        self.derived: Derived | None = None
        self.uploads: Uploads | None = None

    async def one(self, scope: Scope, identifier: str, object_id: str, *, cascade: bool) -> None:
        """Delete an object, and with `cascade` what was made of it."""
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = await self._buckets.resolve(scoped, identifier)
            if "\x00" in object_id or not await store.hold(scoped, bucket.bucket_id, object_id):
                raise ObjectNotFound(resource="object", id=object_id)
            if cascade and self.derived is not None:
                await self._tell_of_documents(scope, tx, await self.derived.delete_all_of_objects(scoped, [object_id]))
            gone = await store.delete(scoped, object_id)
            if self.uploads is not None:
                await self.uploads.release(scoped, [object_id])
            await self._buckets.count(
                scoped, bucket.bucket_id, objects=-1, failed=-gone["failed"], size_bytes=-gone["size_bytes"]
            )
            await self._events.emit(
                tx,
                organization_id=scope.organization_id,
                namespace_id=scope.namespace_id,
                event_type="object.deleted",
                resource_id=object_id,
                payload={"bucket_id": bucket.bucket_id, "object_id": object_id},
            )
            await self._record(tx, scope, bucket.bucket_id, {"object_ids": [object_id], "cascade": cascade})
        await self._sweep_now(scope.namespace_id)

    async def hide(self, scope: Scope, identifier: str, request: BulkSoftDelete) -> tuple[int, int]:
        """Hide objects and remove their documents; return how many objects and collections that touched."""
        if request.lifecycle_state == "active":
            raise Invalid([field_fault(["body", "lifecycle_state"], "Hidden objects are not active; use disabled.")])
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = await self._buckets.resolve(scoped, identifier)
            rows = await store.hide(scoped, bucket.bucket_id, request.object_ids, request.lifecycle_state)
            hidden = [row["object_id"] for row in rows]
            collections = 0
            if hidden and self.derived is not None:
                removed = await self.derived.delete_all_of_objects(scoped, hidden)
                await self._tell_of_documents(scope, tx, removed)
                collections = len(removed)
            failed = sum(row["failed"] for row in rows)
            await self._buckets.count(scoped, bucket.bucket_id, objects=-len(hidden), failed=-failed)
            if hidden:
                await self._events.emit(
                    tx,
                    organization_id=scope.organization_id,
                    namespace_id=scope.namespace_id,
                    event_type="objects.soft_deleted.batch",
                    resource_id=bucket.bucket_id,
                    payload={
                        "bucket_id": bucket.bucket_id,
                        "object_ids": hidden,
                        "object_count": len(hidden),
                        "lifecycle_state": request.lifecycle_state,
                        "reason": request.reason,
                        "source": request.source,
                    },
                )
                changes = {"object_ids": hidden, "lifecycle_state": request.lifecycle_state}
                await self._record(tx, scope, bucket.bucket_id, changes, reason=request.reason)
        return len(hidden), collections

    async def _record(
        self, tx: Writer, scope: Scope, bucket_id: str, changes: Mapping[str, Any], *, reason: str | None = None
    ) -> None:
        """Write the audit row. The API has no action for objects: what goes with them are their documents."""
        await self._audit.record(
            tx,
            scope,
            action="document_bulk_soft_deleted",
            resource_type="bucket",
            resource_id=bucket_id,
            changes=changes,
            reason=reason,
        )

    async def _tell_of_documents(self, scope: Scope, tx: Writer, documents: Mapping[str, Sequence[str]]) -> None:
        """Tell which documents went with their objects."""
        told: list[Told] = []
        for collection_id, ids in documents.items():
            told += about_many("documents.deleted.batch", collection_id, ids, collection_id=collection_id)
        await self._tell(scope, tx, told)

    async def _tell(self, scope: Scope, tx: Writer, told: Sequence[Told]) -> None:
        await self._events.emit_many(
            tx, organization_id=scope.organization_id, namespace_id=scope.namespace_id, events=told
        )

    async def empty_bucket(self, scope: Scope, bucket_id: BucketId) -> None:
        """Delete all objects of a bucket that is being deleted; their documents stay."""
        deleted = _OBJECTS_AT_A_TIME
        while deleted:
            async with self._db.write() as tx:
                gone = await store.delete_some(tx.within(scope.namespace_id), bucket_id, _OBJECTS_AT_A_TIME)
                told = about_many("objects.deleted.batch", bucket_id, gone, noun="object", bucket_id=bucket_id)
                await self._tell(scope, tx, told)
            deleted = len(gone)
        await self.sweep(scope.namespace_id)

    async def sweep(self, namespace_id: NamespaceId) -> int:
        """Delete listed bytes that no blob and no upload refers to; return how many.

        Writers of references are kept out while rows are judged and bytes go; one that stored its bytes before
        sees the raised generation, or after a crash the hash still on the list, and stores them again.
        """
        deleted = 0
        while True:
            async with self._db.write() as tx:
                scoped = tx.within(namespace_id)
                await store.hold_bytes(scoped, exclusive=True)
                listed = await store.hold_garbage(scoped, _HASHES_AT_A_TIME)
                unused = await store.take_garbage(scoped, listed)
                if unused and self.uploads is not None:
                    kept = await self.uploads.kept(scoped, unused)
                    unused = [sha256 for sha256 in unused if sha256 not in kept]
                if unused:
                    await store.raise_generation(scoped)
                for sha256 in unused:
                    await self._blobs.delete(namespace_id, sha256)
            deleted += len(unused)
            if len(listed) < _HASHES_AT_A_TIME:
                return deleted

    async def sweep_all(self) -> int:
        """Sweep every namespace that has something to sweep."""
        async with self._db.read() as tx:
            namespaces = await store.namespaces_with_garbage(tx)
        return sum([await self.sweep(namespace_id) for namespace_id in namespaces])

    async def _sweep_now(self, namespace_id: NamespaceId) -> None:
        """Sweep, and leave it to the next one when the store does not answer: the deletion itself is done."""
        try:
            await self.sweep(namespace_id)
        except (WarehouseError, OSError) as error:
            _log.warning("bytes are left to the next sweep", namespace_id=namespace_id, exc_info=error)
