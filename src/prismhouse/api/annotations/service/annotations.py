"""The annotations service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from prismhouse.api.annotations.errors import AnnotatedDocumentNotFound, AnnotationNotFound
from prismhouse.api.annotations.model import storable
from prismhouse.api.annotations.ports import AuditLog, DocumentsOf, EventLog
from prismhouse.api.annotations.schemas import BulkAnnotations, CreateAnnotation, ListAnnotations, PatchAnnotation
from prismhouse.api.annotations.service import bulk, history
from prismhouse.api.annotations.service.changes import Around, Changes
from prismhouse.api.annotations.service.export import Format, export
from prismhouse.api.annotations.store import lists, rows
from prismhouse.api.annotations.wire import shown
from prismhouse.api.web.caller import Scope
from prismhouse.storage.postgres.database import Database, NamespaceReader

__all__ = ["Annotations"]


class Annotations:
    """Decisions of people about documents, in one namespace at a time."""

    def __init__(self, db: Database, *, documents: DocumentsOf, events: EventLog, audit: AuditLog) -> None:
        self._db = db
        self._around = Around(documents=documents, events=events, audit=audit)

    # For the nouns above.

    async def summary(self, tx: NamespaceReader, document_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return `{document_id: {"count": n, "labels": {label: n}}}`; documents without annotations are absent."""
        found: dict[str, dict[str, Any]] = {}
        for row in await lists.summary(tx, document_ids):
            one = found.setdefault(row["document_id"], {"count": 0, "labels": {}})
            one["count"] += row["annotations"]
            one["labels"][row["label"]] = row["annotations"]
        return found

    # For users.

    async def create(self, scope: Scope, request: CreateAnnotation) -> dict[str, Any]:
        """Create an annotation; raise AnnotatedDocumentNotFound when it names a collection without the document."""
        draft = storable(request.model_dump(), ["body"])
        async with self._db.write() as unit:
            changes = await Changes.begin(unit.within(scope.namespace_id), scope, self._around)
            made = (await changes.create([draft]))[0]
            if isinstance(made, AnnotatedDocumentNotFound):
                raise made
            await changes.tell()
        return shown(scope.namespace_id, made)

    async def read(self, scope: Scope, annotation_id: str) -> dict[str, Any]:
        """Return an annotation; raise AnnotationNotFound."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            state = await rows.find(tx, annotation_id)
            if state is None:
                raise AnnotationNotFound(annotation_id)
            return (await history.with_revisions(tx, [state]))[0]

    async def patch(self, scope: Scope, annotation_id: str, request: PatchAnnotation) -> dict[str, Any]:
        """Change what is given and return the whole; an edit that changes no value leaves no trace."""
        edit = storable(request.model_dump(exclude_unset=True), ["body"])
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            changes = await Changes.begin(tx, scope, self._around)
            held = await changes.hold([annotation_id])
            if annotation_id not in held:
                raise AnnotationNotFound(annotation_id)
            chain = held[annotation_id]
            changes.edit(chain, edit)
            await changes.keep([chain])
            await changes.tell()
            return (await history.with_revisions(tx, [chain.state]))[0]

    async def delete(self, scope: Scope, annotation_id: str) -> None:
        """Delete an annotation; only lists and exports of earlier instants show it from then on."""
        async with self._db.write() as unit:
            changes = await Changes.begin(unit.within(scope.namespace_id), scope, self._around)
            held = await changes.hold([annotation_id])
            if annotation_id not in held:
                raise AnnotationNotFound(annotation_id)
            await changes.remove(held.values())
            await changes.tell()

    async def bulk(self, scope: Scope, request: BulkAnnotations) -> dict[str, Any]:
        """Create, then update, then delete, each alone; return a BulkAnnotationsResponse."""
        return await bulk.apply(self._db, scope, self._around, request)

    async def list(
        self, scope: Scope, request: ListAnnotations, *, skip: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """Return a page, newest first, and how many match; with `as_of`, of what stood at that instant."""
        if request.as_of is not None:
            await history.settled(self._db, scope.namespace_id)
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            found, total = await lists.page(tx, request.filters(), as_of=request.as_of, skip=skip, limit=limit)
            return await history.with_revisions(tx, found), total

    async def stats(
        self, scope: Scope, *, document_id: str | None = None, collection_id: str | None = None
    ) -> dict[str, int]:
        """Return the number of annotations per label, as they stand."""
        asked = {"document_id": document_id, "collection_id": collection_id}
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            return await lists.stats(tx, {name: value for name, value in asked.items() if value is not None})

    async def versions(self, scope: Scope, annotation_id: str) -> dict[str, Any]:
        """Return who made each version, when, and what it changed; raise AnnotationNotFound."""
        async with self._db.read() as unit:
            return await history.versions(unit.within(scope.namespace_id), annotation_id)

    async def at_version(self, scope: Scope, annotation_id: str, version: int) -> dict[str, Any]:
        """Return an annotation as it stood at a version; raise AnnotationNotFound or AnnotationVersionNotFound."""
        async with self._db.read() as unit:
            return await history.at_version(unit.within(scope.namespace_id), annotation_id, version)

    async def export(self, scope: Scope, request: ListAnnotations, shape: Format) -> AsyncIterator[bytes]:
        """Return the whole set as of one instant in portions; the first is read before this returns."""
        return await export(self._db, scope.namespace_id, request, shape)
