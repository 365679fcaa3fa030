"""What was put, against what was said of it; and its adoption into the blob store. No connection is held meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prismhouse.api.buckets.model import FieldType
from prismhouse.api.objects.service import HEAD_BYTES, KindMismatch, media_type
from prismhouse.api.uploads.errors import (
    ETagMismatch,
    FileIsEmpty,
    FileMissing,
    FileOverLimit,
    FormatMismatch,
    HashMismatch,
    SizeMismatch,
)
from prismhouse.api.uploads.model import Upload
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import StoredBlob
from prismhouse.storage.blobs.staging import StagedFile, StagedFileChanged, StagedFileMissing, Staging

__all__ = ["Claim", "Looked", "Looking", "hash_fault"]

_FILES_AT_A_TIME = 16
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a client says of a file it has put."""

    upload_id: str
    etag: str | None = None
    file_size_bytes: int | None = None

    @property
    def plain_etag(self) -> str | None:
        """The ETag without quotes, in lower case as storage has it."""
        return None if self.etag is None else self.etag.strip().strip('"').lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A file that is what it should be, in the blob store."""

    staged: StagedFile
    stored: StoredBlob
    media_type: str


class Looking:
    """Looks at files and adopts them, a bounded number at a time in the whole process."""

    def __init__(self, staging: Staging, *, max_bytes: int) -> None:
        self._staging = staging
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(_FILES_AT_A_TIME)

    async def size_of(self, upload: Upload) -> int:
        """Return how large the file is; 0 where none is there, be it because another confirmation has taken it."""
        staged = await self._staging.find(upload.s3_key)
        return 0 if staged is None else staged.size_bytes

    async def all(
        self, namespace_id: NamespaceId, work: Sequence[tuple[Claim, Upload]]
    ) -> list[Looked | BaseException]:
        """Look at each, all to the end; return what was found or why it cannot be used, in the same order.

        A `Mismatch` is certain: the file is not the one. Anything else may be different next time.
        """
        looks = (self._one(namespace_id, claim, upload) for claim, upload in work)
        return await asyncio.gather(*looks, return_exceptions=True)

    async def again(self, namespace_id: NamespaceId, work: Sequence[tuple[Upload, Looked]]) -> None:
        """Adopt once more what a sweep may have taken."""

        async def adopt(upload: Upload, looked: Looked) -> None:
            async with self._slots:
                await self._staging.adopt(namespace_id, upload.s3_key, etag=looked.staged.etag)

        results = await asyncio.gather(*(adopt(*one) for one in work), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def discard(self, keys: Sequence[str]) -> list[BaseException]:
        """Delete staged files that are confirmed; return what went wrong, which the sweep will set right."""

        async def discard(key: str) -> None:
            async with self._slots:
                await self._staging.discard(key)

        results = await asyncio.gather(*(discard(key) for key in keys), return_exceptions=True)
        return [result for result in results if isinstance(result, BaseException)]

    async def _one(self, namespace_id: NamespaceId, claim: Claim, upload: Upload) -> Looked:
        async with self._slots:
            for attempt in range(_TRIES):
                try:
                    return await self._look(namespace_id, claim, upload)
                except StagedFileMissing as error:
                    raise FileMissing(upload_id=upload.upload_id) from error
                except StagedFileChanged:
                    if attempt + 1 == _TRIES:
                        raise
            raise AssertionError("unreachable")

    async def _look(self, namespace_id: NamespaceId, claim: Claim, upload: Upload) -> Looked:
        staged = await self._staging.find(upload.s3_key)
        if staged is None:
            raise FileMissing(upload_id=upload.upload_id)
        self._check(claim, upload, staged)
        head = await self._staging.head(upload.s3_key, size_bytes=HEAD_BYTES)
        found = _kind(upload, head)
        stored = await self._staging.adopt(namespace_id, upload.s3_key, etag=staged.etag)
        return Looked(staged=staged, stored=stored, media_type=found)

    def _check(self, claim: Claim, upload: Upload, staged: StagedFile) -> None:
        named = {"upload_id": upload.upload_id}
        if claim.plain_etag is not None and claim.plain_etag != staged.etag.lower():
            raise ETagMismatch(**named, expected=claim.plain_etag, found=staged.etag)
        for expected in (claim.file_size_bytes, upload.declared_size_bytes):
            if expected is not None and expected != staged.size_bytes:
                raise SizeMismatch(**named, expected=expected, found=staged.size_bytes)
        if not staged.size_bytes:
            raise FileIsEmpty(**named, expected=">= 1 byte", found="0 bytes")
        if staged.size_bytes > self._max_bytes:
            raise FileOverLimit(**named, expected=self._max_bytes, found=staged.size_bytes)


def hash_fault(upload: Upload, looked: Looked) -> WarehouseError | None:
    """Return what is wrong with the hash that was declared."""
    if upload.file_hash is None or upload.file_hash == looked.stored.sha256:
        return None
    return HashMismatch(upload_id=upload.upload_id, expected=upload.file_hash, found=looked.stored.sha256)


def _kind(upload: Upload, head: bytes) -> str:
    kind = FieldType(upload.blob_type or FieldType.BINARY)
    try:
        return media_type(kind, head, declared=upload.content_type, filename=upload.filename)
    except KindMismatch as error:
        found = {name: error.details[name] for name in ("expected", "found", "media_type")}
        raise FormatMismatch(upload_id=upload.upload_id, filename=upload.filename, **found) from error
