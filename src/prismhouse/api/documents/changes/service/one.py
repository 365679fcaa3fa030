"""What a user does to one document. Each is one statement on a locked row: two writers lose nothing of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.audit.model import changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents import store as documents_store
from prismhouse.api.documents.changes import store
from prismhouse.api.documents.changes.errors import DocumentReadOnly, NotTheOwner
from prismhouse.api.documents.changes.events import DocumentEvents, fields_of
from prismhouse.api.documents.changes.model import merge_changes, refuse_kept
from prismhouse.api.documents.changes.schemas import CreateDocument, UpdateACL
from prismhouse.api.documents.changes.service.create import create
from prismhouse.api.documents.service import DocumentNotFound, Documents
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["DocumentChanges"]

_LONGEST_NAME = 256


class DocumentChanges:
    """Create, merge, replace, share and delete single documents. `collection` is an id or name; None: any."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        documents: Documents,
        audit: Audit,
        events: DocumentEvents | None = None,
    ) -> None:
        self._db = db
        self._audit = audit
        self._collections = collections
        self._documents = documents
        self._events = events or DocumentEvents()

    async def create(self, scope: Scope, collection: str, request: CreateDocument) -> bytes:
        """Store a new document and return it as it is answered."""
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            row = await self._collections.resolve(tx, collection)
            document_id = await create(tx, self._documents, row, request, owner=scope.principal_id)
            await self._events.one(tx, scope, "created", row.collection_id, document_id)
            return await self._answer(tx, scope, document_id)

    async def merge(
        self, scope: Scope, document_id: str, body: Mapping[str, Any], *, collection: str | None = None
    ) -> bytes:
        """Set the fields that are sent, inside `metadata` key by key; the others stay."""
        changes = merge_changes(body)
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            held = await self._hold(tx, scope, document_id, collection)
            if changes:
                await store.change(tx, [document_id], changes)
                await self._updated(tx, scope, document_id, held, changed_fields=fields_of(changes))
            return await self._answer(tx, scope, document_id)

    async def replace(self, scope: Scope, document_id: str, body: Mapping[str, Any]) -> bytes:
        """Give a document these fields and no others; ids, lineage, files, vectors and access lists stay."""
        refuse_kept(body, ["body"])
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            held = await self._hold(tx, scope, document_id, None)
            await store.replace(tx, document_id, body)
            await self._updated(tx, scope, document_id, held)
            return await self._answer(tx, scope, document_id)

    async def share(self, scope: Scope, collection: str, document_id: str, request: UpdateACL) -> bytes:
        """Replace the access lists that are sent; raise NotTheOwner for another end user."""
        for name, listed in (("read", request.read), ("write", request.write)):
            _check_names(listed or (), name)
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            held = await self._hold(tx, scope, document_id, collection, to_share=True)
            acl = {"owner": None, "read": [], "write": [], "public": False, **(held["acl"] or {})}
            lists = request.model_dump(exclude_none=True)
            await store.share(tx, document_id, acl | lists)
            await self._updated(tx, scope, document_id, held, changed_fields=["_acl"])
            await self._audit.record(
                unit,
                scope,
                action="permission_updated",
                resource_type="document",
                resource_id=document_id,
                changes=changed(acl, lists),
            )
            return await self._answer(tx, scope, document_id)

    async def delete(self, scope: Scope, collection: str, document_id: str) -> None:
        """Delete one document with its vectors; raise DocumentNotFound."""
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            held = await self._hold(tx, scope, document_id, collection)
            await store.delete(tx, [document_id])
            await self._events.one(tx, scope, "deleted", held["collection_id"], document_id)
            await self._audit.record(
                tx.unscoped,
                scope,
                action="document_deleted",
                resource_type="document",
                resource_id=document_id,
                changes={"collection_id": held["collection_id"]},
            )

    async def _updated(
        self, tx: NamespaceWriter, scope: Scope, document_id: str, held: Mapping[str, Any], **more: Any
    ) -> None:
        await self._events.one(tx, scope, "updated", held["collection_id"], document_id, **more)

    async def _hold(
        self, tx: NamespaceWriter, scope: Scope, document_id: str, collection: str | None, *, to_share: bool = False
    ) -> Mapping[str, Any]:
        """Lock a document that the caller may change; what he may not read is not there."""
        collection_id = await self._collections.resolve_id(tx, collection) if collection is not None else None
        found = await store.hold(tx, [document_id], collection_id=collection_id, principal=scope.principal_id)
        held = found.get(document_id)
        if held is None or not held["seen"]:
            raise DocumentNotFound(document_id)
        if to_share and scope.principal_id is not None and (held["acl"] or {}).get("owner") != scope.principal_id:
            raise NotTheOwner(id=document_id)
        if not held["open"]:
            raise DocumentReadOnly(id=document_id)
        return held

    async def _answer(self, tx: NamespaceWriter, scope: Scope, document_id: str) -> bytes:
        rows = await documents_store.find(tx, [document_id])
        return (await self._documents.shown(tx, scope, rows))[0]


def _check_names(names: Sequence[str], field: str) -> None:
    if any(not name or len(name) > _LONGEST_NAME for name in names):
        raise Invalid([field_fault(["body", field], f"users have names of 1 to {_LONGEST_NAME} characters")])
