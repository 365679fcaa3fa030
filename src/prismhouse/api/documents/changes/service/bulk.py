"""Changes of any number of documents, as a task: chunk by chunk in the order of ids, each one transaction.

How far the work came stands in the task and commits with the chunk, so a job that is run again goes on where the
last one was killed, and the count is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prismhouse.api.audit.service import Audit
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.changes import store
from prismhouse.api.documents.changes.events import DocumentEvents, fields_of
from prismhouse.api.documents.changes.model import Change, update_changes
from prismhouse.api.documents.changes.schemas import BulkUpdate
from prismhouse.api.documents.changes.service.several import note_deletion
from prismhouse.api.tasks.model import TERMINAL
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.web.caller import Actor, Scope
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId, OrganizationId
from prismhouse.query.filters import MAX_DEPTH, parse
from prismhouse.query.listing import Selection
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, Record

__all__ = ["BULK_JOB", "BulkChanges", "BulkDeletion"]

BULK_JOB = "documents.bulk"
_UPDATE, _DELETE = "api_collections_documents_bulk_update", "api_collections_documents_bulk_delete"
_COUNTED = {_UPDATE: "updated_count", _DELETE: "deleted_count"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkDeletion:
    """What a deletion by filter came to: a number of documents, or the task that goes on with it."""

    matched: int
    deleted: int | None = None
    task_id: str | None = None


class BulkChanges:
    """Update or delete all documents of a collection that match."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        tasks: Tasks,
        jobs: JobQueue,
        audit: Audit,
        filter_depth: int = MAX_DEPTH,
        inline_rows: int = 1000,
        chunk_rows: int = 1000,
        events: DocumentEvents | None = None,
    ) -> None:
        self._events = events or DocumentEvents()
        self._db = db
        self._collections = collections
        self._tasks = tasks
        self._jobs = jobs
        self._audit = audit
        self._filter_depth = filter_depth
        self._chunk_rows = chunk_rows
        self.inline_rows = inline_rows
        jobs.register(BULK_JOB, self.run, on_give_up=self._give_up)
        for task_type in _COUNTED:
            tasks.on_kill(task_type, self._on_kill)

    async def update(self, scope: Scope, collection: str, request: BulkUpdate) -> str:
        """Start the same change of every document that matches; return the id of the task."""
        changes = update_changes(request.update_data, ["body", "update_data"])
        parse(request.filters, max_depth=self._filter_depth)
        async with self._db.write() as unit:
            collection_id = await self._collections.resolve_id(unit.within(scope.namespace_id), collection)
        return await self._start(scope, _UPDATE, collection_id, filters=request.filters, changes=changes)

    async def delete(self, scope: Scope, collection: str, filters: Any, *, reason: str | None) -> BulkDeletion:
        """Delete what matches: at once where it is little, else as a task."""
        filter_, principal = parse(filters, max_depth=self._filter_depth), scope.principal_id
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, collection)
            selection = Selection(collection_ids=[collection_id], filter=filter_)
            found = await store.hold_matching(tx, selection, principal=principal, limit=self.inline_rows + 1)
            if len(found) <= self.inline_rows:
                await note_deletion(self._audit, tx, scope, found, reason=reason)
                await self._events.several(tx, scope, "deleted", collection_id, found)
                return BulkDeletion(matched=len(found), deleted=await store.delete(tx, found))
        async with self._db.read() as reading:
            matched = await store.matching_count(reading.within(scope.namespace_id), selection, principal=principal)
        task_id = await self._start(scope, _DELETE, collection_id, filters=filters, reason=reason)
        return BulkDeletion(matched=matched, task_id=task_id)

    async def _start(self, scope: Scope, task_type: str, collection_id: str, *, filters: Any, **details: Any) -> str:
        async with self._db.write() as unit:
            task_id = await self._tasks.create(
                unit,
                organization_id=scope.organization_id,
                namespace_id=scope.namespace_id,
                task_type=task_type,
                inputs=[collection_id],
                additional_data={"collection_id": collection_id, _COUNTED[task_type]: 0},
                description=f"Documents of {collection_id}",
            )
            job = {
                "organization_id": scope.organization_id,
                "namespace_id": scope.namespace_id,
                "task_id": task_id,
                "collection_id": collection_id,
                "filters": filters,
                "principal_id": scope.principal_id,
                "actor": asdict(scope.actor),
                **details,
            }
            await self._jobs.enqueue(unit, BULK_JOB, [job])
            return task_id

    async def run(self, **job: Any) -> None:
        """Job: go on until no document is left, or the task was ended."""
        while await self._chunk(**job):
            pass

    async def _chunk(
        self,
        *,
        organization_id: OrganizationId,
        namespace_id: NamespaceId,
        task_id: str,
        collection_id: str,
        filters: Any,
        principal_id: str | None,
        actor: Mapping[str, Any],
        changes: list[Change] | None = None,
        reason: str | None = None,
    ) -> bool:
        """Do the next documents and note it in the task, in one transaction; return whether there may be more."""
        filter_ = parse(filters, max_depth=self._filter_depth)
        async with self._db.write() as unit:
            tx = unit.within(namespace_id)
            task = await self._tasks.hold(unit, organization_id, task_id)
            if task is None or task["status"] in TERMINAL:
                return False
            known, counted = task["additional_data"], _COUNTED[task["task_type"]]
            found = await store.hold_matching(
                tx,
                Selection(collection_ids=[collection_id], filter=filter_),
                principal=principal_id,
                after=known.get("last_document_id", ""),
                limit=self._chunk_rows,
            )
            scope = Scope(organization_id=organization_id, namespace_id=namespace_id, actor=Actor(**actor))
            verb = "deleted" if changes is None else "updated"
            await self._events.several(
                tx, scope, verb, collection_id, found, **({"changed_fields": fields_of(changes)} if changes else {})
            )
            if changes is not None:
                done = await store.change(tx, found, changes)
            else:
                done = await store.delete(tx, found)
                await note_deletion(self._audit, tx, scope, found, reason=reason)
            more = len(found) == self._chunk_rows
            progress: dict[str, Any] = {counted: known[counted] + done}
            await self._tasks.update(
                unit,
                task_id,
                status="IN_PROGRESS" if more else "COMPLETED",
                outputs=None if more else [progress],
                additional_data=progress | ({"last_document_id": found[-1]} if found else {}),
            )
            return more

    async def _give_up(self, error: BaseException, *, task_id: str, **_: Any) -> None:
        reason = error.message if isinstance(error, WarehouseError) else f"{type(error).__name__}: {error}"
        async with self._db.write() as unit:
            await self._tasks.update(unit, task_id, status="FAILED", error=f"Stopped half way: {reason}")

    async def _on_kill(self, organization_id: OrganizationId, task: Record) -> None:
        async with self._db.write() as unit:
            found: Mapping[str, Any] | None = await self._tasks.hold(unit, organization_id, task["task_id"])
            if found is not None and found["status"] not in TERMINAL:
                await self._tasks.update(unit, task["task_id"], status="CANCELED")
