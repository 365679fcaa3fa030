"""Archives of models that users send (.tar.gz), which nobody trusts: looked through, and unpacked within limits.

Both run in a compute process, which can be killed and has a limit of memory. The archive is read once, from its start
to its end, so that what was looked at is what is written.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import time
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["ArchiveLimits", "ArchiveRefused", "Contents", "checked_name", "inspect", "unpack"]

_BLOCK_BYTES = 1 << 20
_HEADER_BYTES = 64 << 10
_SMALL_BYTES = 64 << 20
_NAME_BYTES = 255
_MOST_PARTS = 12
_PART = ".part."
_NEW_SECONDS = 60.0
_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError, RecursionError, ValueError)
# What archivers of desktop systems add.
_NOISE = ("__MACOSX", ".DS_Store")


class ArchiveRefused(WarehouseError):
    """The archive cannot be used: {reason}"""

    code = Code.INVALID
    hint = "Send a .tar.gz of one model folder: docs/custom-models.md says what it holds."
    wire_code = "archive_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """What an archive may become. `ratio`: unpacked bytes for each packed one, beyond the first 64 MiB."""

    files: int = 2_000
    size_bytes: int = 20 * 2**30
    ratio: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is in an archive: the size of each file by its name below the model's own folder."""

    sha256: str
    files: dict[str, int]


def inspect(path: Path, limits: ArchiveLimits) -> Contents:
    """Return what is in the archive; write nothing. Raises ArchiveRefused."""
    return _read(path, limits, None)


def unpack(path: Path, folder: Path, limits: ArchiveLimits, *, sha256: str) -> Contents:
    """Write the files of the archive with this hash into `folder`, which appears whole or not at all.

    Several processes may do so at once: the first one wins, and all have the same. What processes left that were
    killed meanwhile is removed. Raises ArchiveRefused.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(folder.parent)
    with _part(folder.parent) as part:
        contents = _read(path, limits, part)
        if contents.sha256 != sha256:
            raise ArchiveRefused(reason=f"its sha256 is {contents.sha256}, not {sha256}: it is damaged.")
        root = part / _root(contents.files)
        with _others_first():
            root.rename(folder)
    return Contents(sha256=contents.sha256, files=_below(contents.files))


@contextmanager
def _part(parent: Path) -> Iterator[Path]:
    """Give a new folder until the end of the block. It is locked: a lock goes with its process, however that ends."""
    part = Path(tempfile.mkdtemp(dir=parent, prefix=_PART))
    handle = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(handle)


def _remove_left_over(parent: Path) -> None:
    """Remove the parts of processes that are no more; those of others are locked, or too new to be."""
    for part in parent.glob(f"{_PART}*"):
        with suppress(OSError):
            handle = os.open(part, os.O_RDONLY)
            try:
                if time.time() - os.fstat(handle).st_mtime > _NEW_SECONDS:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(part, ignore_errors=True)
            finally:
                os.close(handle)


@contextmanager
def _others_first() -> Iterator[None]:
    """Let who unpacked the same archive meanwhile win."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _read(path: Path, limits: ArchiveLimits, into: Path | None) -> Contents:
    files: dict[str, int] = {}
    packed_bytes = path.stat().st_size
    most = min(limits.size_bytes, max(_SMALL_BYTES, packed_bytes * limits.ratio))
    with path.open("rb") as raw:
        hashed = _Hashed(raw)
        try:
            with (
                gzip.GzipFile(fileobj=hashed, mode="rb") as unpacked,
                tarfile.open(fileobj=cast("Any", _Bounded(unpacked, most)), mode="r|", tarinfo=_Member) as tar,
            ):
                for member in tar:
                    _take(tar, member, files, limits, into)
        except _DAMAGED as error:
            raise ArchiveRefused(reason=f"it is no whole .tar.gz file ({error or type(error).__name__}).") from error
        hashed.drain()
    if not files:
        raise ArchiveRefused(reason="it holds no files.")
    found = files if into is not None else _below(files)
    return Contents(sha256=hashed.digest.hexdigest(), files=found)


def _take(
    tar: tarfile.TarFile, member: tarfile.TarInfo, files: dict[str, int], limits: ArchiveLimits, into: Path | None
) -> None:
    if member.isdir():
        return
    name = checked_name(member.name)
    if not member.isreg() or member.issparse():
        raise ArchiveRefused(reason=f"{name} is a link, a device or a sparse file; only plain files are taken.")
    if _is_noise(name):
        return
    if name in files:
        raise ArchiveRefused(reason=f"{name} is in it twice.")
    files[name] = member.size
    if len(files) > limits.files:
        raise ArchiveRefused(reason=f"it holds more than {limits.files} files.")
    if into is not None:
        _write(tar, member, into / name)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    if source is None:  # pragma: no cover - it is a plain file
        raise ArchiveRefused(reason=f"{member.name} cannot be read.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchiveRefused(reason=f"{member.name} stands where another file is.") from error
    with os.fdopen(handle, "wb") as stream:
        shutil.copyfileobj(source, stream, _BLOCK_BYTES)
        stream.flush()
        os.fsync(stream.fileno())


def checked_name(name: str) -> str:
    """Return a member's name as a relative path without surprises; raise ArchiveRefused."""
    shown = ascii(name[:80])
    if not name.isprintable() or "\\" in name or ":" in name:
        raise ArchiveRefused(reason=f"the name {shown} has characters that no file name here may have.")
    name = name.removeprefix("./")
    parts = name.split("/")
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise ArchiveRefused(reason=f"the name {shown} leads out of its folder.")
    if len(parts) > _MOST_PARTS or any(len(part.encode()) > _NAME_BYTES for part in parts):
        raise ArchiveRefused(reason=f"the name {shown} is too long or too deep.")
    return unicodedata.normalize("NFC", name)


def _is_noise(name: str) -> bool:
    parts = name.split("/")
    return parts[0] in _NOISE or parts[-1] in _NOISE or parts[-1].startswith("._")


def _root(files: dict[str, int]) -> str:
    """Return the one folder that everything is in, or the top."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in files}
    return tops.pop() if len(tops) == 1 else ""


def _below(files: dict[str, int]) -> dict[str, int]:
    root = _root(files)
    return {name.removeprefix(f"{root}/") if root else name: size for name, size in files.items()}


class _Member(tarfile.TarInfo):
    """A member whose own extended header is small: the reader keeps such headers in memory whole."""

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        extended = self.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if (extended or self.type == tarfile.SOLARIS_XHDTYPE) and self.size > _HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        return super()._proc_member(tar)  # type: ignore[misc]


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read, and hash what was read."""
        block = self._raw.read(len(buffer))
        buffer[: len(block)] = block
        self.digest.update(block)
        return len(block)

    def drain(self) -> None:
        """Hash what nobody asked for."""
        while block := self._raw.read(_BLOCK_BYTES):
            self.digest.update(block)


class _Bounded:
    """A stream that ends with ArchiveRefused when more comes out of it than may."""

    def __init__(self, stream: gzip.GzipFile, most_bytes: int) -> None:
        self._stream = stream
        self._most_bytes = self._left = most_bytes

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise ArchiveRefused(
                reason=f"it unpacks to more than {self._most_bytes} bytes, or to far more than it is packed."
            )
        return block
