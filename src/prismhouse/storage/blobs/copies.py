"""Files that extraction processes can open: the blob's own on this disk, or a copy of a remote one for a while."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.disk import full_disk_named
from prismhouse.storage.blobs.port import BlobMissing, BlobStore

__all__ = ["LocalCopies"]

_AT_A_TIME = 4
_UNKNOWN_BYTES = 64 << 20
_STALE_SECONDS = 24 * 3600.0


class LocalCopies:
    """Copies of one process, within a bound on the disk they take together.

    Args:
        blobs: where the bytes are.
        folder: holds the copies; those of dead processes are removed when they are a day old.
        room_bytes: the bound. A single file above it is copied all the same, alone.
    """

    def __init__(self, blobs: BlobStore, folder: Path, *, room_bytes: int) -> None:
        self._blobs = blobs
        self._folder = folder
        self._room_bytes = room_bytes
        self._taken_bytes = 0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._downloads = asyncio.Semaphore(_AT_A_TIME)
        _sweep(folder)

    def portions(self, namespace_id: NamespaceId, sizes: Mapping[str, Mapping[str, int | None]]) -> list[list[str]]:
        """Return the names of `sizes` in groups whose files fit together; one group where no file is remote.

        Args:
            namespace_id: of all files.
            sizes: per name the files it needs, by SHA-256, with their sizes in bytes.
        """
        groups: list[list[str]] = [[]]
        taken = 0
        for name, files in sizes.items():
            needed = self._needed(namespace_id, files)
            if groups[-1] and needed and taken + needed > self._room_bytes:
                groups.append([])
                taken = 0
            groups[-1].append(name)
            taken += needed
        return groups

    @asynccontextmanager
    async def held(self, namespace_id: NamespaceId, files: Mapping[str, int | None]) -> AsyncIterator[dict[str, Path]]:
        """Give the path of each file, by SHA-256, until the end of the block; files that are gone are left out."""
        paths = {sha256: self._blobs.local_path(namespace_id, sha256) for sha256 in files}
        remote = [sha256 for sha256, path in paths.items() if path is None]
        known = {sha256: path for sha256, path in paths.items() if path is not None}
        if not remote:
            yield known
            return
        needed = min(self._needed(namespace_id, files), self._room_bytes)
        async with self._room(needed):
            folder = Path(await asyncio.to_thread(self._make_folder))
            try:
                yield {**known, **await self._download(namespace_id, remote, folder)}
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _needed(self, namespace_id: NamespaceId, files: Mapping[str, int | None]) -> int:
        remote = [size for sha256, size in files.items() if self._blobs.local_path(namespace_id, sha256) is None]
        return sum(_UNKNOWN_BYTES if size is None else size for size in remote)

    @asynccontextmanager
    async def _room(self, size_bytes: int) -> AsyncIterator[None]:
        # One waits at a time, so that many small ones do not overtake a large one for ever.
        async with self._turn, self._changed:
            await self._changed.wait_for(lambda: self._taken_bytes + size_bytes <= self._room_bytes)
            self._taken_bytes += size_bytes
        try:
            yield
        finally:
            async with self._changed:
                self._taken_bytes -= size_bytes
                self._changed.notify_all()

    def _make_folder(self) -> str:
        with full_disk_named():
            self._folder.mkdir(parents=True, exist_ok=True)
            return tempfile.mkdtemp(dir=self._folder)

    async def _download(self, namespace_id: NamespaceId, hashes: Sequence[str], folder: Path) -> dict[str, Path]:
        results = await asyncio.gather(
            *(self._copy(namespace_id, sha256, folder / sha256) for sha256 in hashes), return_exceptions=True
        )
        found = {}
        # All have ended before the first fault is raised: the folder is removed then.
        for sha256, result in zip(hashes, results, strict=True):
            if isinstance(result, BlobMissing):
                continue
            if isinstance(result, BaseException):
                raise result
            found[sha256] = folder / sha256
        return found

    async def _copy(self, namespace_id: NamespaceId, sha256: str, path: Path) -> None:
        async with self._downloads:
            with full_disk_named(), path.open("xb") as file:
                async for chunk in self._blobs.stream(namespace_id, sha256):
                    await asyncio.to_thread(file.write, chunk)


def _sweep(folder: Path) -> None:
    oldest = time.time() - _STALE_SECONDS
    for left in folder.glob("*"):
        try:
            stale = left.stat().st_mtime < oldest
        except FileNotFoundError:
            continue
        if stale:
            shutil.rmtree(left, ignore_errors=True)
