"""Documents with vectors of one's own: all of a request are written in one transaction, set by set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.collections.model.brought import brought_uri
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.changes.errors import DocumentReadOnly
from prismhouse.api.documents.changes.events import DocumentEvents
from prismhouse.api.documents.changes.store import hold
from prismhouse.api.documents.service import Documents
from prismhouse.api.documents.vectors import store
from prismhouse.api.documents.vectors.errors import AccessListsForbidden, IdempotencyClash, NotStandalone
from prismhouse.api.documents.vectors.model import MOST_DIMENSIONS
from prismhouse.api.documents.vectors.schemas import UpsertDocument, UpsertDocuments
from prismhouse.api.documents.vectors.service.request import (
    Brought,
    answer_of,
    check,
    declaration,
    digest_of,
    is_settled,
    read,
    stored,
)
from prismhouse.api.namespaces.model import VectorSpace
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.web.caller import Scope
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres import brought_vectors, vectors
from prismhouse.storage.postgres.database import Database, NamespaceWriter
from prismhouse.storage.postgres.vectors import MAX_SPARSE_DIMENSIONS, VectorIndex

__all__ = ["Upserts"]

_BUILD = "batches.build_indexes"
_DISTANCES = {"cosine": "cosine", "dot_product": "dot", "euclidean": "euclidean"}


class Upserts:
    """Writes documents and their vectors together, or nothing."""

    def __init__(
        self,
        db: Database,
        *,
        namespaces: Namespaces,
        collections: Collections,
        documents: Documents,
        jobs: JobQueue,
        events: DocumentEvents | None = None,
    ) -> None:
        self._events = events or DocumentEvents()
        self._db = db
        self._namespaces = namespaces
        self._collections = collections
        self._documents = documents
        self._jobs = jobs

    async def upsert(self, scope: Scope, request: UpsertDocuments) -> Mapping[str, Any]:
        """Insert documents, or replace those whose ids stand; return the answer.

        Raises:
            Invalid: a vector that does not fit; nothing is written.
            IdempotencyClash: the key was used with another body.
            AccessListsForbidden, DocumentReadOnly: an end user asks for more than he may.
        """
        if scope.principal_id is not None and any(one.acl is not None for one in request.documents):
            raise AccessListsForbidden
        brought = read(request.documents)
        key = request.options.idempotency_key if request.options else None
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            if key is not None:
                digest = digest_of(request)
                earlier = await store.claim(tx, key, digest)
                if earlier is not None:
                    if earlier["body_sha256"] != digest:
                        raise IdempotencyClash(idempotency_key=key)
                    return dict(earlier["answer"])
            space = await self._space(tx, request.documents, brought)
            collection = await self._collection(tx, request.collection_id, space)
            await self._write(tx, scope, request, brought, collection)
            ids, signature = list(brought), collection.index_signature
            await self._events.written(tx, scope, collection.collection_id, ids, signature)
            answer = answer_of(request, brought)
            if key is not None:
                await store.settle(tx, key, answer)
        return answer

    async def _space(self, tx: NamespaceWriter, documents: Sequence[UpsertDocument], brought: Brought) -> VectorSpace:
        """Return the vectors of the namespace, with those that this request brings first; raise Invalid."""
        space = await self._namespaces.vector_space(tx)
        if space.mode != "standalone" and not space.configs:
            raise NotStandalone(namespace_id=tx.namespace_id)
        if is_settled(space, brought):
            check(space, documents, brought)
            return space
        # Another upsert may declare the same name: the later one waits here and sees what the first one declared.
        space = await self._namespaces.vector_space(tx, lock=True)
        configs = {config["name"]: dict(config) for config in space.configs}
        for given in brought.values():
            for name, sent in given.items():
                if name not in configs and space.inferred:
                    configs[name] = declaration(name, sent, among=len(configs))
                elif name in configs:
                    configs[name].setdefault("type", sent.kind)
        known = VectorSpace(mode=space.mode, configs=list(configs.values()), inferred=space.inferred)
        check(known, documents, brought)
        await self._namespaces.keep_vector_space(tx, known)
        await self._collections.give_brought_vectors(tx, known.configs)
        return known

    async def _collection(self, tx: NamespaceWriter, identifier: str | None, space: VectorSpace) -> CollectionRow:
        if not await self._collections.resolve_known(tx, [identifier or "documents"]):
            # One makes the collection and the others find it; no vector is declared meanwhile.
            space = await self._namespaces.vector_space(tx, lock=True)
        return await self._collections.brought(tx, identifier, space.configs)

    async def _write(
        self,
        tx: NamespaceWriter,
        scope: Scope,
        request: UpsertDocuments,
        brought: Brought,
        collection: CollectionRow,
    ) -> None:
        ids = list(brought)
        if scope.principal_id is not None:
            await self._namespaces.vector_space(tx, lock=True)  # two users must not both make the same document
        standing = await hold(tx, ids, collection_id=None, principal=scope.principal_id)
        for document_id, held in standing.items():
            if not held["open"]:
                raise DocumentReadOnly(id=document_id)
        owner = scope.principal_id
        documents = [
            stored(one, collection, owner=None if one.document_id in standing else owner) for one in request.documents
        ]
        await self._documents.write(tx, documents)
        # Read again, and replaced also where nothing stood: another upsert may have written these ids a moment ago,
        # with vectors of names that are new.
        indexes = await self._indexes(tx, await self._namespaces.vector_space(tx))
        for name, index in indexes.items():
            given = {document_id: held[name].value for document_id, held in brought.items() if name in held}
            await brought_vectors.replace(
                tx, index, collection_id=collection.collection_id, document_ids=ids, vectors=given
            )
            if given and await brought_vectors.has_outgrown_scans(tx, index):
                await self._jobs.enqueue(tx.unscoped, _BUILD, [{"namespace_id": tx.namespace_id}])

    async def _indexes(self, tx: NamespaceWriter, space: VectorSpace) -> dict[str, VectorIndex]:
        """Return the tables of all vectors whose kind is known, made where they are missing."""
        known = [config for config in space.configs if config.get("type")]
        standing = await vectors.load(tx, [brought_uri(config["name"]) for config in known])
        return {
            config["name"]: standing.get(brought_uri(config["name"])) or await _declared(tx, config) for config in known
        }


async def _declared(tx: NamespaceWriter, config: Mapping[str, Any]) -> VectorIndex:
    return await vectors.declare(
        tx,
        feature_uri=brought_uri(config["name"]),
        dimensions=config["dimension"] or MAX_SPARSE_DIMENSIONS,
        distance=_DISTANCES[config["metric"]],
        model=config.get("inference_service") or "",
        kind=config["type"],
        most=MOST_DIMENSIONS[config["type"]],
    )
