"""A document that a user brings: its fields, lineage and vectors, stored together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prismhouse.api.collections.model import CollectionRow
from prismhouse.api.documents.changes.model import refuse_kept
from prismhouse.api.documents.changes.schemas import CreateDocument
from prismhouse.api.documents.model import NewDocument
from prismhouse.api.documents.service import Documents
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.kit.ids import DocumentId, ObjectId, new_id
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceWriter
from prismhouse.storage.postgres.halfvec import LARGEST_VALUE

__all__ = ["create"]

_RANDOM_BYTES = 12


async def create(
    tx: NamespaceWriter,
    documents: Documents,
    collection: CollectionRow,
    request: CreateDocument,
    *,
    owner: str | None,
) -> DocumentId:
    """Write one document with its vectors and return its id; raise Invalid naming what does not fit.

    `owner` is the end user who creates it and then owns it; without one it has no access lists.
    """
    if request.collection_id not in (None, collection.collection_id, collection.name):
        message = f"is not the collection of the path ({collection.collection_id}); leave it out"
        raise Invalid([field_fault(["body", "collection_id"], message)])
    document = _document(collection, request, owner)
    brought = _vectors(collection, request)
    await documents.write(tx, [document])
    standing = await vectors.load(tx, list(brought))
    for uri, values in brought.items():
        await vectors.write(
            tx,
            standing[uri],
            collection_id=collection.collection_id,
            document_ids=[document.document_id],
            vectors=np.array([values], dtype=np.float32),
        )
    return document.document_id


def _document(collection: CollectionRow, request: CreateDocument, owner: str | None) -> NewDocument:
    own = request.model_extra or {}
    payload: dict[str, Any] = {}
    for number, feature in enumerate(request.features):
        refuse_kept(feature.payload, ["body", "features", number, "payload"])
        payload |= feature.payload
    refuse_kept(own, ["body"])
    payload |= own
    if request.metadata is not None:
        payload["metadata"] = request.metadata
    internal: dict[str, Any] = {}
    if request.document_schema_version is not None:
        internal["document_schema_version"] = request.document_schema_version
    if owner is not None:
        internal["_acl"] = {"owner": owner, "read": [], "write": [], "public": False}
    return NewDocument(
        document_id=DocumentId(new_id("doc", _RANDOM_BYTES)),
        collection_id=collection.collection_id,
        payload=payload,
        root_object_id=ObjectId(request.root_object_id) if request.root_object_id else None,
        root_bucket_id=request.root_bucket_id,  # type: ignore[arg-type] # ids of the wire are opaque text
        source_type=request.source_type or "direct_upsert",
        source_object_id=request.source_object_id,  # type: ignore[arg-type]
        source_document_id=request.source_document_id,  # type: ignore[arg-type]
        source_collection_id=request.source_collection_id,  # type: ignore[arg-type]
        lineage_path=request.lineage_path,
        lineage_chain=[step.model_dump(mode="json") for step in request.lineage_chain],
        processing_tier=max(0, len(request.lineage_chain) - 1),
        internal=internal,
        content_hash=request.content_hash,
    )


def _vectors(collection: CollectionRow, request: CreateDocument) -> dict[str, list[float]]:
    """Return the vectors by feature URI; an index is named by its name, its URI, or the URI's last segment."""
    named: dict[str, Mapping[str, Any]] = {}
    for index in collection.vector_indexes:
        uri = str(index["feature_uri"])
        named |= {str(index["name"]): index, uri: index, uri.rpartition("/")[2]: index}
    sent: list[tuple[Sequence[str | int], Any]] = [
        (["body", "vectors", key], value) for key, value in (request.vectors or {}).items()
    ]
    for number, feature in enumerate(request.features):
        sent += [(["body", "features", number, "vectors", key], v) for key, v in (feature.vectors or {}).items()]
    faults: list[FieldFault] = []
    found: dict[str, list[float]] = {}
    for location, value in sent:
        known = named.get(str(location[-1]))
        if known is None:
            faults.append(field_fault(location, f"names no vector index here. There are: {_listed(collection)}."))
        elif str(known["feature_uri"]) in found:
            faults.append(field_fault(location, "is a second vector for the same index."))
        elif known["index"].get("type", "dense") != "dense":
            message = f"takes {known['index']['type']} vectors: bring them with an upsert to the namespace."
            faults.append(field_fault(location, message))
        elif reason := _unfit(value, int(known["index"]["dimensions"])):
            faults.append(field_fault(location, f"{reason} There are: {_listed(collection)}."))
        else:
            found[str(known["feature_uri"])] = value
    if faults:
        raise Invalid(faults)
    return found


def _listed(collection: CollectionRow) -> str:
    found = [f"{index['name']} ({index['index']['dimensions']} dimensions)" for index in collection.vector_indexes]
    return ", ".join(found) or "none"


def _unfit(value: Any, dimensions: int) -> str | None:
    if not isinstance(value, list) or not all(type(one) in (int, float) for one in value):
        return "must be a list of numbers."
    if len(value) != dimensions:
        return f"has {len(value)} dimensions, not {dimensions}."
    if not all(math.isfinite(one) and abs(one) <= LARGEST_VALUE for one in value):
        return f"holds a value that is no number from -{LARGEST_VALUE:.0f} to {LARGEST_VALUE:.0f}."
    return None
