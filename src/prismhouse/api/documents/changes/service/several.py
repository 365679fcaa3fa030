"""Many documents within one request: by id with a result for each, or all that match a filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.audit.service import Audit
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.changes import store
from prismhouse.api.documents.changes.errors import DocumentReadOnly, TooManyMatch
from prismhouse.api.documents.changes.events import DocumentEvents, fields_of
from prismhouse.api.documents.changes.model import Change, update_changes
from prismhouse.api.documents.changes.schemas import BatchUpdate, DocumentUpdate
from prismhouse.api.documents.service import DocumentNotFound
from prismhouse.api.web.caller import Scope
from prismhouse.query.filters import MAX_DEPTH, parse
from prismhouse.query.listing import Selection
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["MOST_AT_ONCE", "Outcome", "SeveralDocuments", "note_deletion"]

MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many documents were changed or deleted, and what became of each that was named."""

    done: int
    results: Sequence[Mapping[str, Any]] = ()

    @property
    def failed(self) -> int:
        """How many were named in vain."""
        return sum(not one["success"] for one in self.results)


class SeveralDocuments:
    """Update and delete documents of a collection by id, or update those that match."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        audit: Audit,
        filter_depth: int = MAX_DEPTH,
        most_at_once: int = MOST_AT_ONCE,
        events: DocumentEvents | None = None,
    ) -> None:
        self._events = events or DocumentEvents()
        self._db = db
        self._collections = collections
        self._audit = audit
        self._filter_depth = filter_depth
        self._most_at_once = most_at_once

    async def update(self, scope: Scope, collection: str, request: BatchUpdate) -> Outcome:
        """Make each document's own changes, or the same ones in all that match; raise TooManyMatch."""
        if request.updates is not None:
            return await self._update_named(scope, collection, request.updates)
        changes = update_changes(request.update_data or {}, ["body", "update_data"])
        filter_ = parse(request.filters, max_depth=self._filter_depth)
        limit = self._most_at_once
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, collection)
            selection = Selection(collection_ids=[collection_id], filter=filter_)
            found = await store.hold_matching(tx, selection, principal=scope.principal_id, limit=limit + 1)
            if len(found) > limit:
                raise TooManyMatch(limit=limit)
            done = await store.change(tx, found, changes)
            fields = fields_of(changes)
            await self._events.several(tx, scope, "updated", collection_id, found, changed_fields=fields)
            return Outcome(done=done)

    async def _update_named(self, scope: Scope, collection: str, updates: Sequence[DocumentUpdate]) -> Outcome:
        changes: dict[str, list[Change]] = {}
        for number, one in enumerate(updates):
            made = update_changes(one.update_data, ["body", "updates", number, "update_data"])
            changes.setdefault(one.document_id, []).extend(made)
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id, faults = await self._hold(tx, scope, collection, list(changes))
            open_ones = {name: made for name, made in changes.items() if name not in faults}
            done = await store.change_each(tx, open_ones) if open_ones else 0
            await self._events.several(tx, scope, "updated", collection_id, list(open_ones))
        return Outcome(done=done, results=_results([one.document_id for one in updates], faults))

    async def delete(
        self, scope: Scope, collection: str, document_ids: Sequence[str], *, reason: str | None = None
    ) -> Outcome:
        """Delete the documents that are there, and say which were not."""
        asked = list(dict.fromkeys(document_ids))
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id, faults = await self._hold(tx, scope, collection, asked)
            doomed = [one for one in asked if one not in faults]
            done = await store.delete(tx, doomed)
            await self._events.several(tx, scope, "deleted", collection_id, doomed)
            await note_deletion(self._audit, tx, scope, doomed, reason=reason)
        return Outcome(done=done, results=_results(asked, faults))

    async def _hold(
        self, tx: NamespaceWriter, scope: Scope, collection: str, document_ids: Sequence[str]
    ) -> tuple[str, dict[str, str]]:
        """Lock the documents; return the collection's id, and why some of them cannot be changed."""
        collection_id = await self._collections.resolve_id(tx, collection)
        held = await store.hold(tx, document_ids, collection_id=collection_id, principal=scope.principal_id)
        faults = {}
        for document_id in document_ids:
            found = held.get(document_id)
            if found is None or not found["seen"]:
                faults[document_id] = DocumentNotFound(document_id).message
            elif not found["open"]:
                faults[document_id] = DocumentReadOnly(id=document_id).message
        return collection_id, faults


async def note_deletion(
    audit: Audit, tx: NamespaceWriter, scope: Scope, document_ids: Sequence[str], *, reason: str | None
) -> None:
    """Write into the audit, in the transaction of the deletion, which documents went and why."""
    await audit.record_many(
        tx.unscoped,
        scope.actor,
        organization_id=scope.organization_id,
        namespace_id=scope.namespace_id,
        action="document_bulk_soft_deleted",
        resource_type="document",
        entries=[(one, None) for one in document_ids],
        reason=reason,
    )


def _results(document_ids: Sequence[str], faults: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"document_id": one, "success": one not in faults, "error": faults.get(one)} for one in document_ids]
