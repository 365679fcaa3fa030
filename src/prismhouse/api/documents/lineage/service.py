"""Follow documents up to their object and down to what was made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.collections.service import Collections
from prismhouse.api.documents import store as documents_store
from prismhouse.api.documents.lineage import store
from prismhouse.api.documents.lineage.diagnose import RowFailures, diagnose
from prismhouse.api.documents.lineage.tree import depth_of, grow
from prismhouse.api.documents.service import DocumentNotFound, Documents
from prismhouse.api.documents.service.documents import SourceObjects
from prismhouse.api.documents.service.errors import SourceObjectNotFound
from prismhouse.api.web.caller import Scope
from prismhouse.kit import json
from prismhouse.storage.postgres.database import Database, NamespaceReader

__all__ = ["Lineage"]

_MOST_CHILDREN = 100
_MOST_IDS = 1000
_SOURCES = (
    "root_object_id",
    "root_bucket_id",
    "source_object_id",
    "source_document_id",
    "source_collection_id",
)
_STEP = ("collection_id", "feature_extractor_id", "document_id", "timestamp")


class Lineage:
    """Ancestors, descendants, lineage and diagnostics of documents, and the tree of an object."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        documents: Documents,
        objects: SourceObjects,
        failures: RowFailures | None = None,
    ) -> None:
        self._db = db
        self._collections = collections
        self._documents = documents
        self._objects = objects
        self._failures = failures

    async def ancestors(self, scope: Scope, collection: str, document_id: str) -> Sequence[bytes]:
        """Return the documents this one was made of, the first one first."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            await self._find(tx, collection, document_id)
            return await self._documents.shown(tx, scope, await documents_store.ancestors(tx, document_id))

    async def descendants(self, scope: Scope, collection: str, document_id: str) -> Sequence[bytes]:
        """Return documents made directly of this one, at most 100, by id."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            await self._find(tx, collection, document_id)
            children = await documents_store.children(tx, document_id, limit=_MOST_CHILDREN)
            return await self._documents.shown(tx, scope, children)

    async def lineage(self, scope: Scope, collection: str, document_id: str) -> dict[str, Any]:
        """Return the record of where a document comes from; depth 1 is made directly of an object."""
        async with self._db.read() as unit:
            row = await self._find(unit.within(scope.namespace_id), collection, document_id)
        named = {"document_id": document_id, "collection_id": row["collection_id"]}
        steps = [
            {name: step.get(name) for name in _STEP if step.get(name) is not None}
            for step in json.loads(row["lineage_chain"])
            if step.get("document_id") != document_id
        ]
        sources = {name: row[name] for name in _SOURCES}
        if not steps and not any(sources.values()):
            message = "The document was created by itself: it has no lineage."
            return {**named, "lineage": None, "depth": 0, "total_steps": 0, "message": message}
        lineage = {**sources, "source_type": row["source_type"], "lineage_chain": steps}
        return {**named, "lineage": lineage, "depth": len(steps) + 1, "total_steps": len(steps), "message": None}

    async def diagnostics(self, scope: Scope, collection: str, document_id: str) -> dict[str, Any]:
        """Say why a document is searchable or not, and what failed on the way to it."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            row = await self._find(tx, collection, document_id)
            owner = await self._collections.resolve(tx, row["collection_id"])
            root = row["root_object_id"]
            source = (await self._objects.load(tx, [root])).get(root) if root else None
            return await diagnose(tx, row, owner, source=source, failures=self._failures)

    async def tree(self, scope: Scope, object_id: str, *, include_document_ids: bool) -> dict[str, Any]:
        """Return the collections an object went through, as a tree with counts; raise SourceObjectNotFound."""
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            source = (await self._objects.load(tx, [object_id])).get(object_id)
            if source is None:
                raise SourceObjectNotFound(object_id)
            made = await store.made_of_object(tx, object_id, ids_of_each=_MOST_IDS if include_document_ids else 0)
            collections = await self._collections.resolve_known(tx, list({row["collection_id"] for row in made}))
        branches = grow(made, collections)
        return {
            "root_object_id": object_id,
            "root_bucket_id": source.bucket_id,
            "total_documents": sum(row["documents"] for row in made),
            "max_depth": depth_of(branches),
            "tree": branches,
        }

    async def _find(self, tx: NamespaceReader, collection: str, document_id: str) -> Mapping[str, Any]:
        collection_id = await self._collections.resolve_id(tx, collection)
        found = await documents_store.find(tx, [document_id], collection_id=collection_id)
        if not found:
            raise DocumentNotFound(document_id)
        return found[0]
