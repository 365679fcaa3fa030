"""A document on its way in, and on its way out as JSON bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prismhouse.kit import json
from prismhouse.kit.errors import Invalid
from prismhouse.kit.ids import BatchId, BucketId, CollectionId, DocumentId, ObjectId

__all__ = ["RESERVED_INTERNAL_KEYS", "RESERVED_ROOT_KEYS", "NewDocument", "StoredDocument", "storable_json"]

RESERVED_ROOT_KEYS = frozenset(
    {
        "_id",
        "_internal",
        "_expanded",
        "_vectors",
        "collection_id",
        "document_blobs",
        "document_id",
        "searchable_at",
        "vector_hydration_incomplete",
    }
)

RESERVED_INTERNAL_KEYS = frozenset(
    {"internal_id", "namespace_id", "created_at", "updated_at", "lineage", "source_blobs", "content_hash"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document to store; the same `document_id` again replaces everything but the creation time.

    `payload` holds the flat fields a user sees at the root. `internal` may hold modality, mime_type, size_bytes,
    metadata, processing and source_details.
    """

    document_id: DocumentId
    collection_id: CollectionId
    payload: Mapping[str, Any]
    root_object_id: ObjectId | None = None
    root_bucket_id: BucketId | None = None
    source_type: str = "bucket"
    source_object_id: ObjectId | None = None
    source_document_id: DocumentId | None = None
    source_collection_id: CollectionId | None = None
    lineage_path: str | None = None
    lineage_chain: Sequence[Mapping[str, Any]] = ()
    processing_tier: int = 0
    source_blobs: Sequence[Mapping[str, Any]] = ()
    document_blobs: Sequence[Mapping[str, Any]] = ()
    internal: Mapping[str, Any] = field(default_factory=dict)
    batch_id: BatchId | None = None
    content_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument(NewDocument):
    """A document as it stands, for the next tier and for whoever works on it."""

    created_at: datetime
    updated_at: datetime


def storable_json(value: Any) -> str:
    """Return JSON text that jsonb takes: U+0000 is dropped and lone surrogates become U+FFFD.

    Extracted text has both now and then, and neither carries meaning; refusing the row would lose the rest.
    """
    try:
        raw = json.dumps(value)
    except Invalid:
        raw = json.dumps(_cleaned(value))
    if b"\\u0000" in raw:
        raw = json.dumps(_cleaned(value))
    return raw.decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_cleaned(str(key)): _cleaned(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(held) for held in value]
    return value
