"""The staging port: files that clients put into storage themselves, before they are anybody's blobs.

A key is `{organization}/{namespace}/api_buckets_uploads_create/{upload_id}/{filename}`, any unicode, at most 1,024
bytes of UTF-8. Storage sees a whole file under a key or none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import StoredBlob

__all__ = ["BlobLinks", "StagedFile", "StagedFileChanged", "StagedFileMissing", "Staging"]


class StagedFileMissing(WarehouseError):
    """No file has been put under {key}."""

    code = Code.BAD_REQUEST
    hint = "PUT the file to its presigned_url, then confirm."


class StagedFileChanged(WarehouseError):
    """The file under {key} was replaced while it was being confirmed."""

    code = Code.CONFLICT
    hint = "Confirm again."


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """A file as storage knows it. `etag` is without quotes: the MD5 in hex of a file that was put in one piece."""

    key: str
    size_bytes: int
    etag: str
    content_type: str | None


class Staging(Protocol):
    """Where clients put files, and how they become blobs of a namespace."""

    def put_url(self, key: str, *, content_type: str, size_bytes: int | None, expires_in_seconds: int) -> str:
        """Return an absolute URL that accepts one PUT body of this type and, where given, exactly this length."""
        ...

    async def find(self, key: str) -> StagedFile | None:
        """Return what is under the key, or None."""
        ...

    async def head(self, key: str, *, size_bytes: int) -> bytes:
        """Return the first bytes of the file, for sniffing; raise StagedFileMissing."""
        ...

    async def adopt(self, namespace_id: NamespaceId, key: str, *, etag: str) -> StoredBlob:
        """Make the file a blob of the namespace and return it when the blob survives a power cut.

        The staged file stays until `discard`, so that this can be repeated. What is adopted is exactly the file
        with `etag`: raise StagedFileChanged for another one, StagedFileMissing for none. Memory stays bounded.
        """
        ...

    async def discard(self, key: str) -> None:
        """Delete the file; a missing one is no error."""
        ...

    async def discard_namespace(self, organization_id: str, namespace_id: NamespaceId) -> None:
        """Delete every staged file of a namespace."""
        ...

    def keys(self, *, older_than_seconds: float) -> AsyncIterator[list[str]]:
        """Yield the keys of files last written so long ago, in pages: what a sweep looks at."""
        ...


class BlobLinks(Protocol):
    """Signed links to blobs, for people and programs that have no API key."""

    def get_url(
        self,
        namespace_id: NamespaceId,
        sha256: str,
        *,
        content_type: str | None,
        filename: str | None,
        expires_in_seconds: int,
        md5: str | None = None,
    ) -> str:
        """Return an absolute URL that answers GET with the bytes until it expires; HEAD too, except on S3.

        `md5` becomes the ETag where storage does not know one itself; without it, the SHA-256 does.
        """
        ...
