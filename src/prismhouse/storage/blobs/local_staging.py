"""Staged files in the blob folder, with the manners of object storage.

`<root>/staged/<namespace>/<first two digits>/<hash of the key>.json` says what stands under a key: etag, size, type,
and the file beside it that holds the bytes. It is replaced by a rename, so that bytes and what is said of them
change at once; a file of bytes is never written to again. Names are hashes, so that any key is safe.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prismhouse.kit import json
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.disk import Arrival, flush_folder, make_folder, remove_tree
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.port import StoredBlob
from prismhouse.storage.blobs.signing import Signer
from prismhouse.storage.blobs.staging import StagedFile, StagedFileChanged, StagedFileMissing

__all__ = ["FILE_PATH", "BodyDiffers", "BodyTooLong", "FileExists", "LocalStaging", "WrongDigest", "decoded_key"]

FILE_PATH = "/v1/blobs/file"
"""Where the server answers signed URLs; server/files.py has the route."""

_BLOCK_BYTES = 2 << 20
# The disk works while the rest of a large file arrives; after the last byte there is little left to wait for.
_SETTLED_BYTES = 32 << 20
_KEYS_AT_A_TIME = 1_000
# Renames of a re-PUT that crashed leave bytes that nothing names; younger ones may be about to be named.
_ORPHAN_SECONDS = 3_600
_TRIES = 5
_T = TypeVar("_T")


class BodyTooLong(WarehouseError):
    """The file is larger than {limit_bytes} bytes."""

    code = Code.TOO_LARGE
    wire_code = "EntityTooLarge"
    hint = "Send a smaller file, or raise PRISMHOUSE_LIMITS__BLOB_BYTES."


class BodyDiffers(WarehouseError):
    """The URL was signed for {signed_bytes} bytes; {sent_bytes} were sent."""

    code = Code.FORBIDDEN
    wire_code = "SignatureDoesNotMatch"
    hint = "Send the file whose size was declared, or create another upload."


class WrongDigest(WarehouseError):
    """The bytes that arrived have the MD5 {received}, not {declared} as Content-MD5 says."""

    code = Code.BAD_REQUEST
    wire_code = "BadDigest"
    hint = "Send the file again."


class FileExists(WarehouseError):
    """There is a file under this key already, and If-None-Match: * asks for none."""

    code = Code.PRECONDITION_FAILED
    wire_code = "PreconditionFailed"
    hint = "Leave the header out to replace it."


class LocalStaging:
    """The Staging of one machine; safe for several processes on the same folder."""

    def __init__(self, blobs: LocalBlobStore, *, signer: Signer, base_url: Callable[[], str]) -> None:
        self._blobs = blobs
        self._root = blobs.root / "staged"
        self._signer = signer
        self._base_url = base_url
        # Apart from the loop's own threads: flushing large files takes seconds, and nobody else should wait for that.
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="staging")

    def put_url(self, key: str, *, content_type: str, size_bytes: int | None, expires_in_seconds: int) -> str:
        """Return an absolute URL that accepts one PUT body of this type and, where given, exactly this length."""
        parameters = {"key": encoded_key(key), "content_type": content_type}
        if size_bytes is not None:
            parameters["size_bytes"] = str(size_bytes)
        query = self._signer.sign("PUT", parameters, expires_in_seconds=expires_in_seconds)
        return f"{self._base_url()}{FILE_PATH}?{query}"

    async def receive(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        limit_bytes: int,
        size_bytes: int | None = None,
        md5: str | None = None,
        only_new: bool = False,
    ) -> StagedFile:
        """Store a body under the key, and return when it survives a power cut.

        Until then, and when this fails, the key shows what it showed before. Raises BodyTooLong, BodyDiffers,
        WrongDigest, FileExists, StorageFull.
        """
        arrival = await self._run(self._arrival)
        try:
            await self._fill(arrival, _within(chunks, limit_bytes, size_bytes))
            if size_bytes is not None and arrival.size_bytes != size_bytes:
                raise BodyDiffers(signed_bytes=size_bytes, sent_bytes=arrival.size_bytes)
            stored = await self._run(arrival.close)
            if md5 is not None and md5 != stored.md5:
                raise WrongDigest(received=stored.md5, declared=md5)
            return await self._run(lambda: self._show(key, arrival, stored, content_type, only_new))
        finally:
            await self._run(arrival.discard)

    async def _fill(self, arrival: Arrival, chunks: AsyncIterator[bytes]) -> None:
        """Write and hash one block in threads while the next one is gathered: never more than two in memory."""
        block, held, unsettled = list[bytes](), 0, 0
        writing: asyncio.Future[Any] = self._run(lambda: None)
        settling: asyncio.Future[Any] = writing
        try:
            async for chunk in chunks:
                block.append(chunk)
                held += len(chunk)
                if held < _BLOCK_BYTES:
                    continue
                await writing
                unsettled += held
                writing, block, held = self._written(arrival, block), [], 0
                if unsettled >= _SETTLED_BYTES and settling.done():
                    await settling
                    settling, unsettled = self._run(arrival.settle), 0
            await writing
            writing = self._written(arrival, block)
            await writing
            await settling
        finally:
            # A thread cannot be stopped: the file is closed only when none works on it.
            await asyncio.wait([writing, settling])
            for work in (writing, settling):
                if not work.cancelled():
                    work.exception()

    def _written(self, arrival: Arrival, block: list[bytes]) -> asyncio.Future[Any]:
        data = b"".join(block)
        return asyncio.gather(
            *(self._run(partial(step, data)) for step in (arrival.append, arrival.sha256.update, arrival.md5.update))
        )

    def _arrival(self) -> Arrival:
        return Arrival(self._blobs.incoming)

    def _show(self, key: str, arrival: Arrival, stored: StoredBlob, content_type: str, only_new: bool) -> StagedFile:
        card = self._card(key)
        if only_new and self._read(key) is not None:
            raise FileExists
        before = _load(card)
        data = card.with_name(f"{card.stem}.{secrets.token_hex(8)}")
        self._move(arrival.path, data)
        row = {
            "key": key,
            "file": data.name,
            "etag": stored.md5,
            "sha256": stored.sha256,
            "size_bytes": stored.size_bytes,
            "content_type": content_type,
        }
        try:
            self._write_card(card, row, only_new=only_new)
        except BaseException:
            data.unlink(missing_ok=True)
            raise
        flush_folder(card.parent)
        if before is not None:
            card.with_name(before["file"]).unlink(missing_ok=True)
        return _file(row)

    def _move(self, path: Path, data: Path) -> None:
        for attempt in range(_TRIES):
            try:
                make_folder(data.parent, self._blobs.root)
                path.replace(data)
            except FileNotFoundError:  # the folder went meanwhile, with its namespace
                if attempt == _TRIES - 1 or not path.exists():
                    raise
            else:
                return

    def _write_card(self, card: Path, row: dict[str, Any], *, only_new: bool) -> None:
        note = Arrival(self._blobs.incoming)
        try:
            note.append(json.dumps(row))
            note.close()
            if only_new:
                card.hardlink_to(note.path)
            else:
                note.path.replace(card)
        except FileExistsError as error:
            raise FileExists from error
        finally:
            note.discard()

    async def find(self, key: str) -> StagedFile | None:
        """Return what is under the key, or None."""
        row = await self._run(lambda: self._read(key))
        return None if row is None else _file(row)

    async def head(self, key: str, *, size_bytes: int) -> bytes:
        """Return the first bytes of the file, for sniffing; raise StagedFileMissing."""

        def read(path: Path, _: dict[str, Any]) -> bytes:
            with path.open("rb") as file:
                return file.read(size_bytes)

        return await self._run(lambda: self._with_file(key, read))

    async def adopt(self, namespace_id: NamespaceId, key: str, *, etag: str) -> StoredBlob:
        """Make the file a blob of the namespace and return it when the blob survives a power cut.

        It is one file with two names, or a copy where the disk cannot do that. Raises StagedFileChanged,
        StagedFileMissing, StorageFull.
        """

        def take(path: Path, row: dict[str, Any]) -> StoredBlob:
            if row["etag"] != etag:
                raise StagedFileChanged(key=key)
            stored = StoredBlob(sha256=row["sha256"], size_bytes=row["size_bytes"], md5=row["etag"])
            self._blobs.adopt(namespace_id, path, stored)
            return stored

        return await self._run(lambda: self._with_file(key, take))

    async def discard(self, key: str) -> None:
        """Delete the file; a missing one is no error."""
        await self._run(lambda: self._discard(key))

    async def discard_namespace(self, organization_id: str, namespace_id: NamespaceId) -> None:
        """Delete every staged file of a namespace."""
        folder = self._folder(f"{organization_id}/{namespace_id}/")
        await self._run(lambda: remove_tree(folder, self._blobs.root))

    async def keys(self, *, older_than_seconds: float) -> AsyncIterator[list[str]]:
        """Yield the keys of files last written so long ago, in pages. Removes leftovers of crashed writers on its way.

        Every folder is looked at, so this costs a second or so per hundred thousand files.
        """
        page: list[str] = []
        await self._run(self._blobs.sweep)
        for folder in await self._run(lambda: sorted(self._root.glob("*/*"))):
            page += await self._run(partial(_old_keys, folder, time.time() - older_than_seconds))
            while len(page) >= _KEYS_AT_A_TIME:
                yield page[:_KEYS_AT_A_TIME]
                page = page[_KEYS_AT_A_TIME:]
        if page:
            yield page

    def _discard(self, key: str) -> None:
        card = self._card(key)
        row = _load(card)
        # The card first: bytes without a card are not there, and are swept.
        card.unlink(missing_ok=True)
        if row is not None:
            card.with_name(row["file"]).unlink(missing_ok=True)

    def _read(self, key: str) -> dict[str, Any] | None:
        card = self._card(key)
        row = _load(card)
        # After a power cut in the middle of a PUT that nobody was told had worked, the card may be there alone.
        return row if row is not None and card.with_name(row["file"]).exists() else None

    def _with_file(self, key: str, use: Callable[[Path, dict[str, Any]], _T]) -> _T:
        """Call `use` with the bytes and what is said of them; look again where another PUT replaced them meanwhile."""
        card = self._card(key)
        for _ in range(_TRIES):
            row = _load(card)
            if row is None:
                break
            try:
                return use(card.with_name(row["file"]), row)
            except FileNotFoundError:
                continue
        raise StagedFileMissing(key=key)

    def _folder(self, key: str) -> Path:
        """Return the folder of the key's namespace, whatever its first two segments are."""
        home = "/".join(key.split("/")[:2])
        return self._root / hashlib.sha256(home.encode()).hexdigest()[:40]

    def _card(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder(key) / name[:2] / f"{name}.json"

    def _run(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


def encoded_key(key: str) -> str:
    """Return a key as it stands in a URL: of 1,024 bytes in any script, the URL stays under 2,083 characters."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def decoded_key(text: str) -> str:
    """Return the key of a URL whose signature was good."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


async def _within(chunks: AsyncIterator[bytes], limit_bytes: int, size_bytes: int | None) -> AsyncIterator[bytes]:
    """Pass a body on until it is longer than it may be."""
    seen = 0
    async for chunk in chunks:
        seen += len(chunk)
        if seen > limit_bytes:
            raise BodyTooLong(limit_bytes=limit_bytes)
        if size_bytes is not None and seen > size_bytes:
            raise BodyDiffers(signed_bytes=size_bytes, sent_bytes=f"more than {size_bytes}")
        yield chunk


def _load(card: Path) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = json.loads(card.read_bytes())
    except FileNotFoundError:
        return None
    return row


def _file(row: dict[str, Any]) -> StagedFile:
    return StagedFile(key=row["key"], size_bytes=row["size_bytes"], etag=row["etag"], content_type=row["content_type"])


def _old_keys(folder: Path, before: float) -> list[str]:
    """Return the keys of a folder that were written before, and remove bytes that no card names."""
    keys, named, bytes_there = list[str](), set[str](), list[Path]()
    for path in sorted(folder.iterdir()):
        if path.suffix != ".json":
            bytes_there.append(path)
            continue
        row = _load(path)
        if row is None:
            continue
        named.add(row["file"])
        try:
            if path.stat().st_mtime < before:
                keys.append(row["key"])
        except FileNotFoundError:
            continue
    for path in bytes_there:
        try:
            if path.name not in named and path.stat().st_mtime < time.time() - _ORPHAN_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue
    return keys
