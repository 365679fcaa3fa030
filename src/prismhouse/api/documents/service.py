"""What a user, and the pipeline, can do with documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from prismhouse.api.documents import store
from prismhouse.api.documents.model import RESERVED_ROOT_KEYS, NewDocument, StoredDocument
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter

__all__ = ["Documents"]


class Documents:
    """Write, read and delete documents, in one namespace at a time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def write(self, tx: NamespaceWriter, documents: Sequence[NewDocument]) -> int:
        """Insert or replace documents in one statement and return how many; the creation time of a replaced one stays.

        Root fields that the API fills itself (`document_id`, `_internal` ...) are left out of the payload.
        """
        clean = [
            document if RESERVED_ROOT_KEYS.isdisjoint(document.payload) else _without_reserved(document)
            for document in documents
        ]
        return await store.write(tx, clean)

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

    async def existing_objects(self, tx: NamespaceReader, collection_id: str, object_ids: Sequence[str]) -> set[str]:
        """Return those of the objects of which the collection has documents already."""
        return await store.objects_with_documents(tx, collection_id, object_ids)

    async def counts_of_objects(self, tx: NamespaceReader, object_ids: Sequence[str]) -> dict[str, int]:
        """Return the number of documents per object, in all collections; objects without any are absent."""
        return await store.counts_of_objects(tx, object_ids)

    async def count(self, tx: NamespaceReader, collection_id: str) -> int:
        """Return the exact number of documents of a collection."""
        return await store.count(tx, collection_id)


def _without_reserved(document: NewDocument) -> NewDocument:
    kept = {key: value for key, value in document.payload.items() if key not in RESERVED_ROOT_KEYS}
    return dataclasses.replace(document, payload=kept)
