"""Creating objects, one or many: validate, find replays, see the bytes, store them, write all in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import BucketNotActive, BucketRow, Buckets
from prismhouse.api.objects.drafts import Draft, draft_of
from prismhouse.api.objects.gather import FETCHES_AT_A_TIME, Bytes, Gatherer, release
from prismhouse.api.objects.ports import AutoProcess
from prismhouse.api.objects.service.bytes import BytesOfDrafts
from prismhouse.api.objects.service.replays import Created, apart, duplicates, idempotent, without
from prismhouse.api.objects.service.uploaded import UploadSources
from prismhouse.api.objects.service.write import Writing, existing_of, policy_of
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.settings import LimitSettings
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["Created", "Creation"]


class Creation:
    """Writes new objects."""

    def __init__(
        self,
        db: Database,
        *,
        buckets: Buckets,
        gatherer: Gatherer,
        writing: Writing,
        uploads: UploadSources,
        limits: LimitSettings,
    ) -> None:
        self._db = db
        self._buckets = buckets
        self._gatherer = gatherer
        self._bytes = BytesOfDrafts(db, gatherer)
        self._writing = writing
        self._uploads = uploads
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
        chosen = policy_of(bucket, policy)
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
                await existing_of(reader, bucket, draft, chosen)
        uploads = await self._uploads.files(scope, bucket, [draft])
        held = await self._gatherer.fill(scope.namespace_id, draft, uploads=uploads)
        try:
            if chosen is None:
                return (await self._write(scope, bucket, [draft], {0: held}, processing))[0]
            async with self._bytes.stored(scope.namespace_id, [draft], held) as generation, self._db.write() as tx:
                scoped = tx.within(scope.namespace_id)
                await self._buckets.open_for_writes(scoped, bucket.bucket_id)
                await self._bytes.keep(scoped, [draft], held, generation)
                await self._uploads.hold(scoped, [draft])
                written = await self._writing.unique(scope, scoped, bucket, draft, chosen)
                if written.replayed_by is None:
                    await self._uploads.assign(scoped, [draft])
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
        held = await self._fill_all(scope, bucket, drafts, failures)
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
        self, scope: Scope, bucket: BucketRow, drafts: Sequence[Draft], failures: dict[int, WarehouseError]
    ) -> dict[int, list[Bytes | None]]:
        slots = asyncio.Semaphore(FETCHES_AT_A_TIME)
        uploads = await self._uploads.files(scope, bucket, drafts)
        fills = (self._gatherer.fill(scope.namespace_id, draft, uploads=uploads, fetch_slots=slots) for draft in drafts)
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
            await self._uploads.hold(scoped, drafts)
            written, found = await self._writing.many(scope, scoped, bucket, drafts, twins=twins)
            new = {item.index for item in written}
            await self._uploads.assign(scoped, [draft for draft in drafts if draft.index in new])
            return replays + found + await self._process(scope, scoped, bucket, written, processing)

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
