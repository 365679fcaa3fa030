"""Weight files, in data packages and in folders: where they are, and whether they are what was pinned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from prismhouse.engine.inference.errors import ModelDamaged, ModelFileChanged, ModelFileGone, ModelMissing

__all__ = [
    "AnyFile",
    "FolderFile",
    "Package",
    "WeightFile",
    "file_in_folder",
    "is_installed",
    "locate",
    "origin_of",
    "read_verified",
    "verified",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A data package on the package index; `module` is the folder it installs."""

    name: str
    version: str
    module: str
    wheel_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of a data package; `path` is relative to the package's folder."""

    package: Package
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFile:
    """One file of a folder that the file of models names; its hash is what it was when that file was read.

    Paths are strings: a compute adapter would send a `Path` along with every call.
    """

    folder: str
    path: str
    sha256: str
    size_bytes: int


AnyFile = WeightFile | FolderFile

_hashes: dict[tuple[str, int, int], str] = {}


def file_in_folder(folder: Path, path: str) -> FolderFile:
    """Return a file as it is now; raise OSError. Cost: its hash, about a second a gigabyte, once in a process."""
    place = folder / path
    stat = place.stat()
    key = (str(place), stat.st_size, stat.st_mtime_ns)
    if key not in _hashes:
        _hashes[key] = _sha256(place)
    return FolderFile(folder=str(folder), path=path, sha256=_hashes[key], size_bytes=stat.st_size)


def origin_of(file: AnyFile) -> str:
    """Return what brings the file: `package==version`, or the folder."""
    return file.folder if isinstance(file, FolderFile) else f"{file.package.name}=={file.package.version}"


def locate(file: AnyFile) -> Path | None:
    """Return where the file is, or None. A package is found without being imported."""
    if isinstance(file, FolderFile):
        place = Path(file.folder) / file.path
        return place if place.is_file() else None
    spec = find_spec(file.package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / file.path
    return path if path.is_file() else None


def is_installed(file: AnyFile) -> bool:
    """Return whether a file of the right size is there; the hash is checked when it is loaded."""
    path = locate(file)
    return path is not None and path.stat().st_size == file.size_bytes


def verified(file: AnyFile, model: str) -> Path:
    """Return the path of a file whose sha256 was just compared.

    Raises ModelMissing or ModelDamaged for a file of a package, ModelFileGone or ModelFileChanged for one of a folder.
    """
    path = locate(file)
    if path is None:
        if isinstance(file, FolderFile):
            raise ModelFileGone(model=model, path=str(Path(file.folder) / file.path))
        raise ModelMissing(model=model, package=file.package.name, version=file.package.version)
    if (found := _sha256(path)) != file.sha256:
        if isinstance(file, FolderFile):
            raise ModelFileChanged(model=model, path=str(path))
        raise ModelDamaged(model=model, path=str(path), found=found, expected=file.sha256)
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_verified(file: AnyFile, model: str) -> bytes:
    """Return the bytes of a verified file."""
    return verified(file, model).read_bytes()
