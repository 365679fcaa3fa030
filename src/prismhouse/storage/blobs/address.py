"""Names that blobs have in any store."""

from __future__ import annotations

import hashlib
import re

from prismhouse.kit.ids import NamespaceId

__all__ = ["blob_name", "folder_name"]

_PLAIN_ID = re.compile(r"ns_[0-9a-z]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def folder_name(namespace_id: NamespaceId) -> str:
    """Return a name without surprises, of its own for every namespace."""
    if not namespace_id:
        raise ValueError("a namespace id is never empty")
    if _PLAIN_ID.fullmatch(namespace_id):
        return namespace_id
    # An id that a user chose may hold anything, and may differ from another in case alone.
    return f"ns-{hashlib.sha256(namespace_id.encode()).hexdigest()[:40]}"


def blob_name(namespace_id: NamespaceId, sha256: str) -> str:
    """Return `<namespace>/<first two digits>/<sha256>`."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError("a sha256 is 64 lower-case hex digits")
    return f"{folder_name(namespace_id)}/{sha256[:2]}/{sha256}"
