"""What a model is: an entry of the registry, as a package's code makes it or as a table of a TOML file says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from prismhouse.engine.inference.weights import AnyFile, Package, WeightFile

__all__ = ["TASKS", "ModelEntry", "entries_of"]

TASKS = (
    "text_embedding",
    "image_embedding",
    "joint_embedding",
    "face_embedding",
    "sound_embedding",
    "transcription",
    "text_recognition",
    "page_layout",
    "generation",
)

_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model.

    Attributes:
        task: `text_embedding`, `image_embedding`, `joint_embedding` (text and images in one space),
        `face_embedding`, `sound_embedding`, `transcription`, `text_recognition` (writing in pictures),
        `page_layout` (parts of a page) or `generation` (texts by instruction).
        dimensions: of its vectors; 0 where it makes none.
        languages: ISO 639 codes that it knows; empty where they do not matter.
        files: weight files by role; `needs` names models that are loaded along with this one.
        loader: `module:function`, called with (entry, threads, cache_dir), returns the model.
        imports: Python packages the loader needs; `extra` is the extra of ours that brings them.
        memory_bytes: approximate growth of a process that loads it and runs one batch; 0 where that is not known.
        source: `builtin`, `package` or `file`, of which the file of models is meant.
        kind: of the table that it was read from; empty for others.
        options: what the table says beyond the other fields: plain values, which its loader understands.
        fingerprint: differs when the model gives other vectors. Empty where the name alone tells.
    """

    name: str
    title: str
    task: str
    modalities: tuple[str, ...]
    licence: str
    loader: str
    extra: str
    imports: tuple[str, ...]
    memory_bytes: int
    dimensions: int = 0
    max_tokens: int | None = None
    languages: tuple[str, ...] = ()
    files: Mapping[str, AnyFile] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    source: str = "builtin"
    kind: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""


def entries_of(document: Mapping[str, Any]) -> list[ModelEntry]:
    """Return the models of a document laid out like `builtin.toml`, in its order.

    Raises TypeError or KeyError for a table that is not laid out so: such a document is part of the product.
    """
    packages = {name: Package(name=name, **table) for name, table in document["packages"].items()}
    return [_entry(name, table, packages) for name, table in document["models"].items()]


def _entry(name: str, table: Mapping[str, Any], packages: Mapping[str, Package]) -> ModelEntry:
    rest: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    files = {
        role: WeightFile(package=packages[file["package"]], **{key: file[key] for key in file if key != "package"})
        for role, file in rest.pop("files", {}).items()
    }
    memory_bytes = rest.pop("memory_mb") * _MIB
    return ModelEntry(name=name, files=MappingProxyType(files), memory_bytes=memory_bytes, **rest)
