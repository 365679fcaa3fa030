"""The BlobStore in a bucket: `<prefix>/blobs/<namespace>/<first two digits>/<sha256>`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.address import blob_name, folder_name
from prismhouse.storage.blobs.port import BlobMissing, StoredBlob
from prismhouse.storage.blobs.s3.bucket import PART_BYTES, Bucket, Gone, StorageUnavailable

__all__ = ["S3BlobStore"]

_PUTS_AT_A_TIME = 8


class S3BlobStore:
    """Bytes in a bucket. A name in `blobs/` appears with all of its bytes or not at all.

    A stream whose hash is not known yet goes to a random name in `incoming/` and is copied to its own inside the
    storage. A process that dies leaves at most such a file, which a sweep removes (`Staging.keys`).
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def key(self, namespace_id: NamespaceId, sha256: str) -> str:
        """Return the object key of a blob."""
        return self._bucket.place.key("blobs", blob_name(namespace_id, sha256))

    async def put(self, namespace_id: NamespaceId, data: bytes | AsyncIterator[bytes]) -> StoredBlob:
        """Store and return when the bytes are durable; storing equal bytes again is a no-op."""
        folder_name(namespace_id)
        if isinstance(data, bytes):
            return await self._put_bytes(namespace_id, data)
        start, rest = await _beginning(data, PART_BYTES)
        if rest is None:
            return await self._put_bytes(namespace_id, start)
        private = self.private_key()
        try:
            hashed = _Hashed(start, rest)
            await self._bucket.put_stream(private, hashed.chunks())
            stored = hashed.stored()
            await self.settle(namespace_id, private, stored)
        finally:
            await self.drop(private)
        return stored

    async def put_all(self, namespace_id: NamespaceId, items: Sequence[bytes]) -> list[StoredBlob]:
        """Store several, some at a time, and return, in their order, when all are durable."""
        folder_name(namespace_id)
        turn = asyncio.Semaphore(_PUTS_AT_A_TIME)

        async def put(data: bytes) -> StoredBlob:
            async with turn:
                return await self._put_bytes(namespace_id, data)

        made = await asyncio.gather(*(put(data) for data in items), return_exceptions=True)
        for one in made:
            if isinstance(one, BaseException):
                raise one
        return [one for one in made if isinstance(one, StoredBlob)]

    async def read(self, namespace_id: NamespaceId, sha256: str) -> bytes:
        """Return all bytes; raise BlobMissing."""
        return b"".join([chunk async for chunk in self.stream(namespace_id, sha256)])

    async def stream(
        self, namespace_id: NamespaceId, sha256: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield bytes [start, end) in pieces of at most 8 MiB; raise BlobMissing."""
        try:
            async for chunk in self._bucket.stream(self.key(namespace_id, sha256), start=start, end=end):
                yield chunk
        except Gone:
            raise BlobMissing(sha256=sha256) from None

    def local_path(self, namespace_id: NamespaceId, sha256: str) -> Path | None:  # noqa: ARG002 - the port's
        """Return None: the bytes are elsewhere."""
        return None

    async def delete(self, namespace_id: NamespaceId, sha256: str) -> None:
        """Delete; missing bytes are no error."""
        await self._bucket.delete([self.key(namespace_id, sha256)])

    async def delete_namespace(self, namespace_id: NamespaceId) -> None:
        """Delete everything of a namespace."""
        await self._bucket.delete_below(self._bucket.place.key("blobs", folder_name(namespace_id)))

    async def fault(self) -> str | None:
        """Say why bytes cannot be stored now; None when they can, or could a few seconds ago."""
        return await self._bucket.probe(self._bucket.place.key("incoming", "health"))

    def private_key(self) -> str:
        """Return a key that nobody else knows."""
        return self._bucket.place.key("incoming", secrets.token_hex(16))

    async def settle(self, namespace_id: NamespaceId, private: str, stored: StoredBlob) -> None:
        """Give the file under a private key its place among the blobs; raise Gone."""
        target = self.key(namespace_id, stored.sha256)
        found = await self._bucket.find(target)
        if found is None or found.size_bytes != stored.size_bytes:
            await self._bucket.copy(private, target, size_bytes=stored.size_bytes)

    async def drop(self, private: str) -> None:
        """Delete a private file, also when the caller is being cancelled; what cannot be now, a sweep removes."""
        with contextlib.suppress(StorageUnavailable):
            await asyncio.shield(self._bucket.delete([private]))

    async def _put_bytes(self, namespace_id: NamespaceId, data: bytes) -> StoredBlob:
        stored = await asyncio.to_thread(_hash, data)
        target = self.key(namespace_id, stored.sha256)
        found = await self._bucket.find(target)
        if found is None or found.size_bytes != stored.size_bytes:
            await self._bucket.put(target, data)
        return stored


class _Hashed:
    """A stream that is hashed as it passes."""

    def __init__(self, start: bytes, rest: AsyncIterator[bytes]) -> None:
        self._start = start
        self._rest = rest
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size_bytes = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield everything, once."""
        await asyncio.to_thread(self._add, self._start)
        yield self._start
        async for chunk in self._rest:
            if chunk:
                await asyncio.to_thread(self._add, chunk)
                yield chunk

    def stored(self) -> StoredBlob:
        """Return what has passed."""
        return StoredBlob(sha256=self._sha256.hexdigest(), size_bytes=self._size_bytes, md5=self._md5.hexdigest())

    def _add(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        self._md5.update(chunk)
        self._size_bytes += len(chunk)


def _hash(data: bytes) -> StoredBlob:
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return StoredBlob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), md5=md5)


async def _beginning(data: AsyncIterator[bytes], size_bytes: int) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """Return the first bytes, and the rest where there may be any."""
    held = bytearray()
    async for chunk in data:
        held += chunk
        if len(held) > size_bytes:
            return bytes(held), data
    return bytes(held), None
