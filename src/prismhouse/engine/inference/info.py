"""Everything that is known of one model, its files compared with their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismhouse.engine.inference.errors import ModelDamaged, ModelFileChanged, ModelFileGone, ModelMissing
from prismhouse.engine.inference.registry import default_model, entry, status_of
from prismhouse.engine.inference.session import device_name
from prismhouse.engine.inference.weights import AnyFile, FolderFile, verified

__all__ = ["FileInfo", "ModelInfo", "info_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """A weight file; `state` is verified, absent, or not the one that it should be."""

    role: str
    path: str
    size_bytes: int
    sha256: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model. `problem` is what is missing, with the command that brings it; `device` is where it runs."""

    name: str
    title: str
    task: str
    modalities: tuple[str, ...]
    dimensions: int
    max_tokens: int | None
    languages: tuple[str, ...]
    licence: str
    source: str
    kind: str
    options: Mapping[str, Any]
    fingerprint: str
    packages: tuple[str, ...]
    needs: tuple[str, ...]
    files: tuple[FileInfo, ...]
    verified: bool
    memory_bytes: int
    default_for: str | None
    device: str
    problem: str | None


def info_of(name: str) -> ModelInfo:
    """Return what is known; raise ModelNotFound. Cost: the hash of its files, about a second a gigabyte."""
    item, status = entry(name), status_of(name)
    named = [*item.files.items(), *((f"{other}.{role}", file) for other in item.needs for role, file in _of(other))]
    files = tuple(_file(role, file, name) for role, file in named)
    is_verified = all(file.state == "verified" for file in files)
    damaged = ", ".join(file.path for file in files if file.state not in ("verified", "absent"))
    problem = status.problem or (
        f"{damaged} is not what it should be: prismhouse models install {name}" if damaged else None
    )
    return ModelInfo(
        name=item.name,
        title=item.title,
        task=item.task,
        modalities=item.modalities,
        dimensions=item.dimensions,
        max_tokens=item.max_tokens,
        languages=item.languages,
        licence=item.licence,
        source=item.source,
        kind=item.kind,
        options=dict(item.options),
        fingerprint=item.fingerprint,
        packages=status.packages,
        needs=item.needs,
        files=files,
        verified=is_verified and bool(files),
        memory_bytes=item.memory_bytes,
        default_for=item.task if default_model(item.task) == name else None,
        device=device_name(item),
        problem=problem,
    )


def _of(name: str) -> list[tuple[str, AnyFile]]:
    return list(entry(name).files.items())


def _file(role: str, file: AnyFile, model: str) -> FileInfo:
    try:
        verified(file, model)
        state = "verified"
    except (ModelMissing, ModelFileGone):
        state = "absent"
    except ModelDamaged:
        state = "damaged"
    except ModelFileChanged:
        state = "changed"
    place = f"{file.folder}/{file.path}" if isinstance(file, FolderFile) else f"{file.package.module}/{file.path}"
    return FileInfo(role=role, path=place, size_bytes=file.size_bytes, sha256=file.sha256, state=state)
