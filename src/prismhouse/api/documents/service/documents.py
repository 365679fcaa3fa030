"""The documents service."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from prismhouse.api.collections.service import CollectionNotFound, Collections
from prismhouse.api.documents import store
from prismhouse.api.documents.links import LinkBlob
from prismhouse.api.documents.model import RESERVED_INTERNAL_KEYS, RESERVED_ROOT_KEYS, NewDocument, StoredDocument
from prismhouse.api.documents.schemas import (
    ListDocuments,
    ListNamespaceDocuments,
    Shape,
    document_bytes,
)
from prismhouse.api.documents.service.errors import (
    DocumentElsewhere,
    DocumentNotFound,
    NotBuiltYet,
    SourceObjectNotFound,
)
from prismhouse.api.documents.service.listing import Listing, plan
from prismhouse.api.documents.service.vectors import NOTHING, Wanted, hydrate
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page, pagination
from prismhouse.kit.cursors import BadCursor
from prismhouse.query.filters import MAX_DEPTH
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter, Record

__all__ = ["DocumentList", "Documents", "SourceObjects"]


class SourceObjects(Protocol):
    """Where objects are found."""

    async def load(self, tx: NamespaceReader, object_ids: Sequence[str]) -> Mapping[str, Any]:
        """Return the objects that exist, by id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentList:
    """Ready documents, and the rest of a ListDocumentsResponse."""

    documents: Sequence[bytes]
    rest: Mapping[str, Any]


