"""Rows of drafts whose bytes are in the blob store, written in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import BucketRow, Buckets
from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import Draft
from prismhouse.api.objects.gather import content_hash_of
from prismhouse.api.objects.model import StoredObject
from prismhouse.api.objects.ports import EventLog
from prismhouse.api.objects.service.bytes import hashes_of
from prismhouse.api.objects.service.replays import (
    Created,
    created_from,
    duplicates,
    idempotent,
    late_duplicates,
    without,
)
from prismhouse.api.objects.service.uploaded import UploadSources
from prismhouse.api.objects.uniqueness import ObjectExists, PolicyMissing, UniqueKeyUnknown
from prismhouse.api.web.caller import Scope
from prismhouse.kit.ids import ObjectId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["Writing", "existing_of", "policy_of"]


class Writing:
    """Objects, blobs, counters and events of drafts: many in a few statements, or one under a unique key."""

    def __init__(self, *, buckets: Buckets, events: EventLog, uploads: UploadSources) -> None:
        self._buckets = buckets
        self._events = events
        self._uploads = uploads

    async def many(
        self,
        scope: Scope,
        tx: NamespaceWriter,
        bucket: BucketRow,
        drafts: list[Draft],
        *,
        twins: Sequence[Draft] = (),
    ) -> tuple[list[Created], list[Created]]:
        """Write drafts; return what is new, and what was there already.

        Args:
            scope: who writes.
            tx: the transaction; it holds the bucket and the drafts' bytes.
            bucket: a bucket without a unique key.
            drafts: filled, each with content of its own among those that skip duplicates.
            twins: drafts that repeat the content of one in `drafts`.
        """
        replays = await late_duplicates(tx, bucket, drafts)
        drafts = without(drafts, replays)
        rows = await store.insert(tx, bucket.bucket_id, drafts) if drafts else {}
        fresh = [draft for draft in drafts if draft.object_id in rows]
        size_bytes = await store.add_blobs(tx, fresh)
        await self._buckets.count(tx, bucket.bucket_id, objects=len(fresh), size_bytes=size_bytes, uploaded=bool(fresh))
        await self._announce(scope, tx, bucket, [draft.object_id for draft in fresh])
        # Those left out met a key that another request wrote a moment ago, or that this request has twice.
        left_out = [draft for draft in drafts if draft.object_id not in rows]
        if unused := hashes_of(left_out):
            await store.add_garbage(tx, unused)
        replays += await idempotent(tx, bucket, left_out)
        if twins:
            replays += await duplicates(tx, bucket, twins)
        return [created_from(bucket, draft, rows[draft.object_id]) for draft in fresh], replays

    async def unique(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, draft: Draft, policy: Policy
    ) -> Created:
        """Create an object, or change the one with its unique key, as the policy allows; raise where it does not."""
        existing = await existing_of(tx, bucket, draft, policy)
        if existing is None:
            rows = await store.insert(tx, bucket.bucket_id, [draft])
            if rows:
                size_bytes = await store.add_blobs(tx, [draft])
                await self._buckets.count(tx, bucket.bucket_id, objects=1, size_bytes=size_bytes, uploaded=True)
                await self._announce(scope, tx, bucket, [draft.object_id])
                return created_from(bucket, draft, rows[draft.object_id])
            if replays := await idempotent(tx, bucket, [draft]):
                await store.add_garbage(tx, hashes_of([draft]))
                return replays[0]
            existing = await existing_of(tx, bucket, draft, policy)  # another request was faster
            if existing is None:
                raise ObjectExists(unique_key=draft.unique_value, bucket_id=bucket.bucket_id)
        return Created(index=draft.index, object=await self._merge(scope, tx, bucket, draft, existing))

    async def _merge(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, draft: Draft, object_id: ObjectId
    ) -> StoredObject:
        """Put what the draft says over the object that has its unique key; blobs go property by property."""
        await store.hold(tx, bucket.bucket_id, object_id)
        before = (await store.load(tx, [object_id], texts=False))[object_id]
        draft.object_id = object_id
        freed = await store.remove_blobs(tx, object_id, {blob.property for blob in draft.blobs})
        size_bytes = await store.add_blobs(tx, [draft])
        if self._uploads.port is not None and freed:
            await self._uploads.port.release(tx, [object_id])
        merged = {
            "fields": {**before.fields, **draft.given},
            "metadata": before.metadata if draft.metadata is None else {**(before.metadata or {}), **draft.metadata},
            "edges": before.edges if draft.edges is None else draft.edges,
            "key_prefix": draft.key_prefix or before.key_prefix,
            "content_hash": content_hash_of(draft) or before.content_hash,
            "unique_value": draft.unique_value,
        }
        await store.replace(tx, object_id, merged, reset=True)
        await self._buckets.count(
            tx,
            bucket.bucket_id,
            failed=-int(before.status == "FAILED"),
            size_bytes=size_bytes - freed,
            uploaded=bool(draft.blobs),
        )
        await self._emit(
            scope, tx, "object.updated", object_id, {"bucket_id": bucket.bucket_id, "object_id": object_id}
        )
        return (await store.load(tx, [object_id], texts=False))[object_id]

    async def _announce(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, object_ids: Sequence[ObjectId]
    ) -> None:
        if len(object_ids) == 1:
            payload: dict[str, Any] = {"bucket_id": bucket.bucket_id, "object_id": object_ids[0]}
            await self._emit(scope, tx, "object.created", object_ids[0], payload)
        elif object_ids:
            payload = {"bucket_id": bucket.bucket_id, "object_ids": [*object_ids], "object_count": len(object_ids)}
            await self._emit(scope, tx, "objects.created.batch", bucket.bucket_id, payload)

    async def _emit(
        self, scope: Scope, tx: NamespaceWriter, event_type: str, resource_id: str, payload: Mapping[str, Any]
    ) -> None:
        await self._events.emit(
            tx.unscoped,
            organization_id=scope.organization_id,
            namespace_id=scope.namespace_id,
            event_type=event_type,
            resource_id=resource_id,
            payload=payload,
        )


def policy_of(bucket: BucketRow, asked: Policy | None) -> Policy | None:
    """Return by which rule the bucket's unique key is written, None without one; raise PolicyMissing."""
    if bucket.unique_key is None:
        return None
    policy: Policy | None = asked or bucket.unique_key.get("default_policy")
    if policy is None:
        raise PolicyMissing(bucket_id=bucket.bucket_id)
    return policy


async def existing_of(tx: NamespaceReader, bucket: BucketRow, draft: Draft, policy: Policy) -> ObjectId | None:
    """Return the object with the draft's unique key, where the policy allows what follows from that."""
    value = draft.unique_value or ""
    existing = await store.by_unique_value(tx, bucket.bucket_id, value)
    if existing is not None and policy == "insert":
        raise ObjectExists(unique_key=value, bucket_id=bucket.bucket_id)
    if existing is None and policy == "update":
        raise UniqueKeyUnknown(unique_key=value, bucket_id=bucket.bucket_id)
    return existing
