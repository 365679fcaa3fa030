"""The documents service."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from prismhouse.api.collections.service import CollectionNotFound, Collections
from prismhouse.api.documents import store
from prismhouse.api.documents.indexes.service import PayloadIndexes
from prismhouse.api.documents.links import LinkBlob
from prismhouse.api.documents.model import RESERVED_INTERNAL_KEYS, RESERVED_ROOT_KEYS, NewDocument, StoredDocument
from prismhouse.api.documents.schemas import ListDocuments, ListNamespaceDocuments
from prismhouse.api.documents.service.errors import (
    DocumentElsewhere,
    DocumentNotFound,
    SourceObjectNotFound,
)
from prismhouse.api.documents.service.listing import CURSOR_SECONDS, plan
from prismhouse.api.documents.service.lists import DocumentList, Lists, read_page
from prismhouse.api.documents.service.shaping import AnnotationsOf, Shaping
from prismhouse.api.documents.service.vectors import NOTHING, Wanted
from prismhouse.api.objects.wire import shown as shown_object
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page, pagination
from prismhouse.query.filters import MAX_DEPTH
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter, Record

__all__ = ["DocumentList", "Documents", "SourceObjects"]

_RELATIVES = frozenset({"parent", "root_object", "ancestors", "children"})

_MOST_CHILDREN = 100


class SourceObjects(Protocol):
    """Where objects are found."""

    async def load(self, tx: NamespaceReader, object_ids: Sequence[str]) -> Mapping[str, Any]:
        """Return the objects that exist, by id."""
        ...


class Documents:
    """Write, read and delete documents, in one namespace at a time."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        objects: SourceObjects | None = None,
        link_blob: LinkBlob | None = None,
        indexes: PayloadIndexes | None = None,
        filter_depth: int = MAX_DEPTH,
        cursor_seconds: float = CURSOR_SECONDS,
    ) -> None:
        self._db = db
        self._collections = collections
        self._objects = objects
        self._shaping = Shaping(collections, link_blob)
        self._cursor_seconds = cursor_seconds
        self._lists = Lists(
            db,
            collections=collections,
            shaping=self._shaping,
            indexes=indexes,
            filter_depth=filter_depth,
            cursor_seconds=cursor_seconds,
        )

    def use(self, annotations: AnnotationsOf) -> None:
        """Give what stands above documents; called at wiring."""
        self._shaping.annotations = annotations

    async def write(self, tx: NamespaceWriter, documents: Sequence[NewDocument]) -> int:
        """Insert or replace documents in one statement and return how many; the creation time of a replaced one stays.

        Raises DocumentElsewhere, and nothing is written, when an id stands in another collection.
        Fields that the API fills itself (`document_id`, `_internal` ...) are left out of what is given.
        """
        clean = [document if _is_clean(document) else _without_reserved(document) for document in documents]
        written = await store.write(tx, clean)
        if written < len({document.document_id for document in clean}):
            raise DocumentElsewhere
        return written

    async def load(self, tx: NamespaceReader, document_ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return the documents that exist, by id: the rows of the next tier."""
        return await store.load(tx, document_ids)

    async def ids_of_batch(
        self, tx: NamespaceReader, batch_id: str, collection_ids: Sequence[str], *, after: str = "", limit: int
    ) -> list[str]:
        """Return the ids of documents that a batch wrote to these collections, ordered, starting after `after`."""
        return await store.ids_of_batch(tx, batch_id, collection_ids, after=after, limit=limit)

    async def delete_of_objects(
        self, tx: NamespaceWriter, collection_id: str, object_ids: Sequence[str], *, except_batch: str | None
    ) -> int:
        """Delete what a collection made of these objects, except what `except_batch` made: the end of a replacement."""
        return await store.delete_of_objects(tx, collection_id, object_ids, except_batch=except_batch)

    async def delete_all_of_objects(self, tx: NamespaceWriter, object_ids: Sequence[str]) -> dict[str, list[str]]:
        """Delete what all collections made of these objects; return the documents that went, by collection."""
        return await store.delete_all_of_objects(tx, object_ids)

    async def existing_objects(self, tx: NamespaceReader, collection_id: str, object_ids: Sequence[str]) -> set[str]:
        """Return those of the objects of which the collection has documents already."""
        return await store.objects_with_documents(tx, collection_id, object_ids)

    async def collections_of(
        self, tx: NamespaceReader, document_ids: Sequence[str], *, principal: str | None
    ) -> dict[str, str]:
        """Return the collection of each document that is there and that `principal` may read; None reads everything."""
        return await store.collections_of(tx, document_ids, principal=principal)

    async def counts_of_objects(self, tx: NamespaceReader, object_ids: Sequence[str]) -> dict[str, int]:
        """Return the number of documents per object, in all collections; objects without any are absent."""
        return await store.counts_of_objects(tx, object_ids)

    async def count(self, tx: NamespaceReader, collection_id: str) -> int:
        """Return the exact number of documents of a collection."""
        return (await self._collections.document_counts(tx, [collection_id])).get(collection_id, 0)

    async def count_in(self, scope: Scope, identifier: str) -> tuple[str, int]:
        """Return the id of a collection and its exact number of documents."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, identifier)
            return collection_id, await self.count(tx, collection_id)

    async def list_in(self, scope: Scope, identifier: str, *, request: ListDocuments, page: Page) -> DocumentList:
        """List the documents of one collection."""
        return await self._lists.inside(scope, identifier, request=request, page=page)

    async def list_everywhere(self, scope: Scope, *, request: ListNamespaceDocuments, page: Page) -> DocumentList:
        """List the documents of several collections, or of all; raise CollectionNotFound when none is known."""
        return await self._lists.everywhere(scope, request=request, page=page)

    async def get(
        self,
        scope: Scope,
        document_id: str,
        *,
        collection: str | None = None,
        wanted: Wanted = NOTHING,
        presign: bool = False,
        expand: Sequence[str] = (),
    ) -> bytes:
        """Return one document, in `collection` (id or name) if given; raise DocumentNotFound.

        `expand` names fields that refer to documents, or `parent`, `root_object`, `ancestors`, `children`,
        `_annotations`.
        """
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, collection) if collection else None
            found = await store.find(tx, [document_id], collection_id=collection_id)
            if not found:
                raise DocumentNotFound(document_id)
            near = [name for name in expand if name in _RELATIVES]
            expanded = {document_id: await self._relatives(tx, scope, found[0], near)} if near else None
            fields = [name for name in expand if name not in _RELATIVES]
            shown = await self._shaping.documents(
                tx, scope, found, wanted=wanted, presign=presign, expand=fields, expanded=expanded
            )
            return shown[0]

    async def _relatives(self, tx: NamespaceReader, scope: Scope, row: Record, names: Sequence[str]) -> dict[str, Any]:
        held: dict[str, Any] = {}
        if "root_object" in names:
            object_id = row["root_object_id"]
            objects = await self._objects.load(tx, [object_id]) if self._objects and object_id else {}
            held["root_object"] = shown_object(objects[object_id]) if object_id in objects else None
        reads = {
            "parent": lambda: store.find(tx, [row["source_document_id"] or ""]),
            "ancestors": lambda: store.ancestors(tx, row["document_id"]),
            "children": lambda: store.children(tx, row["document_id"], limit=_MOST_CHILDREN),
        }
        for name in names:
            if name in reads:
                shown = await self._shaping.documents(tx, scope, await reads[name]())
                ready = [orjson.Fragment(text) for text in shown]
                held[name] = ready if name != "parent" else next(iter(ready), None)
        return held

    async def get_many(
        self, scope: Scope, document_ids: Sequence[str], *, presign: bool
    ) -> tuple[list[bytes], list[str]]:
        """Return documents in the order of the ids, without repeats, and the ids that do not exist."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            found = await store.find(tx, document_ids)
            shown = await self._shaping.documents(tx, scope, found, presign=presign)
        by_id = {row["document_id"]: text for row, text in zip(found, shown, strict=True)}
        asked = list(dict.fromkeys(document_ids))
        return [by_id[one] for one in asked if one in by_id], [one for one in asked if one not in by_id]

    async def of_object(self, scope: Scope, object_id: str, *, collections: Sequence[str], page: Page) -> DocumentList:
        """List what was made of an object, in these collections or all; raise SourceObjectNotFound."""
        if "\x00" in object_id:
            raise SourceObjectNotFound(object_id)
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            known = await self._collections.resolve_known(tx, collections) if collections else {}
            if collections and not known:
                raise CollectionNotFound(", ".join(collections))
            ids = [row.collection_id for row in known.values()]
            listing = plan(
                ListDocuments(),
                page,
                namespace_id=scope.namespace_id,
                collection_ids=ids,
                object_id=object_id,
                cursor_seconds=self._cursor_seconds,
            )
            total = await store.total(tx, listing.selection)
            if not total and self._objects is not None and not await self._objects.load(tx, [object_id]):
                raise SourceObjectNotFound(object_id)
            found = await read_page(tx, listing, page)
            more, found = len(found) > page.limit, found[: page.limit]
            shown = await self._shaping.documents(tx, scope, found)
        cursor = listing.cursor_after(None, found[-1]["document_id"]) if more else None
        paging = pagination(page, total=total, next_cursor=cursor)
        rest = {"object_id": object_id, "total_documents": total, "pagination": paging}
        return DocumentList(documents=shown, rest=rest, name="documents")

    async def shown(self, tx: NamespaceReader, scope: Scope, rows: Sequence[Record]) -> list[bytes]:
        """Return rows of documents as they are answered."""
        return await self._shaping.documents(tx, scope, rows)


def _is_clean(document: NewDocument) -> bool:
    return RESERVED_ROOT_KEYS.isdisjoint(document.payload) and RESERVED_INTERNAL_KEYS.isdisjoint(document.internal)


def _without_reserved(document: NewDocument) -> NewDocument:
    return dataclasses.replace(
        document,
        payload={key: value for key, value in document.payload.items() if key not in RESERVED_ROOT_KEYS},
        internal={key: value for key, value in document.internal.items() if key not in RESERVED_INTERNAL_KEYS},
    )
