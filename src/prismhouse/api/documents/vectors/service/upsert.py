"""Documents with vectors of one's own: all of a request are written in one transaction, set by set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.collections.model.brought import brought_uri
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.changes.errors import DocumentReadOnly
from prismhouse.api.documents.changes.model import LINEAGE_KEYS
from prismhouse.api.documents.changes.store import hold
from prismhouse.api.documents.model import RESERVED_ROOT_KEYS, NewDocument
from prismhouse.api.documents.service import Documents
from prismhouse.api.documents.vectors import store
from prismhouse.api.documents.vectors.errors import AccessListsForbidden, IdempotencyClash, NotStandalone
from prismhouse.api.documents.vectors.model import MOST_DIMENSIONS, Sent, Unreadable, fault_of, inferred, read_vector
from prismhouse.api.documents.vectors.schemas import UpsertDocument, UpsertDocuments
from prismhouse.api.namespaces.model import MOST_VECTORS, VectorSpace, checked_vector_name
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.kit.ids import DocumentId, new_id
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres import brought_vectors, vectors
from prismhouse.storage.postgres.database import Database, NamespaceWriter
from prismhouse.storage.postgres.vectors import MAX_SPARSE_DIMENSIONS, VectorIndex

__all__ = ["Upserts"]

_BUILD = "batches.build_indexes"
_DISTANCES = {"cosine": "cosine", "dot_product": "dot", "euclidean": "euclidean"}
_DROPPED = RESERVED_ROOT_KEYS | LINEAGE_KEYS
_LINEAGE = tuple(sorted(LINEAGE_KEYS - {"source_type", "lineage_chain"}))
_MOST_FAULTS = 20
Brought = dict[str, dict[str, Sent]]
"""By document, by the vector's name."""


