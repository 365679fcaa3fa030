"""What blobs and staged files on a disk share: files that grow under a hash, and names that survive a power cut."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.blobs.port import StoredBlob

__all__ = ["Arrival", "StorageFull", "flush_folder", "full_disk_named", "has_size", "make_folder", "md5", "remove_tree"]

# Also a file system, or a limit of the process, that holds no larger file.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_send_to_disk = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class StorageFull(WarehouseError):
    """There is no room left for files; nothing of this one was stored."""

    code = Code.STORAGE_FULL
    hint = "Make room in the blob folder, or give it a larger disk, and send the file again."


class Hash(Protocol):
    """A hash that grows."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class Arrival:
    """A new file in `incoming` that is hashed as it grows. Its three parts may be fed from three threads at once."""

    def __init__(self, incoming: Path) -> None:
        self.path = incoming / secrets.token_hex(16)
        with full_disk_named():
            self.file: BinaryIO = self.path.open("xb")
        self.sha256: Hash = hashlib.sha256()
        self.md5 = md5()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append and hash; raise StorageFull."""
        self.sha256.update(data)
        self.md5.update(data)
        self.append(data)

    def append(self, data: bytes) -> None:
        """Append without hashing: whoever calls this feeds the hashes too. Raises StorageFull."""
        with full_disk_named():
            self.file.write(data)
        self.size_bytes += len(data)

    def settle(self) -> None:
        """Send what was written so far to the disk, so that little is left for `close`; raise StorageFull."""
        with full_disk_named():
            _send_to_disk(self.file.fileno())

    def close(self) -> StoredBlob:
        """Flush to the disk and return what was written; raise StorageFull."""
        with full_disk_named():
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
        return StoredBlob(sha256=self.sha256.hexdigest(), size_bytes=self.size_bytes, md5=self.md5.hexdigest())

    def discard(self) -> None:
        """Remove the file unless it was renamed away."""
        try:
            self.file.close()
        except OSError as error:
            # Closing writes what is buffered; on a full disk the descriptor is closed all the same.
            if error.errno not in _FULL:
                raise
        finally:
            self.path.unlink(missing_ok=True)


@contextmanager
def full_disk_named() -> Iterator[None]:
    """Raise StorageFull where the system says that no room, or no quota, is left."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise


def md5(data: bytes = b"") -> Hash:
    """Return an MD5 that is an identifier to clients of object storage, and no protection."""
    return hashlib.md5(data, usedforsecurity=False)


def has_size(path: Path, size_bytes: int) -> bool:
    """Say whether there is a file of this size."""
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False


def make_folder(folder: Path, root: Path) -> None:
    """Make a folder and flush every parent that got a new entry."""
    if folder.is_dir():
        return
    missing = [path for path in (folder, *folder.parents) if path.is_relative_to(root) and not path.exists()]
    with full_disk_named():
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Return when the names in a folder survive a power cut."""
    if os.name == "nt":  # Windows cannot open folders; NTFS journals renames itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with full_disk_named():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path, root: Path) -> None:
    """Remove a folder; what a crash leaves of it stands as `deleted-*` in the root."""
    # Renamed first: a half-removed folder is never taken for one that still has its files.
    doomed = root / f"deleted-{secrets.token_hex(8)}"
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed, ignore_errors=True)
