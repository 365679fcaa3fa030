"""Weight files inside data packages: where they are, and whether they are what was pinned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from prismhouse.engine.inference.errors import ModelDamaged, ModelMissing

__all__ = ["Package", "WeightFile", "is_installed", "locate", "read_verified", "verified"]


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


def locate(file: WeightFile) -> Path | None:
    """Return where the file is, or None. The package is found without being imported."""
    spec = find_spec(file.package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / file.path
    return path if path.is_file() else None


def is_installed(file: WeightFile) -> bool:
    """Return whether a file of the right size is there; the hash is checked when it is loaded."""
    path = locate(file)
    return path is not None and path.stat().st_size == file.size_bytes


def verified(file: WeightFile, model: str) -> Path:
    """Return the path of a file whose sha256 was just compared; raise ModelMissing or ModelDamaged."""
    path = locate(file)
    if path is None:
        raise ModelMissing(model=model, package=file.package.name, version=file.package.version)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != file.sha256:
        raise ModelDamaged(model=model, path=str(path), found=found, expected=file.sha256)
    return path


def read_verified(file: WeightFile, model: str) -> bytes:
    """Return the bytes of a verified file."""
    return verified(file, model).read_bytes()
