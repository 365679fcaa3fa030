"""The files of a ZIP archive, read one by one within limits. Nothing is written to disk, and no link is followed."""

from __future__ import annotations

import errno
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.media.sniff import sniff
from prismhouse.engine.media.zipped import directory_bytes, most_directory_bytes

__all__ = ["Archive", "Member", "opened_archive"]

_HEAD_BYTES = 8192
_PIECE_BYTES = 1 << 16
_END = b"PK\x05\x06"
_IS_ENCRYPTED = 0x1
_LONGEST_NAME = 1024
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""LZMA asks for as much memory as its header says, and of bzip2 some bytes unpack to gigabytes at one go."""

_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, RuntimeError)
_MADE_BY_TOOLS = frozenset({".git", ".hg", ".svn", "__MACOSX", "__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of an archive. `path` is relative, its folders parted by slashes."""

    path: str
    data: bytes


@dataclass(slots=True, kw_only=True)
class Archive:
    """An open archive. `left_out` counts files that are not read, by reason; it is right once all were gone through."""

    packed: zipfile.ZipFile
    limits: MediaLimits
    left_out: dict[str, int] = field(default_factory=dict)
    _unpacked: int = 0

    def members(self, is_wanted: Callable[[str], bool] = bool) -> Iterator[Member]:
        """Yield the files in the order of their paths, each path once.

        What is not wanted, by its path, and what tools put there (`.git`, `node_modules` ...) is passed over without a
        word, and is not unpacked.

        Raises MediaFault: archive_encrypted, archive_too_large (while it is unpacked), archive_corrupt.
        """
        seen = set[str]()
        for entry in sorted(self.packed.infolist(), key=lambda one: one.filename):
            path = PurePosixPath(entry.filename.replace("\\", "/"))
            if entry.is_dir() or _MADE_BY_TOOLS.intersection(path.parts) or not is_wanted(str(path)):
                continue
            if (reason := _refusal(entry, path, self.limits)) is not None:
                self._leave(reason)
                continue
            if str(path) in seen:
                self._leave("repeated_path")
                continue
            seen.add(str(path))
            if (data := self._read(entry)) is not None:
                yield Member(path=str(path), data=data)

    def _read(self, entry: zipfile.ZipInfo) -> bytes | None:
        """Return the bytes of a file, None where it is larger than its header says and than it may be."""
        if entry.flag_bits & _IS_ENCRYPTED:
            raise MediaFault("archive_encrypted", "The archive is encrypted. Pack it without a password.")
        if entry.compress_type not in _COMPRESSIONS:
            self._leave("unknown_compression")
            return None
        made = bytearray()
        try:
            with self.packed.open(entry) as file:
                while piece := file.read(_PIECE_BYTES):
                    made += piece
                    self._unpacked += len(piece)
                    if self._unpacked > self.limits.archive_unpacked_bytes:
                        raise _bomb(self.limits)
                    if len(made) > self.limits.archive_file_bytes:
                        self._leave("file_too_large")
                        return None
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # a place before the beginning
                raise
            message = f"The archive is damaged at {entry.filename[:200]!r} ({error}). Pack it again."
            raise MediaFault("archive_corrupt", message) from error
        return bytes(made)

    def _leave(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


@contextmanager
def opened_archive(path: Path, limits: MediaLimits) -> Iterator[Archive]:
    """Open a ZIP archive until the end of the block; raise MediaFault.

    Codes: empty_file, media_type_mismatch, archive_too_large, archive_too_many_files, archive_corrupt.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise MediaFault("empty_file", "Expected a ZIP archive, got an empty file.")
    if not head.startswith((b"PK\x03\x04", _END)):
        found = sniff(head)
        message = f"Expected a ZIP archive, got {found.label} ({found.mime}). Pack the source code as ZIP."
        raise MediaFault("media_type_mismatch", message)
    if size > limits.archive_bytes:
        message = f"The archive has {size} bytes; the limit is {limits.archive_bytes}."
        raise MediaFault("archive_too_large", f"{message} Split it, or raise PRISMHOUSE_MEDIA__ARCHIVE_BYTES.")
    _check_directory(path, limits)
    try:
        packed = zipfile.ZipFile(path)
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        message = f"The archive is damaged or cut off ({error}). Pack it again."
        raise MediaFault("archive_corrupt", message) from error
    with packed:
        if sum(not entry.is_dir() for entry in packed.infolist()) > limits.archive_files:
            raise _crowd(limits)
        yield Archive(packed=packed, limits=limits)


def _refusal(entry: zipfile.ZipInfo, path: PurePosixPath, limits: MediaLimits) -> str | None:
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "link_or_device"
    name = entry.filename
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":" or "\x00" in name or len(name) > _LONGEST_NAME:
        return "unsafe_path"
    return "file_too_large" if entry.file_size > limits.archive_file_bytes else None


def _check_directory(path: Path, limits: MediaLimits) -> None:
    told = directory_bytes(path)
    if told is None:
        raise MediaFault("archive_corrupt", "The archive is cut off: it has no directory. Pack it again.")
    if told > most_directory_bytes(limits.archive_files):
        raise _crowd(limits)


def _crowd(limits: MediaLimits) -> MediaFault:
    message = f"The archive has more than {limits.archive_files} files."
    return MediaFault("archive_too_many_files", f"{message} Leave some out, or raise PRISMHOUSE_MEDIA__ARCHIVE_FILES.")


def _bomb(limits: MediaLimits) -> MediaFault:
    message = f"The archive unpacks to more than {limits.archive_unpacked_bytes} bytes."
    return MediaFault(
        "archive_too_large", f"{message} Leave some out, or raise PRISMHOUSE_MEDIA__ARCHIVE_UNPACKED_BYTES."
    )