class Upserts:
    """Writes documents and their vectors together, or nothing."""

    def __init__(
        self, db: Database, *, namespaces: Namespaces, collections: Collections, documents: Documents, jobs: JobQueue
    ) -> None:
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
        brought = _read(request.documents)
        key = request.options.idempotency_key if request.options else None
        async with self._db.write() as unit:
            tx = unit.within(scope.namespace_id)
            if key is not None:
                digest = _digest(request)
                earlier = await store.claim(tx, key, digest)
                if earlier is not None:
                    if earlier["body_sha256"] != digest:
                        raise IdempotencyClash(idempotency_key=key)
                    return dict(earlier["answer"])
            space = await self._space(tx, request.documents, brought)
            collection = await self._collection(tx, request.collection_id, space)
            await self._write(tx, scope, request, brought, space, collection)
            answer = _answer(request, brought)
            if key is not None:
                await store.settle(tx, key, answer)
        return answer

    async def _space(self, tx: NamespaceWriter, documents: Sequence[UpsertDocument], brought: Brought) -> VectorSpace:
        """Return the vectors of the namespace, with those that this request brings first; raise Invalid."""
        space = await self._namespaces.vector_space(tx)
        if space.mode != "standalone" and not space.configs:
            raise NotStandalone(namespace_id=tx.namespace_id)
        if _settled(space, brought):
            _check(space, documents, brought)
            return space
        # Another upsert may declare the same name: the later one waits here and sees what the first one declared.
        space = await self._namespaces.vector_space(tx, lock=True)
        configs = {config["name"]: dict(config) for config in space.configs}
        for given in brought.values():
            for name, sent in given.items():
                if name not in configs and space.inferred:
                    configs[name] = _inferred(name, sent, among=len(configs))
                elif name in configs:
                    configs[name].setdefault("type", sent.kind)
        known = VectorSpace(mode=space.mode, configs=list(configs.values()), inferred=space.inferred)
        _check(known, documents, brought)
        await self._namespaces.keep_vector_space(tx, known)
        await self._collections.give_brought_vectors(tx, known.configs)
        return known

    async def _collection(self, tx: NamespaceWriter, identifier: str | None, space: VectorSpace) -> CollectionRow:
        if not await self._collections.resolve_known(tx, [identifier or "documents"]):
            await self._namespaces.vector_space(tx, lock=True)  # one makes the collection, the others find it
        return await self._collections.brought(tx, identifier, space.configs)

    async def _write(
        self,
        tx: NamespaceWriter,
        scope: Scope,
        request: UpsertDocuments,
        brought: Brought,
        space: VectorSpace,
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
        stored = [
            _document(one, collection, owner=None if one.document_id in standing else owner)
            for one in request.documents
        ]
        await self._documents.write(tx, stored)
        indexes = await self._indexes(tx, space)
        for name, index in indexes.items():
            given = {document_id: held[name].value for document_id, held in brought.items() if name in held}
            # Also where nothing stood a moment ago: another upsert may have written the same ids since.
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


def _inferred(name: str, sent: Sent, *, among: int) -> dict[str, Any]:
    """Return the declaration of a new vector; raise Invalid for a name that cannot be one, or one too many."""
    location = ["body", "documents", "vectors", name]
    try:
        checked_vector_name(name)
    except ValueError as error:
        raise Invalid([field_fault(location, str(error))]) from error
    if among >= MOST_VECTORS:
        raise Invalid([field_fault(location, f"is one more than the {MOST_VECTORS} vectors a namespace can have")])
    return inferred(name, sent)


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


def _read(documents: Sequence[UpsertDocument]) -> Brought:
    """Return the vectors of each document; of two documents with one id the later one counts."""
    faults: list[FieldFault] = []
    brought: Brought = {}
    for number, document in enumerate(documents):
        found = {}
        for name, given in document.vectors.items():
            try:
                found[name] = read_vector(given)
            except Unreadable as error:
                faults.append(_fault(number, document, name, str(error)))
        brought[document.document_id] = found
    if faults:
        raise Invalid(faults[:_MOST_FAULTS])
    return brought


def _fault(number: int, document: UpsertDocument, name: str, message: str) -> FieldFault:
    return field_fault(
        ["body", "documents", number, "vectors", name], f"vector {name} of document {document.document_id} {message}"
    )


def _settled(space: VectorSpace, brought: Brought) -> bool:
    known = {config["name"] for config in space.configs if config.get("type")}
    return all(known.issuperset(found) for found in brought.values())


def _check(space: VectorSpace, documents: Sequence[UpsertDocument], brought: Brought) -> None:
    configs = {config["name"]: config for config in space.configs}
    listed = ", ".join(f"{config['name']} ({config['dimension'] or 'sparse'})" for config in space.configs) or "none"
    faults: list[FieldFault] = []
    for number, document in enumerate(documents):
        for name, sent in brought[document.document_id].items():
            location: list[str | int] = ["body", "documents", number, "vectors", name]
            if name not in configs:
                message = f"names no vector of this namespace. There are: {listed}"
                faults.append(_fault(number, document, name, message))
            elif fault := fault_of(sent, configs[name], location):
                faults.append(
                    field_fault(location, f"document {document.document_id} {fault['message']}", fault["type"])
                )
    if faults:
        raise Invalid(faults[:_MOST_FAULTS])


def _document(given: UpsertDocument, collection: CollectionRow, *, owner: str | None) -> NewDocument:
    payload = {key: value for key, value in (given.payload or {}).items() if key not in _DROPPED}
    internal: dict[str, Any] = {} if given.metadata is None else {"metadata": given.metadata}
    if given.acl is not None:
        lists = given.acl.model_dump(exclude_none=True)
        internal["_acl"] = {"owner": None, "read": [], "write": [], "public": False, **lists}
    elif owner is not None:
        internal["_acl"] = {"owner": owner, "read": [], "write": [], "public": False}
    lineage: dict[str, Any] = {name: getattr(given, name) for name in _LINEAGE}
    return NewDocument(
        document_id=DocumentId(given.document_id),
        collection_id=collection.collection_id,
        payload=payload,
        source_type=given.source_type or "direct_upsert",
        lineage_chain=given.lineage_chain or [],
        processing_tier=max(0, len(given.lineage_chain or ()) - 1),
        internal=internal,
        content_hash=given.content_hash,
        **lineage,
    )


def _digest(request: UpsertDocuments) -> str:
    raw = orjson.dumps(request.model_dump(mode="json", exclude={"options"}), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(raw).hexdigest()


def _answer(request: UpsertDocuments, brought: Brought) -> dict[str, Any]:
    by_id = {document.document_id: document for document in request.documents}
    dropped = {one: sorted(_DROPPED.intersection(document.payload or ())) for one, document in by_id.items()}
    repeated = len(request.documents) - len(by_id)
    plural = "s" if repeated != 1 else ""
    return {
        "inserted": len(by_id),
        "document_ids": list(by_id),
        "write_token": new_id("wt", 12) if request.options and request.options.write_token else None,
        "dropped_payload_fields": {one: names for one, names in dropped.items() if names} or None,
        "unsearchable_document_ids": [one for one, found in brought.items() if not found] or None,
        "consistency": {
            "retriever_visible": "after_processing",
            "recommended_header": None,
            "write_token_available": True,
            "expected_visible_within_ms": 0,
            "poll": None,
            "next_actions": None,
        },
        "warnings": [f"{repeated} document{plural} had an id given again later; the later one was written."]
        if repeated
        else None,
    }
