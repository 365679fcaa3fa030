"""Blobs in a folder: `<root>/<namespace>/<first two digits>/<sha256>`.

A blob appears under its name only when it is complete: bytes go to a file in `incoming`, are flushed, and are
renamed. A process that dies leaves at most a file in `incoming`, which the next start removes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Protocol

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.address import blob_name, folder_name
from prismhouse.storage.blobs.port import BlobMissing, StoredBlob

__all__ = ["LocalBlobStore"]

_CHUNK_BYTES = 1 << 20
_STALE_SECONDS = 3600.0


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class LocalBlobStore:
    """The BlobStore of one machine; safe for several threads and processes on the same folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._sweep(_STALE_SECONDS)

    async def put(self, namespace_id: NamespaceId, data: bytes | AsyncIterator[bytes]) -> StoredBlob:
        """Store and return when the bytes survive a power cut; storing equal bytes again is a no-op."""
        folder = self._folder(namespace_id)
        if isinstance(data, bytes):
            return await asyncio.to_thread(self._put_bytes, folder, data)
        arrival = await asyncio.to_thread(_Arrival, self._incoming)
        try:
            async for chunk in data:
                await asyncio.to_thread(arrival.write, chunk)
            return await asyncio.to_thread(self._finish, folder, arrival)
        finally:
            arrival.discard()

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

    def local_path(self, namespace_id: NamespaceId, sha256: str) -> Path | None:
        """Return the path of the bytes, absolute, whether or not they are there."""
        return self._path(namespace_id, sha256).absolute()

    async def delete(self, namespace_id: NamespaceId, sha256: str) -> None:
        """Delete; missing bytes are no error."""
        await asyncio.to_thread(self._path(namespace_id, sha256).unlink, missing_ok=True)

    async def delete_namespace(self, namespace_id: NamespaceId) -> None:
        """Delete everything of a namespace."""
        await asyncio.to_thread(_remove_tree, self._folder(namespace_id))

    async def fault(self) -> str | None:
        """Say why bytes cannot be stored now, after trying; None when they can."""
        return await asyncio.to_thread(self._try)

    def _try(self) -> str | None:
        try:
            arrival = _Arrival(self._incoming)
            try:
                arrival.write(b"?")
            finally:
                arrival.discard()
        except OSError as error:
            return f"Files cannot be written ({(error.strerror or str(error)).lower()})."
        return None

    def _folder(self, namespace_id: NamespaceId) -> Path:
        return self._root / folder_name(namespace_id)

    def _path(self, namespace_id: NamespaceId, sha256: str) -> Path:
        return self._root / blob_name(namespace_id, sha256)

    def _put_bytes(self, folder: Path, data: bytes) -> StoredBlob:
        sha256 = hashlib.sha256(data).hexdigest()
        target = folder / sha256[:2] / sha256
        if _has_size(target, len(data)):
            _flush_folder(target.parent)  # another writer may have renamed it a moment ago
            return StoredBlob(sha256=sha256, size_bytes=len(data), md5=_md5(data).hexdigest())
        arrival = _Arrival(self._incoming)
        try:
            arrival.write(data)
            return self._finish(folder, arrival)
        finally:
            arrival.discard()

    def _finish(self, folder: Path, arrival: _Arrival) -> StoredBlob:
        stored = arrival.close()
        target = folder / stored.sha256[:2] / stored.sha256
        if not _has_size(target, stored.size_bytes):
            _make_folder(target.parent, self._root)
            arrival.path.replace(target)
        _flush_folder(target.parent)
        return stored

    def _sweep(self, older_than_seconds: float) -> None:
        """Remove what dead processes left; a living upload touches its file more often than once an hour."""
        oldest = time.time() - older_than_seconds
        for path in self._incoming.iterdir():
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue
        for folder in self._root.glob("deleted-*"):
            shutil.rmtree(folder, ignore_errors=True)


class _Arrival:
    """A file in `incoming` that is hashed as it grows."""

    def __init__(self, incoming: Path) -> None:
        self.path = incoming / secrets.token_hex(16)
        self._file: BinaryIO = self.path.open("xb")
        self._sha256: _Hash = hashlib.sha256()
        self._md5 = _md5()
        self._size_bytes = 0

    def write(self, data: bytes) -> None:
        self._sha256.update(data)
        self._md5.update(data)
        self._size_bytes += len(data)
        self._file.write(data)

    def close(self) -> StoredBlob:
        """Flush to the disk and return what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return StoredBlob(sha256=self._sha256.hexdigest(), size_bytes=self._size_bytes, md5=self._md5.hexdigest())

    def discard(self) -> None:
        """Remove the file unless it was renamed away."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def _md5(data: bytes = b"") -> _Hash:
    return hashlib.md5(data, usedforsecurity=False)


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder and flush every parent that got a new entry."""
    missing = [path for path in (folder, *folder.parents) if path.is_relative_to(root) and not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders; NTFS journals renames itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_tree(folder: Path) -> None:
    # Renamed first: a half-removed folder is never taken for a namespace that still has its blobs.
    doomed = folder.with_name(f"deleted-{secrets.token_hex(8)}")
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed, ignore_errors=True)
