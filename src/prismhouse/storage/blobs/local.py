"""Blobs in a folder: `<root>/<namespace>/<first two digits>/<sha256>`.

A blob appears under its name only when it is complete: bytes go to a file in `incoming`, are flushed, and are
renamed. A process that dies leaves at most a file in `incoming`, which a start or a sweep removes an hour later.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.address import blob_name, folder_name
from prismhouse.storage.blobs.disk import (
    Arrival,
    flush_folder,
    full_disk_named,
    has_size,
    make_folder,
    md5,
    remove_tree,
)
from prismhouse.storage.blobs.port import BlobMissing, StoredBlob

__all__ = ["LocalBlobStore"]

_CHUNK_BYTES = 1 << 20
_STALE_SECONDS = 3600.0
_UNLINKABLE = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})


class LocalBlobStore:
    """The BlobStore of one machine; safe for several threads and processes on the same folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        self.sweep()

    async def put(self, namespace_id: NamespaceId, data: bytes | AsyncIterator[bytes]) -> StoredBlob:
        """Store and return when the bytes survive a power cut; storing equal bytes again is a no-op."""
        folder = self._folder(namespace_id)
        if isinstance(data, bytes):
            return (await asyncio.to_thread(self._put_each, folder, [data]))[0]
        arrival = await asyncio.to_thread(Arrival, self.incoming)
        try:
            async for chunk in data:
                await asyncio.to_thread(arrival.write, chunk)
            return await asyncio.to_thread(self._finish, folder, arrival)
        finally:
            arrival.discard()

    async def put_all(self, namespace_id: NamespaceId, items: Sequence[bytes]) -> list[StoredBlob]:
        """Store several and return, in their order, when all survive a power cut. Takes one thread for all."""
        return await asyncio.to_thread(self._put_each, self._folder(namespace_id), items) if items else []

    async def read(self, namespace_id: NamespaceId, sha256: str) -> bytes:
        """Return all bytes; raise BlobMissing."""
        path = self._path(namespace_id, sha256)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError as error:
            raise BlobMissing(sha256=sha256) from error

    async def stream(
        self, namespace_id: NamespaceId, sha256: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield bytes [start, end) in pieces of at most 1 MiB; raise BlobMissing."""
        try:
            file = await asyncio.to_thread(self._path(namespace_id, sha256).open, "rb")
        except FileNotFoundError as error:
            raise BlobMissing(sha256=sha256) from error
        try:
            await asyncio.to_thread(file.seek, start)
            left = None if end is None else max(0, end - start)
            while left is None or left > 0:
                chunk = await asyncio.to_thread(file.read, _CHUNK_BYTES if left is None else min(left, _CHUNK_BYTES))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk
        finally:
            file.close()

    def local_path(self, namespace_id: NamespaceId, sha256: str) -> Path:
        """Return the path of the bytes, absolute, whether or not they are there."""
        return self._path(namespace_id, sha256).absolute()

    async def delete(self, namespace_id: NamespaceId, sha256: str) -> None:
        """Delete; missing bytes are no error."""
        await asyncio.to_thread(self._path(namespace_id, sha256).unlink, missing_ok=True)

    async def delete_namespace(self, namespace_id: NamespaceId) -> None:
        """Delete everything of a namespace."""
        await asyncio.to_thread(remove_tree, self._folder(namespace_id), self.root)

    async def fault(self) -> str | None:
        """Say why bytes cannot be stored now, after trying; None when they can."""
        return await asyncio.to_thread(self._try)

    def _try(self) -> str | None:
        try:
            arrival = Arrival(self.incoming)
            try:
                arrival.write(b"?")
            finally:
                arrival.discard()
        except OSError as error:
            return f"Files cannot be written ({(error.strerror or str(error)).lower()})."
        return None

    def _folder(self, namespace_id: NamespaceId) -> Path:
        return self.root / folder_name(namespace_id)

    def _path(self, namespace_id: NamespaceId, sha256: str) -> Path:
        return self.root / blob_name(namespace_id, sha256)

    def adopt(self, namespace_id: NamespaceId, path: Path, stored: StoredBlob) -> None:
        """Make a finished file, which nobody writes to any more, a blob as well; it survives a power cut then.

        Raises FileNotFoundError where the file is gone.
        """
        target = self._path(namespace_id, stored.sha256)
        if not has_size(target, stored.size_bytes):
            make_folder(target.parent, self.root)
            self._link_or_copy(path, target)
        flush_folder(target.parent)

    def _link_or_copy(self, path: Path, target: Path) -> None:
        target.unlink(missing_ok=True)  # what is there has not the size it should have
        try:
            with full_disk_named():
                target.hardlink_to(path)
        except FileExistsError:
            return  # another process was faster
        except OSError as error:
            if error.errno not in _UNLINKABLE:
                raise
            copy = self.incoming / secrets.token_hex(16)
            try:
                with full_disk_named():
                    shutil.copyfile(path, copy)
                    with copy.open("rb+") as file:
                        os.fsync(file.fileno())
                copy.replace(target)
            finally:
                copy.unlink(missing_ok=True)

    def _put_each(self, folder: Path, items: Sequence[bytes]) -> list[StoredBlob]:
        stored = [self._write(folder, data) for data in items]
        for holder in {folder / one.sha256[:2] for one in stored}:
            flush_folder(holder)  # also where nothing was written: another writer may have renamed it a moment ago
        return stored

    def _write(self, folder: Path, data: bytes) -> StoredBlob:
        stored = StoredBlob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), md5=md5(data).hexdigest())
        target = folder / stored.sha256[:2] / stored.sha256
        if has_size(target, stored.size_bytes):
            return stored
        arrival = Arrival(self.incoming)
        try:
            arrival.append(data)
            arrival.close()
            self._name(arrival, target, stored)
        finally:
            arrival.discard()
        return stored

    def _finish(self, folder: Path, arrival: Arrival) -> StoredBlob:
        stored = arrival.close()
        target = folder / stored.sha256[:2] / stored.sha256
        self._name(arrival, target, stored)
        flush_folder(target.parent)
        return stored

    def _name(self, arrival: Arrival, target: Path, stored: StoredBlob) -> None:
        if not has_size(target, stored.size_bytes):
            make_folder(target.parent, self.root)
            arrival.path.replace(target)

    def sweep(self) -> None:
        """Remove what dead processes left; a living upload touches its file more often than once an hour."""
        oldest = time.time() - _STALE_SECONDS
        for path in self.incoming.iterdir():
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue
        for folder in self.root.glob("deleted-*"):
            shutil.rmtree(folder, ignore_errors=True)
