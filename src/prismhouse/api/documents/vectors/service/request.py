"""What an upsert sends, read and checked without the database, and what it is answered."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.documents.changes.model import LINEAGE_KEYS
from prismhouse.api.documents.model import RESERVED_ROOT_KEYS, NewDocument
from prismhouse.api.documents.vectors.model import Sent, Unreadable, fault_of, inferred, read_vector
from prismhouse.api.documents.vectors.schemas import UpsertDocument, UpsertDocuments
from prismhouse.api.namespaces.model import MOST_VECTORS, VectorSpace, checked_vector_name
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.kit.ids import DocumentId, new_id

__all__ = ["Brought", "answer_of", "check", "declaration", "digest_of", "is_settled", "read", "stored"]

_DROPPED = RESERVED_ROOT_KEYS | LINEAGE_KEYS
_LINEAGE = tuple(sorted(LINEAGE_KEYS - {"source_type", "lineage_chain"}))
_MOST_FAULTS = 20
Brought = dict[str, dict[str, Sent]]
"""By document, by the vector's name."""


def read(documents: Sequence[UpsertDocument]) -> Brought:
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


def is_settled(space: VectorSpace, brought: Brought) -> bool:
    """Return whether all names are known, with the kind of their vectors."""
    known = {config["name"] for config in space.configs if config.get("type")}
    return all(known.issuperset(found) for found in brought.values())


def check(space: VectorSpace, documents: Sequence[UpsertDocument], brought: Brought) -> None:
    """Raise Invalid for vectors that do not fit what the namespace has."""
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


def stored(given: UpsertDocument, collection: CollectionRow, *, owner: str | None) -> NewDocument:
    """Return the document to store; `owner` is the end user who makes it."""
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


def digest_of(request: UpsertDocuments) -> str:
    """Return what tells this body from another under the same key; raise Invalid for one that JSON cannot repeat."""
    try:
        raw = orjson.dumps(request.model_dump(exclude={"options"}), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise Invalid([field_fault(["body", "documents"], f"cannot be kept: {error}")]) from error
    return hashlib.sha256(raw).hexdigest()


def answer_of(request: UpsertDocuments, brought: Brought) -> dict[str, Any]:
    """Return the answer of an upsert that has written everything."""
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


def declaration(name: str, sent: Sent, *, among: int) -> dict[str, Any]:
    """Return the declaration of a new vector; raise Invalid for a name that cannot be one, or one too many."""
    location = ["body", "documents", "vectors", name]
    try:
        checked_vector_name(name)
    except ValueError as error:
        raise Invalid([field_fault(location, str(error))]) from error
    if among >= MOST_VECTORS:
        raise Invalid([field_fault(location, f"is one more than the {MOST_VECTORS} vectors a namespace can have")])
    return inferred(name, sent)
