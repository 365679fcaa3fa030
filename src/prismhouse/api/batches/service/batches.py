"""The verbs of batches: create, fill, submit, read, change, cancel, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchRow, BatchStatus, same_statuses
from prismhouse.api.batches.schemas import CreateBatch, ListBatches, SubmitBatch, TriggerCollection
from prismhouse.api.batches.service.auto import AutoProcess
from prismhouse.api.batches.service.create import (
    By,
    add,
    check_objects,
    chosen_objects,
    expire_later,
    insert,
)
from prismhouse.api.batches.service.describe import answers
from prismhouse.api.batches.service.find import (
    BatchEnded,
    BatchIsActive,
    BatchNotFound,
    BatchResumes,
    find_batch,
    lock_batch,
)
from prismhouse.api.batches.service.finish import end_batch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.queue import standing
from prismhouse.api.batches.service.stop import cancel, outcome_of
from prismhouse.api.batches.service.submit import TASK_TYPE, TIER_TASK_TYPE, BatchNotDraft, submit
from prismhouse.api.batches.service.trigger import trigger
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, control, ledger
from prismhouse.api.buckets.service import BatchStats
from prismhouse.api.web.caller import Caller, NamespaceCaller, Scope
from prismhouse.api.web.paging import Page
from prismhouse.kit.cursors import decode_cursor, encode_cursor
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import BatchId, BucketId, NamespaceId, OrganizationId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["BatchEnded", "BatchIsActive", "BatchNotFound", "Batches", "NamespaceConflict"]

_NAMED = 10


class NamespaceConflict(WarehouseError):
    """The body names namespace {asked}, the header {header}."""

    code = Code.BAD_REQUEST
    hint = "Leave one of them out."


class Batches:
    """Send the objects of a bucket through the collections it feeds."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        for task_type in (TASK_TYPE, TIER_TASK_TYPE):
            parts.tasks.on_kill(task_type, self._on_kill)
        parts.tasks.on_wait(TASK_TYPE, standing)
        parts.buckets.on_delete(self._on_bucket_delete)
        parts.buckets.use(self)
        parts.objects.use(auto_process=AutoProcess(parts))

    async def create(self, caller: NamespaceCaller, bucket: str, request: CreateBatch, **query: bool) -> dict[str, Any]:
        """Make a draft; with `auto_submit`, submit it in the same transaction.

        `query` may hold skip_validation and auto_submit, which wins over the body's.
        """
        auto = query.get("auto_submit", bool(request.auto_submit or request.trigger_processing))
        async with self._parts.db.write() as unit:
            tx = unit.within(caller.namespace_id)
            row = await self._parts.buckets.resolve(tx, bucket)
            await self._parts.buckets.open_for_writes(tx, row.bucket_id)
            check = not query.get("skip_validation", False)
            ids = await chosen_objects(self._parts, tx, row.bucket_id, request, check=check)
            batch = await insert(self._parts, tx, row, request, by=_by(caller))
            await add(self._parts, tx, batch, ids)
            if auto:
                await submit(self._parts, tx, await self._locked(tx, batch.batch_id))
            elif (minutes := self._parts.worker.draft_minutes) is not None:
                await expire_later(self._parts, tx, batch.batch_id, seconds=minutes * 60)
            return await self._answer(tx, batch.batch_id)

    async def trigger(self, caller: NamespaceCaller, collection: str, request: TriggerCollection) -> dict[str, Any]:
        """Send what the sources of a collection hold through it and everything after it."""
        return await trigger(
            self._parts, namespace_id=caller.namespace_id, collection=collection, request=request, by=_by(caller)
        )

    async def add_objects(
        self, scope: Scope, bucket: str, batch_id: str, object_ids: Sequence[str], *, check: bool = True
    ) -> dict[str, Any]:
        """Add objects to a draft."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            batch = await self._locked(tx, batch_id, bucket=bucket)
            if batch.status is not BatchStatus.DRAFT:
                raise BatchNotDraft(batch_id=batch_id, status=batch.status.value, verb="filled")
            if batch.from_tier:
                raise BatchResumes(batch_id=batch_id, tier=batch.from_tier)
            if check:
                await check_objects(self._parts, tx, batch.bucket_id, list(dict.fromkeys(object_ids)))
            await add(self._parts, tx, batch, list(dict.fromkeys(object_ids)))
            return await self._answer(tx, batch.batch_id)

    async def submit(
        self, scope: Scope, bucket: str, batch_id: str, request: SubmitBatch, *, force: bool = False
    ) -> dict[str, Any]:
        """Start a draft and return its task."""
        values = {
            "include_processing_history": request.include_processing_history,
            "webhook_url": request.webhook_url,
        }
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            batch = await self._locked(tx, batch_id, bucket=bucket)
            names = request.collection_ids
            task_id = await submit(self._parts, tx, batch, collection_ids=names, force=force, values=values)
        return await self._parts.tasks.read(scope.organization_id, task_id)

    async def read(self, scope: Scope, batch_id: str, *, bucket: str | None = None) -> dict[str, Any]:
        """Return a batch as it is answered."""
        async with self._parts.db.read() as unit:
            tx = unit.within(scope.namespace_id)
            await self._found(tx, batch_id, bucket=bucket)
            return await self._answer(tx, batch_id)

    async def locate(self, caller: Caller, batch_id: str) -> NamespaceCaller:
        """Return the caller in the namespace of a batch that the key opens; raise BatchNotFound."""
        found = None
        if "\x00" not in batch_id:
            async with self._parts.db.read() as tx:
                found = await store.locate(tx, caller.organization_id, batch_id, patterns=caller.namespaces)
        if found is None:
            raise BatchNotFound(batch_id=batch_id)
        namespace_id, name = found
        return NamespaceCaller(caller=caller, namespace_id=namespace_id, namespace_name=name)

    async def list_batches(
        self, caller: NamespaceCaller, request: ListBatches, page: Page, *, bucket: str | None = None
    ) -> tuple[list[dict[str, Any]], int, str | None]:
        """Return a page of batches, newest first, how many there are, and the next cursor."""
        if request.namespace_id not in (None, caller.namespace_id, caller.namespace_name):
            raise NamespaceConflict(asked=request.namespace_id, header=caller.namespace_id)
        async with self._parts.db.read() as unit:
            tx = unit.within(caller.namespace_id)
            named = bucket or request.bucket_id
            bucket_id = (await self._parts.buckets.resolve(tx, named)).bucket_id if named else None
            rows, total = await store.list_batches(
                tx,
                bucket_id=bucket_id,
                status=same_statuses(request.status) if request.status else None,
                collection_id=request.collection_id,
                before=decode_cursor(page.cursor, length=1)[0] if page.cursor else None,
                limit=page.limit + 1,
                offset=0 if page.cursor else page.offset,
            )
            shown = rows[: page.limit]
            cursor = encode_cursor([shown[-1].sequence]) if len(rows) > page.limit else None
            return await answers(tx, shown, brief=True), total, cursor

    async def patch(
        self, scope: Scope, bucket: str, batch_id: str, metadata: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Replace the metadata, if any is given."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            await self._locked(tx, batch_id, bucket=bucket)
            if metadata is not None:
                await store.update(tx, BatchId(batch_id), metadata=metadata)
            return await self._answer(tx, batch_id)

    async def delete(self, scope: Scope, bucket: str, batch_id: str) -> None:
        """Delete the record of a draft or of a batch that has ended; its documents stay."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            await self._found(tx, batch_id, bucket=bucket)
            await control.hold_chunks(tx, batch_id)
            batch = await self._locked(tx, batch_id)
            if batch.status in ACTIVE:
                raise BatchIsActive(batch_id=batch_id, status=batch.status.value)
            await store.delete(tx, batch.batch_id)

    async def cancel(
        self, scope: Scope, batch_id: str, *, bucket: str | None = None, reason: str | None = None
    ) -> dict[str, Any]:
        """Stop a batch: what has not been written never will be, what runs is stopped; written documents stay."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            await find_batch(self._parts, tx, batch_id, bucket=bucket)
            stopped = await cancel(self._parts, tx, batch_id, reason=reason or "Cancelled by request.")
            batch = await find_batch(self._parts, tx, batch_id)
            if stopped is None:
                raise BatchEnded(batch_id=batch_id, status=batch.status.value)
            written = (await self._answer(tx, batch_id))["documents_written"] or 0
        outcome = await outcome_of(self._parts, scope.namespace_id, batch_id, stopped)
        more = {"batch_id": batch_id, "message": f"Cancelled; the {written} documents already written stay."}
        if batch.task_id is None:
            task: dict[str, Any] = {"task_id": batch.batch_id, "task_type": TASK_TYPE, "status": "CANCELED"}
            return {**task, "additional_data": more, "cancellation": outcome}
        async with self._parts.db.write() as unit:
            noted = {"cancellation": outcome, "message": more["message"]}
            await self._parts.tasks.update(unit, batch.task_id, additional_data=noted)
            task = await self._parts.tasks.seen(unit, scope.organization_id, batch.task_id)
        return {**task, "additional_data": {**(task.get("additional_data") or {}), **more}, "cancellation": outcome}

    async def failed_rows(
        self, scope: Scope, bucket: str, batch_id: str, **page: Any
    ) -> tuple[list[Mapping[str, Any]], int]:
        """Return a page of the rows that failed, oldest first, and how many there are."""
        async with self._parts.db.read() as unit:
            tx = unit.within(scope.namespace_id)
            await self._found(tx, batch_id, bucket=bucket)
            return await ledger.failed_rows(tx, batch_id, **page)

    async def active_of_collection(self, tx: NamespaceReader, collection_id: str) -> list[str]:
        """Return active batches that run a collection: it must not be deleted under them."""
        rows = []
        for status in sorted(ACTIVE):
            found, _ = await store.list_batches(
                tx, bucket_id=None, status=status, collection_id=collection_id, before=None, limit=_NAMED, offset=0
            )
            rows += found
        return [row.batch_id for row in rows]

    async def stats_of_buckets(self, tx: NamespaceReader, bucket_ids: Sequence[str]) -> dict[str, BatchStats]:
        """Return how many batches those buckets have had that had any."""
        return await store.stats_of_buckets(tx, bucket_ids)

    async def expire_draft(self, *, namespace_id: NamespaceId, batch_id: str) -> None:
        """Cancel a draft that nobody touched for as long as the settings say; look again later when somebody did."""
        if (minutes := self._parts.worker.draft_minutes) is None:
            return
        async with self._parts.db.write() as unit:
            tx = unit.within(namespace_id)
            batch = await store.lock(tx, batch_id)
            if batch is None or batch.status is not BatchStatus.DRAFT:
                return
            idle = await store.idle_seconds(tx, batch.batch_id)
            if idle < minutes * 60:
                await expire_later(self._parts, tx, batch.batch_id, seconds=minutes * 60 - idle + 1)
                return
            reason = f"The draft was not submitted within {minutes:g} minutes."
            await end_batch(self._parts, tx, batch, BatchStatus.CANCELED, reason=reason)

    async def _on_kill(self, organization_id: OrganizationId, task: Mapping[str, Any]) -> None:
        batch_id, namespace_id = task["additional_data"].get("batch_id"), task["namespace_id"]
        async with self._parts.db.write() as unit:
            tx = unit.within(namespace_id)
            batch = await store.find(tx, batch_id or "")
            if batch is None or batch.organization_id != organization_id:
                return
            # A batch that was submitted again has other tasks now: an old one stops nothing.
            if task["task_id"] in {batch.task_id, *(tier.task_id for tier in await chunks.tiers(tx, batch.batch_id))}:
                await cancel(self._parts, tx, batch.batch_id, reason="Its task was killed.")

    async def _on_bucket_delete(self, scope: Scope, bucket_id: BucketId) -> None:
        """Cancel what still wants to read the bucket; drafts go the same way."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            for batch_id in await store.open_of_bucket(tx, bucket_id):
                await cancel(self._parts, tx, batch_id, reason="The bucket was deleted.")

    async def _found(self, tx: NamespaceReader, batch_id: str, *, bucket: str | None) -> BatchRow:
        return await find_batch(self._parts, tx, batch_id, bucket=bucket)

    async def _locked(self, tx: NamespaceWriter, batch_id: str, *, bucket: str | None = None) -> BatchRow:
        return await lock_batch(self._parts, tx, batch_id, bucket=bucket)

    async def _answer(self, tx: NamespaceReader, batch_id: str) -> dict[str, Any]:
        return (await answers(tx, [await self._found(tx, batch_id, bucket=None)]))[0]


def _by(caller: NamespaceCaller) -> By:
    who = caller.caller
    return By(organization_id=who.organization_id, key_id=who.key_id, key_prefix=who.key_prefix)
