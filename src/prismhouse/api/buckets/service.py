"""What a user can do with buckets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from prismhouse.api.audit.model import changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.buckets import store
from prismhouse.api.buckets.errors import BucketGone, BucketLocked, BucketNameTaken, BucketNotActive, BucketNotFound
from prismhouse.api.buckets.model import normalize_schema
from prismhouse.api.buckets.rules import changed_schema, changed_unique_key, check_unique_key, filters_of, sorts_of
from prismhouse.api.buckets.schemas import UNSERVED, CreateBucket, ListBuckets, UpdateBucket
from prismhouse.api.buckets.store import BatchStats, BucketRow
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page
from prismhouse.api.web.storable import unstorable
from prismhouse.kit.cursors import BadCursor, decode_cursor, encode_cursor
from prismhouse.kit.errors import Invalid
from prismhouse.kit.ids import BucketId, NamespaceId, OrganizationId, TaskId, new_id
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter, Writer

__all__ = ["BatchStats", "BucketGone", "BucketNotActive", "BucketNotFound", "BucketRow", "Buckets"]

_AUDITED = ("bucket_name", "description", "bucket_schema", "unique_key", "metadata")
DELETE_JOB = "buckets.delete"
EmptyBucket = Callable[[Scope, BucketId], Awaitable[None]]


class TaskBook(Protocol):
    """What buckets need of `Tasks`."""

    async def create(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId,
        namespace_id: NamespaceId | None,
        task_type: str,
        inputs: Sequence[Any],
        additional_data: Mapping[str, Any],
        description: str | None = None,
        status: str = "PENDING",
        task_id: TaskId | None = None,
    ) -> TaskId: ...

    async def update(
        self,
        tx: Writer,
        task_id: TaskId,
        *,
        status: str | None = None,
        outputs: Sequence[Any] | None = None,
        additional_data: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None: ...


class BatchBook(Protocol):
    """What buckets need of `Batches`."""

    async def stats_of_buckets(self, tx: NamespaceReader, bucket_ids: Sequence[str]) -> Mapping[str, BatchStats]:
        """Return the numbers of those buckets that have batches."""
        ...


class Buckets:
    """Schema-validated containers of raw objects."""

    def __init__(self, db: Database, *, tasks: TaskBook, jobs: JobQueue, audit: Audit | None = None) -> None:
        self._db = db
        self._audit = audit or Audit(db)
        self._tasks = tasks
        self._jobs = jobs
        self._before_delete: list[EmptyBucket] = []
        self._batches: BatchBook | None = None
        jobs.register(DELETE_JOB, self.finish_delete, on_give_up=self._give_up_delete)

    def on_delete(self, empty: EmptyBucket) -> None:
        """Have a noun above remove its part of a bucket before the bucket goes; runs again after a crash."""
        self._before_delete.append(empty)

    def use(self, batches: BatchBook) -> None:
        """Give what stands above buckets; called at wiring."""
        self._batches = batches

    async def resolve(self, tx: NamespaceReader, identifier: str) -> BucketRow:
        """Return the bucket with this id or name; raise BucketNotFound."""
        return await self._found(tx, identifier, lock=False)

    async def _found(self, tx: NamespaceReader, identifier: str, *, lock: bool) -> BucketRow:
        row = await store.find(tx, identifier, lock=lock) if "\x00" not in identifier else None
        if row is None:
            raise BucketNotFound(resource="bucket", id=identifier)
        return row

    async def open_for_writes(self, tx: NamespaceWriter, bucket_id: BucketId) -> None:
        """Make sure, until `tx` ends, that the bucket takes new things; raise BucketNotActive."""
        status = await store.hold(tx, bucket_id)
        if status is None:
            raise BucketNotFound(resource="bucket", id=bucket_id)
        if status != "ACTIVE":
            raise BucketNotActive(bucket_id=bucket_id, status=status)

    async def count(
        self,
        tx: NamespaceWriter,
        bucket_id: str,
        *,
        objects: int = 0,
        failed: int = 0,
        size_bytes: int = 0,
        uploaded: bool = False,
    ) -> None:
        """Add to the bucket's counters in the transaction that makes them true."""
        if objects or failed or size_bytes or uploaded:
            await store.count(tx, bucket_id, objects=objects, failed=failed, size_bytes=size_bytes, uploaded=uploaded)

    async def create(self, scope: Scope, request: CreateBucket) -> BucketRow:
        """Create a bucket; raise BucketNameTaken."""
        _refuse_unstorable(request)
        schema = normalize_schema(request.bucket_schema)
        if request.unique_key is not None:
            check_unique_key(request.unique_key, schema)
        bucket_id = new_id("bkt")
        values = {
            "bucket_id": bucket_id,
            "bucket_name": request.bucket_name,
            "description": request.description,
            "bucket_schema": schema,
            "unique_key": None if request.unique_key is None else request.unique_key.model_dump(),
            "metadata": request.metadata or {},
            "config": _config(request),
        }
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            if not await store.insert(scoped, values):
                raise BucketNameTaken(bucket_name=request.bucket_name)
            shown = {name: values[name] for name in _AUDITED}
            await self._audit.record(
                tx, scope, action="bucket_created", resource_type="bucket", resource_id=bucket_id, changes=shown
            )
            return await self.resolve(scoped, bucket_id)

    async def read(self, scope: Scope, identifier: str) -> BucketRow:
        """Return one bucket."""
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            row = (await self._counted(scoped, [await self.resolve(scoped, identifier)]))[0]
        await self._audit.note_read(scope, action="bucket_accessed", resource_type="bucket", resource_id=row.bucket_id)
        return row

    async def update(
        self, scope: Scope, identifier: str, request: UpdateBucket, *, force_schema_break: bool = False
    ) -> BucketRow:
        """Change the keys that are given."""
        _refuse_unstorable(request)
        given = request.model_fields_set
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            row = await self._found(scoped, identifier, lock=True)
            if row.status == "IN_PROGRESS":
                raise BucketGone(bucket_id=row.bucket_id)
            values: dict[str, Any] = {}
            if request.bucket_name is not None:
                if await store.name_taken(scoped, request.bucket_name, row.bucket_id):
                    raise BucketNameTaken(bucket_name=request.bucket_name)
                values["bucket_name"] = request.bucket_name
            if "description" in given:
                values["description"] = request.description
            if "metadata" in given:
                values["metadata"] = request.metadata or {}
            if request.bucket_schema is not None:
                values["bucket_schema"] = changed_schema(row, request.bucket_schema, force=force_schema_break)
            if request.unique_key is not None:
                values["unique_key"] = changed_unique_key(row, request.unique_key)
            values["config"] = {**row.config, **_config(request)}
            await store.update(scoped, row.bucket_id, values)
            after = (await self._counted(scoped, [await self.resolve(scoped, row.bucket_id)]))[0]
            if differences := _differences(row, after):
                await self._audit.record(
                    tx,
                    scope,
                    action="bucket_updated",
                    resource_type="bucket",
                    resource_id=row.bucket_id,
                    changes=differences,
                )
            return after

    async def _counted(self, tx: NamespaceReader, rows: Sequence[BucketRow]) -> list[BucketRow]:
        if self._batches is None or not rows:
            return [*rows]
        stats = await self._batches.stats_of_buckets(tx, [row.bucket_id for row in rows])
        return [replace(row, batches=stats.get(row.bucket_id, row.batches)) for row in rows]

    async def list(self, scope: Scope, request: ListBuckets, page: Page) -> tuple[list[BucketRow], int, str | None]:
        """Return buckets, the number of matches, and the cursor of the next page."""
        filters = filters_of(request.filters)
        sorts = sorts_of(request)
        fingerprint = f"{request.search}|{sorted(filters.items())}|{sorts}|{request.case_sensitive}"
        offset = page.offset
        if page.cursor is not None:
            offset = decode_cursor(page.cursor, length=1, fingerprint=fingerprint)[0]
            if not isinstance(offset, int) or offset < 0:
                raise BadCursor
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            rows = await store.page(
                scoped,
                search=request.search,
                filters=filters,
                case_sensitive=request.case_sensitive,
                sorts=sorts,
                limit=page.limit + 1,
                offset=offset,
            )
            total = await store.totals(
                scoped, search=request.search, filters=filters, case_sensitive=request.case_sensitive
            )
            more = len(rows) > page.limit
            shown = await self._counted(scoped, rows[: page.limit])
        return shown, total, encode_cursor([offset + page.limit], fingerprint) if more else None

    async def delete(self, scope: Scope, identifier: str, *, force: bool = False) -> tuple[BucketRow, TaskId]:
        """Begin the deletion: the bucket takes nothing new from now on and goes when the task ends.

        A deletion that runs is not begun again: its task is returned. One that failed is.
        """
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            row = await self._found(scoped, identifier, lock=True)
            if row.is_locked and not force:
                raise BucketLocked(bucket_id=row.bucket_id)
            running = row.config.get("delete_task_id")
            if row.status == "IN_PROGRESS" and running:
                return row, TaskId(running)
            task_id = await self._tasks.create(
                tx,
                organization_id=scope.organization_id,
                namespace_id=scope.namespace_id,
                task_type="api_buckets_delete",
                inputs=[row.bucket_id],
                additional_data={
                    "bucket_id": row.bucket_id,
                    "bucket_name": row.bucket_name,
                    "namespace_id": scope.namespace_id,
                    "object_count": row.object_count,
                },
                description=f"Delete bucket {row.bucket_name}",
            )
            await store.update(
                scoped,
                row.bucket_id,
                {"status": "IN_PROGRESS", "config": {**row.config, "delete_task_id": task_id}},
            )
            job = {
                "organization_id": scope.organization_id,
                "namespace_id": scope.namespace_id,
                "bucket_id": row.bucket_id,
                "task_id": task_id,
            }
            await self._jobs.enqueue(tx, DELETE_JOB, [job], lock=f"bucket:{row.bucket_id}")
            await self._audit.record(
                tx,
                scope,
                action="bucket_deleted",
                resource_type="bucket",
                resource_id=row.bucket_id,
                changes={"bucket_name": row.bucket_name, "object_count": row.object_count, "task_id": task_id},
            )
            return row, task_id

    async def finish_delete(
        self, *, organization_id: OrganizationId, namespace_id: NamespaceId, bucket_id: BucketId, task_id: TaskId
    ) -> None:
        """Job: empty the bucket noun by noun, then remove it. Safe to run again from any point."""
        scope = Scope(organization_id=organization_id, namespace_id=namespace_id)
        async with self._db.write() as tx:
            await self._tasks.update(tx, task_id, status="IN_PROGRESS")
        for empty in reversed(self._before_delete):  # nouns above were registered later and go first
            await empty(scope, bucket_id)
        async with self._db.write() as tx:
            await store.delete(tx.within(namespace_id), bucket_id)
            await self._tasks.update(tx, task_id, status="COMPLETED", outputs=[bucket_id])

    async def _give_up_delete(
        self, error: BaseException, *, namespace_id: NamespaceId, bucket_id: BucketId, task_id: TaskId, **_: str
    ) -> None:
        reason = f"The deletion failed again and again: {error}. DELETE /v1/buckets/{bucket_id} starts it anew."
        async with self._db.write() as tx:
            scoped = tx.within(namespace_id)
            row = await store.find(scoped, bucket_id, lock=True)
            if row is not None:
                await store.update(scoped, bucket_id, {"config": {**row.config, "delete_task_id": None}})
            await self._tasks.update(tx, task_id, status="FAILED", error=reason)


def _refuse_unstorable(request: CreateBucket | UpdateBucket) -> None:
    if faults := unstorable(request.model_dump(mode="json", exclude_unset=True), ["body"]):
        raise Invalid(faults)


def _differences(before: BucketRow, after: BucketRow) -> dict[str, Any]:
    """Return what changed; of `config`, which may hold credentials, only which keys."""
    old, new = ({name: getattr(row, name) for name in _AUDITED} for row in (before, after))
    found = changed(old, new)
    if settings := sorted(changed(before.config, after.config)):
        found["config"] = {"changed_keys": settings}
    return found


def _config(request: CreateBucket | UpdateBucket) -> dict[str, Any]:
    return request.model_dump(mode="json", include=set(UNSERVED), exclude_unset=True)
