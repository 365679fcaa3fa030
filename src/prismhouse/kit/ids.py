"""Identifiers with the API's prefixes. Opaque to everyone else."""

from __future__ import annotations

import hashlib
import secrets
from typing import NewType

__all__ = [
    "BatchId",
    "BlobId",
    "BucketId",
    "CollectionId",
    "DocumentId",
    "ExecutionId",
    "KeyId",
    "NamespaceId",
    "ObjectId",
    "OrganizationId",
    "RetrieverId",
    "TaskId",
    "digest_id",
    "new_id",
]

OrganizationId = NewType("OrganizationId", str)
KeyId = NewType("KeyId", str)
NamespaceId = NewType("NamespaceId", str)
BucketId = NewType("BucketId", str)
ObjectId = NewType("ObjectId", str)
BlobId = NewType("BlobId", str)
CollectionId = NewType("CollectionId", str)
DocumentId = NewType("DocumentId", str)
BatchId = NewType("BatchId", str)
TaskId = NewType("TaskId", str)
RetrieverId = NewType("RetrieverId", str)
ExecutionId = NewType("ExecutionId", str)


def new_id(prefix: str, bytes_of_randomness: int = 8) -> str:
    """Return `<prefix>_<hex>`; 8 bytes give 16 hex digits, safe for billions of rows in a namespace."""
    return f"{prefix}_{secrets.token_hex(bytes_of_randomness)}"


def digest_id(prefix: str, *parts: str) -> str:
    """Return the same `<prefix>_<24 hex>` for the same parts, whatever process asks."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return f"{prefix}_{digest.hexdigest()}"
