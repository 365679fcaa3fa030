"""Files that clients put into the bucket themselves, and how they become blobs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import StoredBlob
from prismhouse.storage.blobs.s3.blobs import S3BlobStore
from prismhouse.storage.blobs.s3.bucket import PART_BYTES, Bucket, Entry, Gone, Replaced
from prismhouse.storage.blobs.s3.keys import key_of, name_of
from prismhouse.storage.blobs.s3.links import S3Links
from prismhouse.storage.blobs.staging import StagedFile, StagedFileChanged, StagedFileMissing

__all__ = ["S3Staging"]

_NAME_BYTES = 1024
_PRIVATE_SECONDS = 24 * 3600.0


class S3Staging:
    """The Staging in a bucket: `<prefix>/uploads/<key>`.

    Private files that are older than `private_seconds` belong to nobody who lives.
    """

    def __init__(
        self, bucket: Bucket, *, blobs: S3BlobStore, links: S3Links, private_seconds: float = _PRIVATE_SECONDS
    ) -> None:
        self._bucket = bucket
        self._blobs = blobs
        self._links = links
        self._private_seconds = private_seconds
        self._folder = bucket.place.key("uploads")

    def put_url(self, key: str, *, content_type: str, size_bytes: int | None, expires_in_seconds: int) -> str:
        """Return an absolute URL that accepts one PUT body of this type and, where given, exactly this length."""
        headers = {"content-type": content_type}
        if size_bytes is not None:
            headers["content-length"] = str(size_bytes)
        return self._links.sign("PUT", self._name(key), expires_in_seconds=expires_in_seconds, headers=headers)

    async def find(self, key: str) -> StagedFile | None:
        """Return what is under the key, or None."""
        found = await self._bucket.find(self._name(key))
        if found is None:
            return None
        return StagedFile(key=key, size_bytes=found.size_bytes, etag=found.etag, content_type=found.content_type)

    async def head(self, key: str, *, size_bytes: int) -> bytes:
        """Return the first bytes of the file, for sniffing; raise StagedFileMissing."""
        try:
            data, _ = await self._bucket.get_range(self._name(key), 0, max(1, size_bytes))
        except Gone:
            raise StagedFileMissing(key=key) from None
        return data[:size_bytes]

    async def adopt(self, namespace_id: NamespaceId, key: str, *, etag: str) -> StoredBlob:
        """Make the file a blob of the namespace; see the port.

        The client can PUT again at any moment. So a small file is read as the one with its ETag, or not at all, and
        stored. A large one is copied to a name that only we know, and what lies there is compared, hashed and
        copied to its address.
        """
        before = await self._bucket.find(self._name(key))
        if before is None:
            raise StagedFileMissing(key=key)
        if before.etag != etag:
            raise StagedFileChanged(key=key)
        try:
            if before.size_bytes <= PART_BYTES:
                return await self._blobs.put(namespace_id, await self._bucket.get_exactly(before.key, etag))
            return await self._adopt_large(namespace_id, before)
        except Gone:
            raise StagedFileMissing(key=key) from None
        except Replaced:
            raise StagedFileChanged(key=key) from None

    async def discard(self, key: str) -> None:
        """Delete the file; a missing one is no error."""
        await self._bucket.delete([self._name(key)])

    async def discard_namespace(self, organization_id: str, namespace_id: NamespaceId) -> None:
        """Delete every staged file of a namespace."""
        await self._bucket.delete_below(f"{self._folder}/{name_of(f'{organization_id}/{namespace_id}')}")

    async def keys(self, *, older_than_seconds: float) -> AsyncIterator[list[str]]:
        """Yield the keys of files last written so long ago, in pages.

        On the way, private files that a dead process left are removed. A key too long to be read back from its
        object name is left out: whoever knows it discards it, or a lifecycle rule of the bucket does.
        """
        await self._sweep_private()
        oldest = utc_now() - timedelta(seconds=older_than_seconds)
        async for page in self._bucket.pages(self._folder):
            old = [entry.key.removeprefix(f"{self._folder}/") for entry in page if entry.written_at <= oldest]
            keys = [key for name in old if (key := key_of(name)) is not None]
            if keys:
                yield keys

    async def _adopt_large(self, namespace_id: NamespaceId, before: Entry) -> StoredBlob:
        private = self._blobs.private_key()
        try:
            await self._bucket.copy(before.key, private, size_bytes=before.size_bytes)
            stored = await self._hashed(private)
            if not await self._is_same(before, stored, private):
                raise Replaced
            await self._blobs.settle(namespace_id, private, stored)
        finally:
            await self._blobs.drop(private)
        return stored

    async def _sweep_private(self) -> None:
        oldest = utc_now() - timedelta(seconds=self._private_seconds)
        async for page in self._bucket.pages(self._bucket.place.key("incoming")):
            await self._bucket.delete([entry.key for entry in page if entry.written_at <= oldest])

    async def _hashed(self, private: str) -> StoredBlob:
        sha256, md5, size_bytes = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        async for chunk in self._bucket.stream(private):
            await asyncio.to_thread(sha256.update, chunk)
            await asyncio.to_thread(md5.update, chunk)
            size_bytes += len(chunk)
        return StoredBlob(sha256=sha256.hexdigest(), size_bytes=size_bytes, md5=md5.hexdigest())

    async def _is_same(self, before: Entry, stored: StoredBlob, private: str) -> bool:
        """Whether the copy has the bytes that were looked at."""
        if before.etag == stored.md5:
            return True
        # An ETag that is no MD5: of an encrypted bucket, or of a file that was put in parts.
        if stored.size_bytes != before.size_bytes:
            return False
        if (await self._bucket.head(private)).etag == before.etag:
            return True
        after = await self._bucket.find(before.key)
        return after is not None and (after.etag, after.written_at) == (before.etag, before.written_at)

    def _name(self, key: str) -> str:
        return f"{self._folder}/{name_of(key, room_bytes=_NAME_BYTES - len(self._folder.encode()) - 1)}"
