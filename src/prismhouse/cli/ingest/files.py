"""The files of a folder: what each really is, and why some are left alone."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prismhouse.cli.words import printable
from prismhouse.engine.media.sniff import sniff

__all__ = ["FileFound", "Left", "Walked", "hashed", "walk"]

# One byte more than the sniffer looks at: a text may be cut inside a character.
_HEAD_BYTES = 8193
_PIECE_BYTES = 1 << 20
_ARCHIVE = "application/zip"
_MARKDOWN = (".md", ".markdown", ".mdown")
# What the end of a name promises, by kind: a file that is of another kind is pointed out.
_PROMISED = {
    "text": (".txt", ".md", ".rst", ".csv", ".json", ".html", ".xml"),
    "image": (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    "audio": (".wav", ".mp3", ".flac", ".ogg", ".m4a"),
    "video": (".mp4", ".mov", ".mkv", ".webm", ".avi"),
    "pdf": (".pdf",),
    "code": (".zip",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFound:
    """A file that can be sent. `kind` is text, markdown, image, audio, video, pdf, code, or what nothing is made of."""

    path: str
    place: Path
    size_bytes: int
    mime: str
    kind: str
    sha256: str = ""

    @property
    def medium(self) -> str:
        """Return the field of the bucket that holds it."""
        return "text" if self.kind == "markdown" else self.kind

    @property
    def disguise(self) -> str | None:
        """Return a sentence when the name promises something else."""
        suffix = Path(self.path).suffix.lower()
        promised = next((kind for kind, suffixes in _PROMISED.items() if suffix in suffixes), None)
        return None if promised in (None, self.medium) else f"holds {self.mime}, whatever {suffix} says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A file that is not sent. It is a failure when it should have been one."""

    path: str
    reason: str
    next_step: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """Everything in a folder, in the order of the paths."""

    files: list[FileFound]
    left: list[Left]


def walk(folder: Path, *, limit_bytes: int) -> Walked:
    """Return the files below a folder. Links are not followed, hidden files and folders not looked into."""
    files: list[FileFound] = []
    left: list[Left] = []
    for entry, path in _entries(folder, "", left):
        found = _look(entry, path, limit_bytes)
        if isinstance(found, FileFound):
            files.append(found)
        else:
            left.append(found)
    return Walked(files=files, left=left)


def hashed(file: FileFound) -> str:
    """Return the SHA-256 of a file, which is read in pieces; raise OSError."""
    digest = hashlib.sha256()
    with file.place.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _entries(folder: Path, above: str, left: list[Left]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield files and what is no folder; folders are entered."""
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        if not above:
            raise
        left.append(_unreadable(above.rstrip("/"), error))
        return
    for entry in entries:
        path = f"{above}{entry.name}"
        if entry.name.startswith("."):
            left.append(Left(path=path, reason="hidden"))
        elif entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), f"{path}/", left)
        else:
            yield entry, path


def _look(entry: os.DirEntry[str], path: str, limit_bytes: int) -> FileFound | Left:
    if not _is_unicode(path):
        shown = os.fsencode(path).decode(errors="replace")
        return Left(path=shown, reason="its name is not UTF-8", next_step="rename it", failed=True)
    if entry.is_symlink():
        return Left(path=path, reason="a link; links are not followed")
    try:
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return Left(path=path, reason="no regular file")
        if status.st_size == 0:
            return Left(path=path, reason="0 bytes", next_step="fill it or delete it", failed=True)
        if status.st_size > limit_bytes:
            reason = f"{status.st_size} bytes are more than the limit of {limit_bytes}"
            step = "set PRISMHOUSE_LIMITS__BLOB_BYTES for server and command, or split it"
            return Left(path=path, reason=reason, next_step=step, failed=True)
        with open(entry.path, "rb") as stream:  # noqa: PTH123 - an entry has its path as a string
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        return _unreadable(path, error)
    found = sniff(head)
    if found.kind == "text" and len(head) == status.st_size and not head.strip(b" \t\r\n\f\v"):
        return Left(path=path, reason="blank")
    kind = "markdown" if found.kind == "text" and path.lower().endswith(_MARKDOWN) else found.kind
    if found.mime == _ARCHIVE:
        kind = "code"
    return FileFound(path=path, place=Path(entry.path), size_bytes=status.st_size, mime=found.mime, kind=kind)


def _is_unicode(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(path: str, error: OSError) -> Left:
    reason = f"it cannot be read: {error.strerror or error}"
    return Left(path=path, reason=printable(reason), next_step="check its permissions", failed=True)
