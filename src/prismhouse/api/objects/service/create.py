"""Creating objects, one or many: validate, find replays, see the bytes, store them, write all in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import BucketNotActive, BucketRow, Buckets
from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import Draft, draft_of
from prismhouse.api.objects.gather import FETCHES_AT_A_TIME, Bytes, Gatherer, content_hash_of, release
from prismhouse.api.objects.model import StoredObject
from prismhouse.api.objects.ports import AutoProcess, EventLog
from prismhouse.api.objects.service.bytes import BytesOfDrafts, hashes_of
from prismhouse.api.objects.service.replays import (
    Created,
    apart,
    created_from,
    duplicates,
    idempotent,
    late_duplicates,
    without,
)
from prismhouse.api.objects.uniqueness import ObjectExists, PolicyMissing, UniqueKeyUnknown
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import ObjectId
from prismhouse.settings import LimitSettings
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter

__all__ = ["Created", "Creation"]


class Creation:
    """Writes new objects."""

    def __init__(
        self, db: Database, *, buckets: Buckets, gatherer: Gatherer, events: EventLog, limits: LimitSettings
    ) -> None:
        self._db = db
        self._buckets = buckets
        self._gatherer = gatherer
        self._bytes = BytesOfDrafts(db, gatherer)
        self._events = events
        self._max_inline_bytes = limits.inline_blob_bytes

    async def one(
        self,
        scope: Scope,
        identifier: str,
        raw: Mapping[str, Any],
        *,
        policy: Policy | None,
        processing: AutoProcess | None = None,
    ) -> Created:
        """Create, or change under the bucket's unique key; raise for every reason not to."""
        bucket = await self._open(scope, identifier)
        chosen = _policy_of(bucket, policy)
        draft = draft_of(
            bucket,
            raw,
            index=0,
            location=["body"],
            max_inline_bytes=self._max_inline_bytes,
            partial=chosen == "update",
        )
        async with self._db.read() as tx:
            reader = tx.within(scope.namespace_id)
            if replays := await idempotent(reader, bucket, [draft]):
                return replays[0]
            if chosen is not None:
                await _existing(reader, bucket, draft, chosen)
        held = await self._gatherer.fill(draft)
        try:
            if chosen is None:
                return (await self._write(scope, bucket, [draft], {0: held}, processing))[0]
            async with self._bytes.stored(scope.namespace_id, [draft], held) as generation, self._db.write() as tx:
                scoped = tx.within(scope.namespace_id)
                await self._buckets.open_for_writes(scoped, bucket.bucket_id)
                await self._bytes.keep(scoped, [draft], held, generation)
                written = await self._write_unique(scope, scoped, bucket, draft, chosen)
                return (await self._process(scope, scoped, bucket, [written], processing))[0]
        finally:
            release(held)

    async def many(
        self,
        scope: Scope,
        identifier: str,
        raws: Sequence[Mapping[str, Any]],
        *,
        processing: AutoProcess | None = None,
    ) -> tuple[list[Created], dict[int, WarehouseError]]:
        """Create what can be created; return successes in request order, and failures by index."""
        bucket = await self._open(scope, identifier)
        if bucket.unique_key is not None:
            message = "The bucket has a unique key; create its objects one at a time, with a policy."
            raise Invalid([field_fault(["body", "objects"], message)])
        failures: dict[int, WarehouseError] = {}
        drafts: list[Draft] = []
        for index, raw in enumerate(raws):
            try:
                location: list[str | int] = ["body", "objects", index]
                drafts.append(
                    draft_of(bucket, raw, index=index, location=location, max_inline_bytes=self._max_inline_bytes)
                )
            except Invalid as error:
                failures[index] = error
        created: list[Created] = []
        if any(draft.idempotency_key for draft in drafts):
            async with self._db.read() as tx:
                created = await idempotent(tx.within(scope.namespace_id), bucket, drafts)
            known = {item.index for item in created}
            drafts = [draft for draft in drafts if draft.index not in known]
        held = await self._fill_all(drafts, failures)
        try:
            drafts = [draft for draft in drafts if draft.index in held]
            if drafts:
                created += await self._write(scope, bucket, drafts, held, processing)
        finally:
            for data in held.values():
                release(data)
        return sorted(created, key=lambda item: item.index), failures

    async def _open(self, scope: Scope, identifier: str) -> BucketRow:
        async with self._db.read() as tx:
            bucket = await self._buckets.resolve(tx.within(scope.namespace_id), identifier)
        if bucket.status != "ACTIVE" or bucket.is_locked:
            raise BucketNotActive(bucket_id=bucket.bucket_id, status="LOCKED" if bucket.is_locked else bucket.status)
        return bucket

    async def _fill_all(
        self, drafts: Sequence[Draft], failures: dict[int, WarehouseError]
    ) -> dict[int, list[Bytes | None]]:
        slots = asyncio.Semaphore(FETCHES_AT_A_TIME)
        fills = (self._gatherer.fill(draft, slots) for draft in drafts)
        results = await asyncio.gather(*fills, return_exceptions=True)
        held: dict[int, list[Bytes | None]] = {}
        unexpected: BaseException | None = None
        for draft, result in zip(drafts, results, strict=True):
            if isinstance(result, WarehouseError):
                failures[draft.index] = result
            elif isinstance(result, BaseException):
                unexpected = result
            else:
                held[draft.index] = result
        if unexpected is not None:
            for data in held.values():
                release(data)
            raise unexpected
        return held

    async def _write(
        self,
        scope: Scope,
        bucket: BucketRow,
        drafts: list[Draft],
        held: Mapping[int, list[Bytes | None]],
        processing: AutoProcess | None,
    ) -> list[Created]:
        replays: list[Created] = []
        skipping = [draft for draft in drafts if draft.skip_duplicates and draft.content_hash]
        if skipping:
            async with self._db.read() as tx:
                replays = await duplicates(tx.within(scope.namespace_id), bucket, skipping)
            drafts = without(drafts, replays)
        drafts, twins = apart(drafts)
        pending = [data for draft in drafts for data in held[draft.index]]
        async with self._bytes.stored(scope.namespace_id, drafts, pending) as generation, self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            await self._buckets.open_for_writes(scoped, bucket.bucket_id)
            await self._bytes.keep(scoped, drafts, pending, generation)
            replays += await late_duplicates(scoped, bucket, drafts)
            drafts = without(drafts, replays)
            rows = await store.insert(scoped, bucket.bucket_id, drafts) if drafts else {}
            fresh = [draft for draft in drafts if draft.object_id in rows]
            size_bytes = await store.add_blobs(scoped, fresh)
            await self._buckets.count(
                scoped, bucket.bucket_id, objects=len(fresh), size_bytes=size_bytes, uploaded=bool(fresh)
            )
            await self._announce(scope, scoped, bucket, [draft.object_id for draft in fresh])
            # Those left out met a key that another request wrote a moment ago, or that this request has twice.
            left_out = [draft for draft in drafts if draft.object_id not in rows]
            if unused := hashes_of(left_out):
                await store.add_garbage(scoped, unused)
            replays += await idempotent(scoped, bucket, left_out)
            if twins:
                replays += await duplicates(scoped, bucket, twins)
            written = [created_from(bucket, draft, rows[draft.object_id]) for draft in fresh]
            return replays + await self._process(scope, scoped, bucket, written, processing)

    async def _write_unique(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, draft: Draft, policy: Policy
    ) -> Created:
        existing = await _existing(tx, bucket, draft, policy)
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
            existing = await _existing(tx, bucket, draft, policy)  # another request was faster
            if existing is None:
                raise ObjectExists(unique_key=draft.unique_value, bucket_id=bucket.bucket_id)
        return Created(index=0, object=await self._merge(scope, tx, bucket, draft, existing))

    async def _process(
        self,
        scope: Scope,
        tx: NamespaceWriter,
        bucket: BucketRow,
        written: list[Created],
        processing: AutoProcess | None,
    ) -> list[Created]:
        """Have what is new processed, in the transaction that stores it: a repeated request finds both or neither."""
        fresh = [item.object.object_id for item in written if item.replayed_by is None]
        if processing is None or not fresh:
            return written
        batch = await processing.submit(tx, scope, bucket.bucket_id, fresh)
        return [replace(item, processing=batch) if item.replayed_by is None else item for item in written]

    async def _merge(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, draft: Draft, object_id: ObjectId
    ) -> StoredObject:
        """Put what the draft says over the object that has its unique key; blobs go property by property."""
        await store.hold(tx, bucket.bucket_id, object_id)
        before = (await store.load(tx, [object_id], texts=False))[object_id]
        draft.object_id = object_id
        freed = await store.remove_blobs(tx, object_id, {blob.property for blob in draft.blobs})
        size_bytes = await store.add_blobs(tx, [draft])
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


def _policy_of(bucket: BucketRow, asked: Policy | None) -> Policy | None:
    if bucket.unique_key is None:
        return None
    policy: Policy | None = asked or bucket.unique_key.get("default_policy")
    if policy is None:
        raise PolicyMissing(bucket_id=bucket.bucket_id)
    return policy


async def _existing(tx: NamespaceReader, bucket: BucketRow, draft: Draft, policy: Policy) -> ObjectId | None:
    """Return the object with the draft's unique key, where the policy allows what follows from that."""
    value = draft.unique_value or ""
    existing = await store.by_unique_value(tx, bucket.bucket_id, value)
    if existing is not None and policy == "insert":
        raise ObjectExists(unique_key=value, bucket_id=bucket.bucket_id)
    if existing is None and policy == "update":
        raise UniqueKeyUnknown(unique_key=value, bucket_id=bucket.bucket_id)
    return existing
