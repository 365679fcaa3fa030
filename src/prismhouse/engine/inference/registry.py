"""Every model the product can run: what it is, where its weights come from, and whether they are here.

`builtin.toml` lists those that the product brings; their weights are pinned data packages, located with `find_spec`
and never imported, so no code of theirs runs. Other packages add models through the entry point group
`prismhouse.models`, each naming a `ModelEntry`, and whoever runs the server adds them by the file of models
(configured.py), which each process is given by `use_models`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from types import MappingProxyType

from prismhouse.engine.inference.configured import NO_MODELS, ConfiguredModels
from prismhouse.engine.inference.entry import ModelEntry, entries_of
from prismhouse.engine.inference.errors import (
    ModelChanged,
    ModelMissing,
    ModelNameTaken,
    ModelNotFound,
    ModelsFileWrong,
)
from prismhouse.engine.inference.lent import lent_entries
from prismhouse.engine.inference.weights import AnyFile, FolderFile, WeightFile, is_installed, origin_of, verified

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
    "check_unchanged",
    "default_model",
    "device",
    "entry",
    "fingerprint",
    "is_remote",
    "listed",
    "status_of",
    "use_models",
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


_all: Mapping[str, ModelEntry] | None = None
_configured = NO_MODELS


def all_models() -> Mapping[str, ModelEntry]:
    """Return every known model by name: the built-in ones, then those of packages, then those of the file."""
    return _known() if _all is None else _all


def use_models(configured: ConfiguredModels) -> None:
    """Let this process know the models of a file, instead of those of another one.

    Raises ModelNameTaken, or ModelsFileWrong for defaults that no known model can be.
    """
    global _all, _configured
    if configured == _configured:
        return
    models = dict(_known())
    for item in configured.models:
        if (taken := models.get(item.name)) is not None:
            raise ModelNameTaken(path=configured.path, model=item.name, title=taken.title)
        models[item.name] = item
    _check_defaults(configured, models)
    _all, _configured = MappingProxyType(models), configured


def _check_defaults(configured: ConfiguredModels, models: Mapping[str, ModelEntry]) -> None:
    problems = []
    for task, name in configured.defaults.items():
        if name not in models or models[name].task != task:
            fitting = ", ".join(item.name for item in models.values() if item.task == task) or "none"
            found = f"{name} is for {models[name].task}" if name in models else f"there is no model {name}"
            problems.append(f"[defaults] {task}: {found}. Accepted: {fitting}")
    if problems:
        raise ModelsFileWrong(path=configured.path, problems="; ".join(problems))


def default_model(task: str) -> str | None:
    """Return the model that `[defaults]` of the file of models names for a task, or None."""
    return _configured.defaults.get(task)


@cache
def _known() -> Mapping[str, ModelEntry]:
    models = {item.name: item for item in _builtin()}
    for point in metadata.entry_points(group=_ENTRY_POINTS):
        added = point.load()
        if not isinstance(added, ModelEntry):
            raise TypeError(f"Entry point {point.name} of {_ENTRY_POINTS} gives {type(added)}, not a ModelEntry.")
        models.setdefault(added.name, replace(added, source="package"))
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
    """Raise ModelMissing, ModelFileGone or ModelFileChanged for a model whose files are not here. Reads none else."""
    for file in with_needs(entry(name)):
        if not is_installed(file):
            if isinstance(file, WeightFile):
                raise ModelMissing(model=name, package=file.package.name, version=file.package.version)
            verified(file, name)


def check_unchanged(name: str, fingerprint: str, *, feature_uri: str) -> None:
    """Raise ModelChanged when a model is not the one whose fingerprint was kept; ModelNotFound when it is gone.

    An empty fingerprint was kept where the name alone tells, or when none was known.
    """
    if fingerprint and entry(name).fingerprint != fingerprint:
        raise ModelChanged(model=name, feature_uri=feature_uri)


def fingerprint(name: str) -> str:
    """Return what is to be kept beside vectors of a model; empty for a model that is not known."""
    found = all_models().get(name)
    return found.fingerprint if found else ""


def is_remote(name: str) -> bool:
    """Return whether a model runs behind an address; raise ModelNotFound."""
    return "url" in entry(name).options


def device() -> str:
    """Return where models are to run: auto, cpu or cuda."""
    return _configured.device


def status_of(name: str) -> ModelStatus:
    """Return what `listed` tells of one model; raise ModelNotFound."""
    return _status(entry(name))


def listed() -> list[ModelStatus]:
    """Return every model with its licence, size and whether it can run here. Reads no weights."""
    return [_status(item) for item in all_models().values()]


def _status(item: ModelEntry) -> ModelStatus:
    needed = with_needs(item)
    missing = sorted({file.package.name for file in needed if isinstance(file, WeightFile) and not is_installed(file)})
    gone = [f"{file.folder}/{file.path}" for file in needed if isinstance(file, FolderFile) and not is_installed(file)]
    absent = sorted({name for name in item.imports if find_spec(name) is None})
    problems = [f"{', '.join(missing)} missing: prismhouse models install {item.name}"] if missing else []
    if gone:
        problems.append(f"{', '.join(gone)} missing or changed since this process started")
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
        packages=tuple(dict.fromkeys(origin_of(file) for file in needed)),
        installed=not problems,
        problem="; ".join(problems) or None,
    )


def with_needs(item: ModelEntry) -> list[AnyFile]:
    """Return the weight files of a model and of the models it needs, each once."""
    needed = list(item.files.values())
    for name in item.needs:
        needed += with_needs(entry(name))
    return list(dict.fromkeys(needed))
