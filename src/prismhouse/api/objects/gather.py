"""Bytes of drafts: fetched, looked at, hashed, and at last stored. No database connection is held meanwhile."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
from collections.abc import Iterable, Mapping

from prismhouse.api.buckets.model import FieldType
from prismhouse.api.objects.drafts import BlobDraft, Draft, Filled
from prismhouse.api.objects.kinds import HEAD_BYTES, KindMismatch, media_type, plain_media_type
from prismhouse.api.objects.ports import UploadedFile
from prismhouse.api.objects.sources import InlineBytes, InlineText, Remote, Uploaded
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.text import decode_text
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import NamespaceId
from prismhouse.settings import LimitSettings
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.outbound import Fetched, Fetcher

__all__ = ["FETCHES_AT_A_TIME", "MAX_TEXT_BYTES", "Bytes", "Gatherer", "content_hash_of", "release"]

MAX_TEXT_BYTES = 64 * 1024
FETCHES_AT_A_TIME = 8
_CONCURRENCY = 8

Bytes = bytes | Fetched


class Gatherer:
    """Fetches and stores blobs of many objects with bounded concurrency."""

    def __init__(self, blobs: BlobStore, fetcher: Fetcher, limits: LimitSettings) -> None:
        self._blobs = blobs
        self._fetcher = fetcher
        self._limits = limits
        self._store_slots = asyncio.Semaphore(_CONCURRENCY)

    async def fill(
        self,
        namespace_id: NamespaceId,
        draft: Draft,
        *,
        uploads: Mapping[str, UploadedFile | WarehouseError],
        fetch_slots: asyncio.Semaphore | None = None,
    ) -> list[Bytes | None]:
        """Fill in what is known of each blob; return the bytes that must be stored (None: kept as text, or stored).

        Args:
            namespace_id: where the bytes of uploads are.
            draft: gets `filled` and `content_hash`.
            uploads: the files of the uploads that the draft names, or why one cannot be used.
            fetch_slots: shared by the drafts of one request. Requests do not share any: slow servers that one of
                them names must not hold up the others.

        Raises:
            Invalid: bytes of another kind than the field's, or another checksum.
            WarehouseError: a URL that could not be fetched.
        """
        held: list[Bytes | None] = []
        try:
            for blob in draft.blobs:
                filled, data = await self._fill(namespace_id, blob, uploads, fetch_slots or asyncio.Semaphore(1))
                held.append(data)
                draft.filled.append(filled)
                _check_sum(blob, filled)
        except BaseException:
            release(held)
            raise
        draft.content_hash = content_hash_of(draft)
        return held

    async def store(self, namespace_id: NamespaceId, held: Iterable[Bytes | None]) -> None:
        """Store bytes; returns when all survive a power cut."""
        stores = (self._store(namespace_id, data) for data in held if data is not None)
        # All have ended before the first fault is raised: the caller closes the files they read.
        for result in await asyncio.gather(*stores, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def forget(self, namespace_id: NamespaceId, hashes: Iterable[str]) -> None:
        """Delete stored bytes that can have no reference: those of a namespace that is gone."""
        for sha256 in hashes:
            await self._blobs.delete(namespace_id, sha256)

    async def _store(self, namespace_id: NamespaceId, data: Bytes) -> None:
        async with self._store_slots:
            await self._blobs.put(namespace_id, data if isinstance(data, bytes) else data.chunks())

    async def _fill(
        self,
        namespace_id: NamespaceId,
        blob: BlobDraft,
        uploads: Mapping[str, UploadedFile | WarehouseError],
        fetch_slots: asyncio.Semaphore,
    ) -> tuple[Filled, Bytes | None]:
        source = blob.source
        if isinstance(source, Uploaded):
            return await self._take(namespace_id, blob, uploads[source.upload_id]), None
        if isinstance(source, InlineText):
            mime_type = plain_media_type(blob.type, source.filename)
            return _text(source.text, mime_type=mime_type, filename=source.filename, url=None)
        if isinstance(source, InlineBytes):
            mime_type = _mime_of(blob, source.data, source.mime_type, source.filename)
            if blob.type in {FieldType.TEXT, FieldType.JSON}:
                text = _decoded(blob, source.data, None)
                return _text(text, mime_type=mime_type, filename=source.filename, url=None)
            return _raw(source.data, mime_type=mime_type, filename=source.filename)
        async with fetch_slots:
            return await self._fetch(blob, source)

    async def _take(self, namespace_id: NamespaceId, blob: BlobDraft, file: UploadedFile | WarehouseError) -> Filled:
        if isinstance(file, WarehouseError):
            raise Invalid([field_fault([*blob.location, "upload_id"], file.message)]) from file
        head = b""
        async for part in self._blobs.stream(namespace_id, file.sha256, end=HEAD_BYTES):
            head += part
        return Filled(
            sha256=file.sha256,
            md5=file.md5,
            size_bytes=file.size_bytes,
            mime_type=_mime_of(blob, head, file.content_type, file.filename),
            filename=file.filename,
            source_url=None,
            text=None,
        )

    async def _fetch(self, blob: BlobDraft, source: Remote) -> tuple[Filled, Bytes | None]:
        fetched = await self._fetcher.fetch(source.url, max_bytes=self._limits.blob_bytes)
        try:
            filename = source.filename or fetched.filename
            _check_not_empty(blob, fetched)
            mime_type = _mime_of(blob, fetched.head, fetched.content_type, filename)
            if blob.type in {FieldType.TEXT, FieldType.JSON} and fetched.size_bytes <= self._limits.inline_blob_bytes:
                text = _decoded(blob, await fetched.read(), fetched.charset)
                fetched.close()
                return _text(text, mime_type=mime_type, filename=filename, url=source.url)
        except BaseException:
            fetched.close()
            raise
        filled = Filled(
            sha256=fetched.sha256,
            md5=None,
            size_bytes=fetched.size_bytes,
            mime_type=mime_type,
            filename=filename,
            source_url=source.url,
            text=None,
        )
        return filled, fetched


def release(held: Iterable[Bytes | None]) -> None:
    """Remove temporary files."""
    for data in held:
        if isinstance(data, Fetched):
            data.close()


def _check_sum(blob: BlobDraft, filled: Filled) -> None:
    if blob.checksum is not None and blob.checksum != filled.sha256:
        message = f"The bytes have sha256:{filled.sha256}, not the one that was sent."
        raise Invalid([field_fault([*blob.location, "checksum"], message)])


def _check_not_empty(blob: BlobDraft, fetched: Fetched) -> None:
    if not fetched.size_bytes:
        raise Invalid([field_fault(blob.location, f"{fetched.final_url} answers an empty file.")])


def content_hash_of(draft: Draft) -> str | None:
    """Return the hash by which `skip_duplicates` knows an object: its files and where they belong."""
    if not draft.blobs:
        return None
    parts = sorted((blob.property, filled.sha256) for blob, filled in zip(draft.blobs, draft.filled, strict=True))
    return hashlib.sha256(json.dumps(parts)).hexdigest()


def _text(text: str, *, mime_type: str, filename: str | None, url: str | None) -> tuple[Filled, bytes | None]:
    data = text.encode()
    filled = Filled(
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        size_bytes=len(data),
        mime_type=mime_type,
        filename=filename,
        source_url=url,
        text=text if len(data) <= MAX_TEXT_BYTES else None,
    )
    return filled, None if filled.text is not None else data


def _raw(data: bytes, *, mime_type: str, filename: str | None) -> tuple[Filled, bytes]:
    filled = Filled(
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        size_bytes=len(data),
        mime_type=mime_type,
        filename=filename,
        source_url=None,
        text=None,
    )
    return filled, data


def _mime_of(blob: BlobDraft, head: bytes, declared: str | None, filename: str | None) -> str:
    """Return the media type; raise Invalid when the bytes are certainly of another kind than the field."""
    try:
        return media_type(blob.type, head, declared=declared, filename=filename)
    except KindMismatch as error:
        found = "expected {expected}, got {found} ({media_type})".format_map(error.details)
        message = f"{blob.property}: {found}."
        raise Invalid([field_fault(blob.location, message, "media_type_mismatch")]) from error


def _decoded(blob: BlobDraft, data: bytes, charset: str | None) -> str:
    try:
        text = data.decode(charset) if charset is not None and _is_known(charset) else decode_text(data)
    except MediaFault as error:
        raise Invalid([field_fault(blob.location, f"{blob.property}: {error.message}", error.code)]) from error
    except UnicodeDecodeError as error:
        message = f"{blob.property}: The text is not {charset}, which its server declares (byte {error.start})."
        raise Invalid([field_fault(blob.location, message, "text_encoding")]) from error
    if "\x00" in text:
        raise Invalid([field_fault(blob.location, f"{blob.property}: Text must not contain U+0000.")])
    if blob.type is FieldType.JSON:
        try:
            json.loads(text)
        except ValueError as error:
            raise Invalid([field_fault(blob.location, f"{blob.property}: Not valid JSON: {error}.")]) from error
    return text


def _is_known(charset: str) -> bool:
    try:
        # Only text encodings: Python also has codecs such as zlib and hex.
        return codecs.lookup(charset).name in _TEXT_CODECS or charset.startswith(("iso-8859", "windows-", "cp"))
    except LookupError:
        return False


_TEXT_CODECS = frozenset(
    {"utf-8", "utf-16", "utf-32", "ascii", "latin-1", "iso8859-1", "shift_jis", "euc_jp", "euc_kr", "gb18030", "gbk"}
    | {"gb2312", "big5", "koi8-r"}
)