class Documents:
    """Write, read and delete documents, in one namespace at a time."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        objects: SourceObjects | None = None,
        link_blob: LinkBlob | None = None,
        filter_depth: int = MAX_DEPTH,
    ) -> None:
        self._db = db
        self._collections = collections
        self._objects = objects
        self._link_blob = link_blob
        self._filter_depth = filter_depth

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

    async def delete_all_of_objects(self, tx: NamespaceWriter, object_ids: Sequence[str]) -> int:
        """Delete what all collections made of these objects; return how many collections lost documents."""
        return await store.delete_all_of_objects(tx, object_ids)

    async def existing_objects(self, tx: NamespaceReader, collection_id: str, object_ids: Sequence[str]) -> set[str]:
        """Return those of the objects of which the collection has documents already."""
        return await store.objects_with_documents(tx, collection_id, object_ids)

    async def collections_of(self, tx: NamespaceReader, document_ids: Sequence[str]) -> dict[str, str]:
        """Return the collection of each document that is there."""
        return await store.collections_of(tx, document_ids)

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
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, identifier)
            return await self._list(tx, scope, request=request, page=page, collection_ids=[collection_id])

    async def list_everywhere(self, scope: Scope, *, request: ListNamespaceDocuments, page: Page) -> DocumentList:
        """List the documents of several collections, or of all; raise CollectionNotFound when none is known."""
        asked = request.identifiers()
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            known = await self._collections.resolve_known(tx, asked) if asked else {}
            if asked and not known:
                raise CollectionNotFound(", ".join(asked))
            listed = await self._list(
                tx, scope, request=request, page=page, collection_ids=[row.collection_id for row in known.values()]
            )
        unknown = [identifier for identifier in asked if identifier not in known]
        return dataclasses.replace(listed, rest={**listed.rest, "unknown_collection_ids": unknown or None})

    async def _list(
        self, tx: NamespaceReader, scope: Scope, *, request: ListDocuments, page: Page, collection_ids: Sequence[str]
    ) -> DocumentList:
        for feature in ("group_by", "expand"):
            if getattr(request, feature):
                raise NotBuiltYet(feature=feature)
        listing = plan(request, page, collection_ids=collection_ids, filter_depth=self._filter_depth)
        found = await _page(tx, listing, page)
        more, found = len(found) > page.limit, found[: page.limit]
        total = None
        if page.include_total:
            total = await self._total(tx, listing, collection_ids)
        wanted = Wanted(values=bool(request.return_vectors), names=request.return_vector_names)
        shape = await self._shape(
            tx, scope, found, wanted=wanted, select=request.select or (), presign=request.return_presigned_urls
        )
        paging = pagination(page, total=total, next_cursor=listing.cursor_after(found[-1]) if more else None)
        paging |= {"has_more": more, "limit": page.limit, "offset": page.offset, "total_count": total}
        blobs = sum(row["blob_count"] for row in found)
        stats = {"total_documents": total, "avg_blobs_per_document": blobs / len(found) if found else 0.0}
        rest = {"pagination": paging, "total_documents": total, "stats": stats, "warnings": None}
        return DocumentList(documents=[document_bytes(row, shape) for row in found], rest=rest)

    async def _total(self, tx: NamespaceReader, listing: Listing, collection_ids: Sequence[str]) -> int:
        if listing.plain and collection_ids:
            return sum((await self._collections.document_counts(tx, collection_ids)).values())
        return await store.total(tx, where=listing.matching, parameters=listing.parameters)

    async def get(
        self,
        scope: Scope,
        document_id: str,
        *,
        collection: str | None = None,
        wanted: Wanted = NOTHING,
        presign: bool = False,
    ) -> bytes:
        """Return one document, in `collection` (id or name) if given; raise DocumentNotFound."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, collection) if collection else None
            found = await store.find(tx, [document_id], collection_id=collection_id)
            if not found:
                raise DocumentNotFound(document_id)
            return document_bytes(found[0], await self._shape(tx, scope, found, wanted=wanted, presign=presign))

    async def get_many(
        self, scope: Scope, document_ids: Sequence[str], *, presign: bool
    ) -> tuple[list[bytes], list[str]]:
        """Return documents in the order of the ids, without repeats, and the ids that do not exist."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            found = await store.find(tx, document_ids)
            shape = await self._shape(tx, scope, found, presign=presign)
        by_id = {row["document_id"]: document_bytes(row, shape) for row in found}
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
            listing = plan(ListDocuments.model_validate({}), page, collection_ids=ids, object_id=object_id)
            total = await store.total(tx, where=listing.matching, parameters=listing.parameters)
            if not total and self._objects is not None and not await self._objects.load(tx, [object_id]):
                raise SourceObjectNotFound(object_id)
            found = await _page(tx, listing, page)
            shape = await self._shape(tx, scope, found)
        more, found = len(found) > page.limit, found[: page.limit]
        paging = pagination(page, total=total, next_cursor=listing.cursor_after(found[-1]) if more else None)
        rest = {"object_id": object_id, "total_documents": total, "pagination": paging}
        return DocumentList(documents=[document_bytes(row, shape) for row in found], rest=rest)

    async def show(self, tx: NamespaceReader, scope: Scope, document_ids: Sequence[str]) -> list[bytes]:
        """Return documents as they are answered, in the order of the ids; ids that do not exist are left out."""
        found = {row["document_id"]: row for row in await store.find(tx, document_ids)}
        shape = await self._shape(tx, scope, list(found.values()))
        return [document_bytes(found[one], shape) for one in document_ids if one in found]

    async def _shape(
        self,
        tx: NamespaceReader,
        scope: Scope,
        found: Sequence[Mapping[str, Any]],
        *,
        wanted: Wanted = NOTHING,
        select: Sequence[str] = (),
        presign: bool = False,
    ) -> Shape:
        link_blob = self._link_blob if presign else None
        vectors = {}
        if wanted.anything:
            ids = list({row["collection_id"] for row in found})
            collections = await self._collections.resolve_known(tx, ids)
            vectors = await hydrate(tx, found, collections=collections, wanted=wanted)
        return Shape(
            internal_id=scope.organization_id,
            namespace_id=scope.namespace_id,
            select=select,
            vectors=vectors,
            with_vectors=wanted.values or isinstance(wanted.names, list),
            presign=presign,
            link=None if link_blob is None else lambda blob: link_blob(scope.namespace_id, blob),
        )


async def _page(tx: NamespaceReader, listing: Listing, page: Page) -> list[Record]:
    """Return the documents of a page and one more, if there is one."""
    try:
        return await store.page(
            tx,
            where=listing.where,
            parameters=listing.parameters,
            order=listing.order,
            sort_value=listing.sort_value,
            limit=page.limit + 1,
            offset=0 if page.cursor else page.offset,
            filtered=listing.filtered,
        )
    except psycopg.DataError as error:
        if page.cursor:  # a forged one: the only text here that was not checked before
            raise BadCursor from error
        raise


def _is_clean(document: NewDocument) -> bool:
    return RESERVED_ROOT_KEYS.isdisjoint(document.payload) and RESERVED_INTERNAL_KEYS.isdisjoint(document.internal)


def _without_reserved(document: NewDocument) -> NewDocument:
    return dataclasses.replace(
        document,
        payload={key: value for key, value in document.payload.items() if key not in RESERVED_ROOT_KEYS},
        internal={key: value for key, value in document.internal.items() if key not in RESERVED_INTERNAL_KEYS},
    )
