"""Arguments whose files are named by `Path`, and those files on a node that does not have them.

A node that shares this machine's disk, or a network disk, opens the very file. To another one it is sent in pieces.
"""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from prismhouse.storage.compute.ray.wire import FileMark

__all__ = ["Folder", "missing", "pack", "unpack"]

_FOLDER = "prismhouse-ray"
_LOCK = "lock"
_YOUNG_SECONDS = 60.0


class _Packer(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=5)
        self.marks: list[FileMark] = []
        self._known: dict[Path, int | None] = {}

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, Path):
            return None
        if value not in self._known:
            mark = _mark(value)
            self._known[value] = None if mark is None else len(self.marks)
            if mark is not None:
                self.marks.append(mark)
        return self._known[value]


class _Unpacker(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, paths: Mapping[int, str]) -> None:
        super().__init__(buffer)
        self._paths = paths

    def persistent_load(self, number: Any) -> Path:
        return Path(self._paths[number])


def pack(function: str, arguments: tuple[Any, ...]) -> tuple[bytes, list[FileMark]]:
    """Return a call as bytes, with the files that its arguments name."""
    buffer = io.BytesIO()
    packer = _Packer(buffer)
    packer.dump((function, arguments))
    return buffer.getvalue(), packer.marks


def unpack(frame: bytes, paths: Mapping[int, str]) -> tuple[str, tuple[Any, ...]]:
    """Return function and arguments; `paths` says where each file is here, by its number."""
    function, arguments = _Unpacker(io.BytesIO(frame), paths).load()
    return function, arguments


def missing(marks: Sequence[FileMark]) -> list[int]:
    """Return the numbers of the files that this machine does not have."""
    return [number for number, mark in enumerate(marks) if _mark(Path(mark.path)) != mark]


def _mark(path: Path) -> FileMark | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return FileMark(str(path), found.st_ino, found.st_size, found.st_mtime_ns)


class Folder:
    """Files that were sent to this process, in the node's temporary folder; those of dead processes are removed."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock: BinaryIO | None = None

    def add(self, name: str, piece: bytes) -> str:
        """Append to a file, which the first piece makes; return its path."""
        path = self._opened() / name
        with path.open("ab") as file:
            file.write(piece)
        return str(path)

    def clear(self) -> None:
        """Remove all files."""
        if self._path is None:
            return
        for path in self._path.iterdir():
            if path.name != _LOCK:
                path.unlink()

    def _opened(self) -> Path:
        if self._path is None:
            top = Path(tempfile.gettempdir()) / f"{_FOLDER}-{os.getuid()}"
            top.mkdir(mode=0o700, exist_ok=True)
            if top.lstat().st_uid != os.getuid() or not stat.S_ISDIR(top.lstat().st_mode):
                raise PermissionError(f"{top} belongs to somebody else")
            _sweep(top)
            path = Path(tempfile.mkdtemp(dir=top))
            # Held while this process lives: what nobody holds is left over.
            self._lock = (path / _LOCK).open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._path = path
        return self._path


def _sweep(top: Path) -> None:
    for folder in top.iterdir():
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                continue  # its process may be about to lock it
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
