"""The blob port: content-addressed bytes of a namespace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId

__all__ = ["BlobMissing", "BlobStore", "StoredBlob"]


class BlobMissing(WarehouseError):
    """The stored bytes {sha256} are not in the blob store."""

    code = Code.INTERNAL
    hint = "Restore the blob folder or store from its backup, or delete the object and send it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """What is known of stored bytes. `sha256` is 64 hex digits and, with the namespace, their address."""

    sha256: str
    size_bytes: int
    md5: str


class BlobStore(Protocol):
    """Bytes by (namespace, sha256). Equal bytes of one namespace are stored once, never shared across namespaces."""

    async def put(self, namespace_id: NamespaceId, data: bytes | AsyncIterator[bytes]) -> StoredBlob:
        """Store and return when the bytes survive a power cut; storing equal bytes again is a no-op."""
        ...

    async def put_all(self, namespace_id: NamespaceId, items: Sequence[bytes]) -> list[StoredBlob]:
        """Store several and return, in their order, when all survive a power cut. Costs less than one by one."""
        ...

    async def read(self, namespace_id: NamespaceId, sha256: str) -> bytes:
        """Return all bytes; raise BlobMissing."""
        ...

    def stream(
        self, namespace_id: NamespaceId, sha256: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield bytes [start, end); raise BlobMissing."""
        ...

    def local_path(self, namespace_id: NamespaceId, sha256: str) -> Path | None:
        """Return a path that extraction processes can open, or None where blobs are remote."""
        ...

    async def delete(self, namespace_id: NamespaceId, sha256: str) -> None:
        """Delete; missing bytes are no error. The caller knows that nothing refers to them."""
        ...

    async def delete_namespace(self, namespace_id: NamespaceId) -> None:
        """Delete everything of a namespace."""
        ...

    async def fault(self) -> str | None:
        """Say why bytes cannot be stored now, after trying; None when they can."""
        ...
