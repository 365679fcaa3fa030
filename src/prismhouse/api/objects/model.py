"""Objects and blobs as they stand in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prismhouse.kit.ids import BlobId, BucketId, ObjectId

__all__ = ["RESERVED", "ObjectBlob", "StoredObject", "value_at"]

RESERVED = frozenset(
    {
        "_internal",
        "batch_id",
        "blobs",
        "bucket_id",
        "canonicalize_source",
        "consistency",
        "created_at",
        "document_count",
        "edges",
        "error",
        "force_remirror",
        "idempotency_key",
        "key_prefix",
        "lifecycle_state",
        "metadata",
        "namespace_id",
        "object_id",
        "object_index",
        "replayed",
        "replayed_by",
        "skip_duplicates",
        "source_details",
        "status",
        "task_id",
        "updated_at",
    }
)
"""Names at an object's root that belong to the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectBlob:
    """One file of an object.

    `text` holds short text itself. Everything else lies in the blob store under `sha256`; where `text` is not
    None, the blob store may not have the bytes. `is_text` says so where `text` itself was left out.
    """

    blob_id: BlobId
    property: str
    type: str
    key_prefix: str | None
    metadata: Mapping[str, Any]
    source_url: str | None
    text: str | None
    sha256: str
    md5: str | None
    size_bytes: int
    mime_type: str | None
    filename: str | None
    is_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object: `fields` are the custom fields at its root, `metadata` the older nested form, blobs in order."""

    object_id: ObjectId
    bucket_id: BucketId
    sequence: int
    key_prefix: str | None
    fields: Mapping[str, Any]
    metadata: Mapping[str, Any] | None
    edges: Sequence[Mapping[str, Any]] | None
    source_details: Sequence[Mapping[str, Any]]
    unique_value: str | None
    content_hash: str | None
    status: str
    error: str | None
    lifecycle_state: str
    created_at: datetime
    updated_at: datetime
    blobs: Sequence[ObjectBlob] = field(default=())

    def blob(self, name: str) -> ObjectBlob | None:
        """Return the first blob of a property."""
        return next((blob for blob in self.blobs if blob.property == name), None)


def value_at(tree: Any, path: str) -> Any:
    """Return what stands at a dotted path, or None."""
    for part in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(part)
    return tree
