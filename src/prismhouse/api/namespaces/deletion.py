"""A namespace goes: hidden at once, emptied by a job that may crash and start again, then gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from prismhouse.api.audit.service import Audit
from prismhouse.api.namespaces import store
from prismhouse.api.namespaces.errors import NamespaceBusy
from prismhouse.api.namespaces.ports import Receipts, Tenant
from prismhouse.api.web.caller import SYSTEM, Actor, Caller, NamespaceNotFound
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.blobs.staging import Staging
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import Database, NamespaceWriter, Record, Writer

__all__ = ["DELETE_JOB", "Deletion"]

DELETE_JOB = "namespaces.delete"
_TASK_TYPE = "api_namespaces_delete"
_ROWS_AT_ONCE = 5_000
# Those that may hold millions of rows; the others go with the namespace's own row.
_TABLES = ("documents", "objects", "annotations", "annotation_history")
_log = structlog.get_logger(__name__)

DropVectors = Callable[[NamespaceWriter], Awaitable[None]]


class Deletion:
    """Deletes namespaces in the background; `admit` names what must be idle or stopped before."""

    def __init__(
        self,
        db: Database,
        *,
        jobs: JobQueue,
        receipts: Receipts,
        blobs: BlobStore,
        staging: Staging,
        drop_vectors: DropVectors = vectors.drop_all,
        audit: Audit | None = None,
    ) -> None:
        self._db = db
        self._audit = audit or Audit(db)
        self._jobs = jobs
        self._receipts = receipts
        self._blobs = blobs
        self._staging = staging
        self._drop_vectors = drop_vectors
        self._tenants: list[Tenant] = []
        jobs.register(DELETE_JOB, self.run, on_give_up=self._give_up)

    def admit(self, tenant: Tenant) -> None:
        """Ask `tenant` for running work before a deletion, and let it stop that work."""
        self._tenants.append(tenant)

    async def request(self, caller: Caller, identifier: str, *, force: bool) -> dict[str, Any]:
        """Hide the namespace and enqueue its deletion; return the task. Raises NamespaceBusy unless `force`.

        A namespace whose deletion failed is hidden already; asked for by its id, the deletion starts anew.
        """
        async with self._db.write() as tx:
            row = await store.find(
                tx, caller.organization_id, identifier, patterns=caller.namespaces, lock=True, deleting=True
            )
            if row is None:
                raise NamespaceNotFound(identifier)
            caller.inside(row["namespace_id"]).require("delete")
            task_id = await self.start(tx, row, force=force, actor=caller.actor)
        return {
            "task_id": task_id,
            "task_type": _TASK_TYPE,
            "status": "PENDING",
            "namespace_id": row["namespace_id"],
            "success": True,
            "message": f"Namespace {row['namespace_name']} is being deleted. GET /v1/tasks/{task_id} tells when.",
        }

    async def start(self, tx: Writer, row: Record, *, force: bool, actor: Actor = SYSTEM) -> str:
        """Hide the namespace of a locked row and enqueue the rest, in the caller's transaction; return the task."""
        namespace_id = NamespaceId(row["namespace_id"])
        inside = tx.within(namespace_id)
        for tenant in self._tenants:
            active = await tenant.active(inside)
            if active and not force:
                raise NamespaceBusy(count=len(active), batch_ids=list(active)[:20])
            if active:
                await tenant.stop(inside)
        await store.mark_deleting(tx, namespace_id)
        task_id = await self._receipts.create(
            tx,
            organization_id=row["organization_id"],
            namespace_id=namespace_id,
            task_type=_TASK_TYPE,
            inputs=[namespace_id],
            additional_data={"namespace_id": namespace_id, "namespace_name": row["namespace_name"]},
            description=f"Delete namespace {row['namespace_name']} and everything in it",
        )
        await self._audit.record_many(
            tx,
            actor,
            organization_id=row["organization_id"],
            namespace_id=namespace_id,
            action="namespace_deleted",
            resource_type="namespace",
            entries=[(namespace_id, {"namespace_name": row["namespace_name"], "task_id": task_id})],
        )
        arguments = [{"namespace_id": namespace_id, "task_id": task_id}]
        await self._jobs.enqueue(tx, DELETE_JOB, arguments, lock=f"{DELETE_JOB}:{namespace_id}")
        return task_id

    async def run(self, *, namespace_id: str, task_id: str) -> None:
        """Empty and remove the namespace. Every step may be repeated: a job that died here runs again."""
        namespace = NamespaceId(namespace_id)
        async with self._db.write() as tx:
            await self._receipts.update(tx, task_id, status="IN_PROGRESS")
            organization_id = await store.organization_of(tx, namespace)
        deleted = {table: await self._empty(namespace, table) for table in _TABLES}
        async with self._db.write() as tx:
            await self._drop_vectors(tx.within(namespace))
        # Bytes go before the rows that name the namespace, so that a crash leaves a job that knows what to delete.
        await self._delete_bytes(organization_id, namespace)
        async with self._db.write() as tx:
            await store.delete(tx.within(namespace))
            # Once more, while nobody can add rows or take the id: a request that began before may have stored bytes.
            await self._delete_bytes(organization_id, namespace)
            outputs = [{"namespace_id": namespace_id, **{f"{name}_deleted": n for name, n in deleted.items()}}]
            await self._receipts.update(tx, task_id, status="COMPLETED", outputs=outputs)
        _log.info("namespace deleted", namespace_id=namespace_id, task_id=task_id, **deleted)

    async def _delete_bytes(self, organization_id: str | None, namespace_id: NamespaceId) -> None:
        await self._blobs.delete_namespace(namespace_id)
        if organization_id is not None:
            await self._staging.discard_namespace(organization_id, namespace_id)

    async def _give_up(self, error: BaseException, *, namespace_id: str, task_id: str) -> None:
        reason = f"The deletion failed again and again: {error}. DELETE /v1/namespaces/{namespace_id} starts it anew."
        async with self._db.write() as tx:
            await self._receipts.update(tx, task_id, status="FAILED", error=reason)
        _log.error("a namespace could not be deleted", namespace_id=namespace_id, task_id=task_id, reason=reason)

    async def _empty(self, namespace_id: NamespaceId, table: str) -> int:
        """Delete the rows in portions, each its own transaction, so that no statement runs for minutes."""
        total = 0
        while True:
            async with self._db.write() as tx:
                gone = await store.delete_some(tx.within(namespace_id), table, limit=_ROWS_AT_ONCE)
            total += gone
            if gone == 0:
                return total
