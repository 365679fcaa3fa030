"""Every model the product can run: what it is, where its weights come from, and whether they are here.

`builtin.toml` lists those that the product brings; their weights are pinned data packages, located with `find_spec`
and never imported, so no code of theirs runs. Other packages add models through the entry point group
`prismhouse.models`, each naming a `ModelEntry`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from types import MappingProxyType

from prismhouse.engine.inference.entry import ModelEntry, entries_of
from prismhouse.engine.inference.errors import ModelMissing, ModelNotFound
from prismhouse.engine.inference.lent import lent_entries
from prismhouse.engine.inference.weights import WeightFile, is_installed

__all__ = [
    "CONSE",
    "EFFICIENTNET",
    "FACES",
    "MINILM",
    "PAGE_LAYOUT",
    "PP_OCR",
    "WHISPER_BASE",
    "WHISPER_TINY_EN",
    "YAMNET",
    "ModelEntry",
    "ModelStatus",
    "all_models",
    "check_installed",
    "entry",
    "listed",
    "with_needs",
]

MINILM = "all_minilm_l6_v2_v1"
EFFICIENTNET = "efficientnet_lite2_imagenet_v1"
CONSE = "conse_minilm_l6_v2_v1"
PAGE_LAYOUT = "picodet_cdla_layout_v1"
PP_OCR = "rapidocr_ppocr_v6_small_v1"
FACES = "face_identity_sface_v1"
YAMNET = "yamnet_audioset_v1"
WHISPER_TINY_EN = "whisper_tiny_en_v1"
WHISPER_BASE = "whisper_base_v1"

_ENTRY_POINTS = "prismhouse.models"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """What `prismhouse models list` shows. `problem` is what is missing, with the command that brings it."""

    name: str
    title: str
    task: str
    modalities: tuple[str, ...]
    dimensions: int
    licence: str
    size_bytes: int
    memory_bytes: int
    packages: tuple[str, ...]
    installed: bool
    problem: str | None


@cache
def all_models() -> Mapping[str, ModelEntry]:
    """Return every known model by name, the built-in ones first."""
    models = {item.name: item for item in _builtin()}
    for point in metadata.entry_points(group=_ENTRY_POINTS):
        added = point.load()
        if not isinstance(added, ModelEntry):
            raise TypeError(f"Entry point {point.name} of {_ENTRY_POINTS} gives {type(added)}, not a ModelEntry.")
        models.setdefault(added.name, added)
    return MappingProxyType(models)


def _builtin() -> list[ModelEntry]:
    text = files("prismhouse.engine.inference").joinpath("builtin.toml").read_text("utf-8")
    return entries_of(tomllib.loads(text))


def entry(name: str) -> ModelEntry:
    """Return the model's entry, a lent one first; raise ModelNotFound, which names those that all know."""
    found = lent_entries().get(name) or all_models().get(name)
    if found is None:
        raise ModelNotFound(model=name, known=", ".join(sorted(all_models())))
    return found


def check_installed(name: str) -> None:
    """Raise ModelMissing for a model whose files are not here. Reads none of them."""
    for file in with_needs(entry(name)):
        if not is_installed(file):
            raise ModelMissing(model=name, package=file.package.name, version=file.package.version)


def listed() -> list[ModelStatus]:
    """Return every model with its licence, size and whether it can run here. Reads no weights."""
    return [_status(item) for item in all_models().values()]


def _status(item: ModelEntry) -> ModelStatus:
    needed = with_needs(item)
    missing = sorted({file.package.name for file in needed if not is_installed(file)})
    absent = sorted({name for name in item.imports if find_spec(name) is None})
    problems = [f"{', '.join(missing)} missing: prismhouse models install {item.name}"] if missing else []
    if absent:
        problems.append(f'{", ".join(absent)} missing: pip install "prismhouse[{item.extra}]"')
    return ModelStatus(
        name=item.name,
        title=item.title,
        task=item.task,
        modalities=item.modalities,
        dimensions=item.dimensions,
        licence=item.licence,
        size_bytes=sum(file.size_bytes for file in needed),
        memory_bytes=item.memory_bytes,
        packages=tuple(dict.fromkeys(f"{file.package.name}=={file.package.version}" for file in needed)),
        installed=not problems,
        problem="; ".join(problems) or None,
    )


def with_needs(item: ModelEntry) -> list[WeightFile]:
    """Return the weight files of a model and of the models it needs, each once."""
    needed = list(item.files.values())
    for name in item.needs:
        needed += with_needs(entry(name))
    return list(dict.fromkeys(needed))
