"""What a user, and the nouns above, can do with objects. The verbs with rules of their own have a file each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import BucketRow, Buckets
from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import Draft, Filled
from prismhouse.api.objects.errors import AutoProcessMissing, ObjectNotFound
from prismhouse.api.objects.filters import condition_of, filter_of
from prismhouse.api.objects.gather import Gatherer
from prismhouse.api.objects.judge import Judged, judge
from prismhouse.api.objects.kinds import HEAD_BYTES, KindMismatch, media_type
from prismhouse.api.objects.model import ObjectBlob, StoredObject
from prismhouse.api.objects.ports import AutoProcess, Derived, EventLog, UploadedFile, Uploads
from prismhouse.api.objects.schemas import BulkSoftDelete, ListObjects
from prismhouse.api.objects.service.bytes import BytesOfDrafts
from prismhouse.api.objects.service.change import Change
from prismhouse.api.objects.service.create import Created, Creation
from prismhouse.api.objects.service.place import Placement
from prismhouse.api.objects.service.remove import Removal
from prismhouse.api.objects.service.uploaded import UploadSources
from prismhouse.api.objects.service.write import Writing, policy_of
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.links import Downloads
from prismhouse.api.web.paging import Page
from prismhouse.api.web.storable import unstorable
from prismhouse.kit import json
from prismhouse.kit.cursors import decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid, WarehouseError
from prismhouse.kit.ids import BucketId, NamespaceId, ObjectId
from prismhouse.query.aggregate import Aggregation, Groups
from prismhouse.query.filters import guarded
from prismhouse.settings import LimitSettings
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.outbound import Fetcher
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter

__all__ = [
    "HEAD_BYTES",
    "AutoProcess",
    "Created",
    "Draft",
    "Filled",
    "Judged",
    "KindMismatch",
    "ObjectBlob",
    "ObjectNotFound",
    "Objects",
    "StoredObject",
    "UploadedFile",
    "Uploads",
    "judge",
    "media_type",
    "policy_of",
]


class Objects:
    """Raw multimodal assets of buckets."""

    def __init__(
        self,
        db: Database,
        *,
        buckets: Buckets,
        blobs: BlobStore,
        fetcher: Fetcher,
        events: EventLog,
        limits: LimitSettings,
        downloads: Downloads | None = None,
    ) -> None:
        self._db = db
        self._downloads = downloads
        self._buckets = buckets
        self._limits = limits
        gatherer = Gatherer(blobs, fetcher, limits)
        self._bytes = BytesOfDrafts(db, gatherer)
        self._uploads = UploadSources()
        writing = Writing(buckets=buckets, events=events, uploads=self._uploads)
        self._creation = Creation(
            db, buckets=buckets, gatherer=gatherer, writing=writing, uploads=self._uploads, limits=limits
        )
        self.placement = Placement(writing)
        self._change = Change(db, buckets=buckets, events=events)
        self._removal = Removal(db, buckets=buckets, blobs=blobs, events=events)
        self._auto_process: AutoProcess | None = None
        buckets.on_delete(self._removal.empty_bucket)

    def use(
        self,
        *,
        derived: Derived | None = None,
        auto_process: AutoProcess | None = None,
        uploads: Uploads | None = None,
    ) -> None:
        """Give what stands above objects; called at wiring."""
        self._removal.derived = derived or self._removal.derived
        self._auto_process = auto_process or self._auto_process
        self._uploads.port = uploads or self._uploads.port
        self._removal.uploads = uploads or self._removal.uploads

    # For the nouns above.

    async def load(self, tx: NamespaceReader, object_ids: Sequence[str]) -> dict[str, StoredObject]:
        """Return the objects that are there and visible, with blobs and their short texts."""
        return await store.load(tx, object_ids, visible_only=True)

    async def select_ids(self, tx: NamespaceReader, bucket_id: str, *, filters: Any = None, limit: int) -> list[str]:
        """Return ids of visible objects in order of creation; raise Invalid for a filter that is not well formed."""
        filter_ = filter_of(filters, max_depth=self._limits.filter_depth)
        condition, parameters = condition_of(filter_)
        selection = store.Selection(bucket_id=bucket_id, condition=condition, parameters=parameters)
        async with guarded(tx, filter_):
            return await store.select_ids(tx, selection, limit)

    async def missing(self, tx: NamespaceReader, bucket_id: str, object_ids: Sequence[str]) -> list[str]:
        """Return the ids, in order, that are no visible object of the bucket."""
        known = [object_id for object_id in object_ids if "\x00" not in object_id]
        return [*await store.missing(tx, bucket_id, known), *(key for key in object_ids if "\x00" in key)]

    async def generation(self, tx: NamespaceReader) -> int:
        """Return how often unreferenced bytes were swept: what `keep_bytes` compares."""
        return await store.generation(tx)

    async def keep_bytes(self, tx: NamespaceWriter, hashes: Sequence[str], *, since: int) -> bool:
        """Keep sweeps away until `tx` ends; say whether bytes that were stored after `since` was read are there.

        Where they may be gone, they must be stored again before `tx` commits rows that name them.
        """
        await store.hold_bytes(tx)
        return await store.generation(tx) == since and not await store.is_garbage(tx, hashes)

    async def expect_bytes(self, namespace_id: NamespaceId, hashes: Sequence[str]) -> bool:
        """Tell a later sweep of bytes before they are stored; say False where the namespace is gone.

        Whoever dies between storing bytes and committing rows leaves nothing then that no sweep knows.
        """
        return await self._bytes.expect(namespace_id, hashes)

    async def settle_bytes(self, namespace_id: NamespaceId, hashes: Sequence[str]) -> None:
        """Have the sweep forget expected bytes, now that rows name them."""
        await self._bytes.settle(namespace_id, hashes)

    async def abandon(self, namespace_id: NamespaceId, hashes: Sequence[str]) -> None:
        """Leave stored bytes, whose rows could not be written, to the sweep."""
        await self._bytes.abandon(namespace_id, hashes)

    async def with_unique_values(
        self, tx: NamespaceReader, bucket_id: str, values: Sequence[str]
    ) -> dict[str, ObjectId]:
        """Return unique key -> object id for the keys, as `judge` gives them, that are taken in the bucket."""
        return await store.by_unique_values(tx, bucket_id, values)

    async def unreferenced(self, tx: NamespaceWriter, hashes: Sequence[str]) -> None:
        """Have the next sweep delete stored bytes that lost a reference, unless another one is left."""
        if hashes:
            await store.add_garbage(tx, hashes)

    async def hold_visible(self, tx: NamespaceWriter, object_ids: Sequence[str]) -> set[str]:
        """Return which are visible, and keep them from being deleted or hidden until the transaction ends."""
        return await store.hold_visible(tx, object_ids)

    async def mark(self, tx: NamespaceWriter, outcomes: Mapping[str, tuple[str, str | None]]) -> None:
        """Set (status, error) of objects, and keep the buckets' counts of failed ones exact."""
        for bucket_id, change in (await store.mark(tx, outcomes)).items():
            await self._buckets.count(tx, bucket_id, failed=change)

    # For users.

    async def create(
        self,
        scope: Scope,
        identifier: str,
        raw: Mapping[str, Any],
        *,
        policy: Policy | None = None,
        auto_process: bool = False,
    ) -> Created:
        """Create an object, and with `auto_process` its batch in the same transaction: both are there or neither."""
        return await self._creation.one(scope, identifier, raw, policy=policy, processing=self.processing(auto_process))

    async def create_many(
        self, scope: Scope, identifier: str, raws: Sequence[Mapping[str, Any]], *, auto_process: bool = False
    ) -> tuple[list[Created], dict[int, WarehouseError]]:
        """Create up to 100 objects; each succeeds or fails alone."""
        return await self._creation.many(scope, identifier, raws, processing=self.processing(auto_process))

    def processing(self, wanted: bool) -> AutoProcess | None:
        """Return what makes and submits batches where that is wanted; raise AutoProcessMissing."""
        if wanted and self._auto_process is None:
            raise AutoProcessMissing
        return self._auto_process if wanted else None

    def link(self, namespace_id: NamespaceId, blob: ObjectBlob) -> str | None:
        """Return a URL that gives the bytes of a blob for an hour, or None for short text, which is no file."""
        if blob.is_text or blob.text is not None or self._downloads is None:
            return None
        return self._downloads.url(
            namespace_id, blob.sha256, content_type=blob.mime_type, filename=blob.filename, md5=blob.md5
        )

    async def read(
        self, scope: Scope, identifier: str, object_id: str, *, count_documents: bool
    ) -> tuple[StoredObject, int | None]:
        """Return an object and the number of documents made of it (None: unknown)."""
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = await self._buckets.resolve(scoped, identifier)
            stored = await self._visible(scoped, bucket, object_id)
            derived = self._removal.derived
            if not count_documents or derived is None:
                return stored, None
            counts = await derived.counts_of_objects(scoped, [stored.object_id])
            return stored, counts.get(stored.object_id, 0)

    async def _visible(self, tx: NamespaceReader, bucket: BucketRow, object_id: str) -> StoredObject:
        found: dict[str, StoredObject] = {}
        if "\x00" not in object_id:
            found = await store.load(tx, [object_id], bucket_id=bucket.bucket_id, texts=False, visible_only=True)
        if object_id not in found:
            raise ObjectNotFound(resource="object", id=object_id)
        return found[object_id]

    async def list(
        self, scope: Scope, identifier: str, request: ListObjects, page: Page
    ) -> tuple[Sequence[StoredObject], int | None, str | None]:
        """Return a page of visible objects, the number of all when asked for, and the cursor of the next page."""
        if faults := unstorable(request.model_dump(include={"filters", "sort", "search"}), ["body"]):
            raise Invalid(faults)
        depth = self._limits.filter_depth
        filter_ = filter_of(request.filters, max_depth=depth, case_sensitive=request.case_sensitive)
        condition, parameters = condition_of(filter_)
        sort = (request.sort.field, request.sort.direction == "desc") if request.sort else None
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = await self._buckets.resolve(scoped, identifier)
            asked = json.dumps([bucket.bucket_id, request.filters, request.case_sensitive, sort, request.search])
            fingerprint = hashlib.sha256(asked).hexdigest()[:12]
            after = decode_cursor(page.cursor, length=2, fingerprint=fingerprint) if page.cursor else None
            selection = store.Selection(
                bucket_id=bucket.bucket_id, condition=condition, parameters=parameters, search=request.search
            )
            async with guarded(scoped, filter_):
                rows = await store.page(
                    scoped, selection, sort=sort, after=after, limit=page.limit + 1, offset=page.offset
                )
                total = await store.total(scoped, selection) if page.include_total else None
        shown = rows[: page.limit]
        cursor = encode_cursor(shown[-1][1], fingerprint) if len(rows) > page.limit else None
        return [stored for stored, _ in shown], total, cursor

    async def aggregate(self, scope: Scope, identifier: str, request: Aggregation) -> Groups:
        """Return groups of a bucket's objects with their metrics."""
        filter_ = filter_of(request.filters, max_depth=self._limits.filter_depth)
        condition, parameters = condition_of(filter_)
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = await self._buckets.resolve(scoped, identifier)
            selection = store.Selection(bucket_id=bucket.bucket_id, condition=condition, parameters=parameters)
            async with guarded(scoped, filter_):
                return await store.aggregate(scoped, selection, request)

    async def patch(self, scope: Scope, identifier: str, object_id: str, raw: Mapping[str, Any]) -> StoredObject:
        """Set flat custom fields."""
        return await self._change.patch(scope, identifier, object_id, raw)

    async def put(self, scope: Scope, identifier: str, object_id: str, raw: Mapping[str, Any]) -> StoredObject:
        """Set custom fields, flat or in `metadata`."""
        return await self._change.put(scope, identifier, object_id, raw)

    async def delete(self, scope: Scope, identifier: str, object_id: str, *, cascade: bool = True) -> None:
        """Delete an object with its files, and with `cascade` the documents made of it."""
        await self._removal.one(scope, identifier, object_id, cascade=cascade)

    async def soft_delete(self, scope: Scope, identifier: str, request: BulkSoftDelete) -> tuple[int, int]:
        """Hide objects; return how many objects and collections that touched."""
        return await self._removal.hide(scope, identifier, request)

    async def sweep(self, namespace_id: NamespaceId | None = None) -> int:
        """Delete bytes that nothing refers to, in one namespace or all; return how many."""
        if namespace_id is None:
            return await self._removal.sweep_all()
        return await self._removal.sweep(namespace_id)

    async def empty_bucket(self, scope: Scope, bucket_id: BucketId) -> None:
        """Delete all objects of a bucket."""
        await self._removal.empty_bucket(scope, bucket_id)
