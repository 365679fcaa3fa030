"""Models that users uploaded: unpacked by the hash of their archive where they are needed, and tried out."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.archive import ArchiveRefused, unpack
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.errors import ModelFileChanged, ModelFileGone, ModelNotFound, ModelUnfit
from prismhouse.engine.inference.kind import WrongKey
from prismhouse.engine.inference.lent import LentModel, lending, lent_model
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import TextModel
from prismhouse.engine.inference.sentence.table import SentenceTransformers

__all__ = ["FOLDER", "Probed", "UploadedModelBroken", "embed_queries", "load", "probe", "refusal"]

FOLDER = "uploaded"
"""Below the cache folder: one folder for each archive, named by its hash."""

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".msgpack", ".h5", ".keras")
_WEIGHTS = {"onnx": (".onnx",), "safetensors": (".safetensors",), "huggingface": (".onnx", ".safetensors")}
_INSTEAD = "save the weights as .safetensors or export them to .onnx, and leave the other files out"
_PROBES = ("A cat sleeps on the sofa.", "Quarterly revenue rose by four percent.")
_LEAST_DIFFERENCE = 1e-4
_MOST_DIMENSIONS = 16_000
_MODULES = "sentence_transformers."
_MODULES_BYTES = 1 << 20


class UploadedModelBroken(ArchiveRefused):
    """The model {model} does not work: {reason}"""

    hint = "Correct the files, and upload the model as another version."
    wire_code = "model_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What loading a model once has shown."""

    dimensions: int


def refusal(files: Sequence[str], model_format: str) -> str | None:
    """Return why files of these names are no model of this format that is taken here, or None."""
    if model_format == "pytorch":
        return f"pytorch files hold pickled code, which would run when they are read; {_INSTEAD}"
    if pickles := [name for name in files if name.lower().endswith(_PICKLES)]:
        return f"{pickles[0]} may hold pickled code, which would run when it is read; {_INSTEAD}"
    wanted = _WEIGHTS[model_format]
    if not any(name.endswith(wanted) for name in files):
        return f"a model of the format {model_format} holds a file {' or '.join('*' + end for end in wanted)}"
    for name in ("tokenizer.json", "config.json"):
        if not any(Path(one).name == name for one in files):
            return f"{name} is missing beside the weights"
    return None


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> TextModel:
    """Return a lent model; its archive is unpacked unless that was done here before.

    Raises:
        ArchiveRefused: the archive cannot be unpacked.
        UploadedModelBroken: no model comes out of it.
    """
    lent = lent_model(entry.name)
    if lent is None:
        raise ModelNotFound(model=entry.name, known="")
    return _open(_unpacked(lent, cache_dir), lent, threads, cache_dir)


def _unpacked(lent: LentModel, cache_dir: Path) -> Path:
    folder = cache_dir / FOLDER / lent.sha256
    if not folder.is_dir():
        if lent.archive is None:
            raise UploadedModelBroken(model=lent.title, reason="its archive is gone.")
        unpack(lent.archive, folder, lent.limits, sha256=lent.sha256)
    return folder


def _check_modules(folder: Path, lent: LentModel) -> None:
    """Refuse modules that would be looked for outside the folder, or imported from somewhere: a user wrote the file."""
    path = folder / "modules.json"
    if not path.is_file():
        return
    if path.stat().st_size > _MODULES_BYTES:
        raise UploadedModelBroken(model=lent.title, reason="modules.json is too long.")
    for module in json.loads(path.read_text("utf-8")):
        place, kind = Path(module.get("path", "")), module.get("type", "")
        if place.is_absolute() or ".." in place.parts or not kind.startswith(_MODULES):
            reason = f"modules.json names {str(place)[:80]!a} of {str(kind)[:80]!a}, which is not taken."
            raise UploadedModelBroken(model=lent.title, reason=reason)


def _open(folder: Path, lent: LentModel, threads: int, cache_dir: Path) -> TextModel:
    try:
        _check_modules(folder, lent)
        item = SentenceTransformers(path=str(folder), title=lent.title).entry(lent.name, folder)
    except WrongKey as wrong:
        raise _broken(lent, folder, f"{wrong.reason}.") from wrong
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(lent, folder, f"its folder cannot be read ({type(error).__name__}: {error}).") from error
    if lent.dimensions not in (0, item.dimensions):
        raise UploadedModelBroken(model=lent.title, reason=f"it has {item.dimensions} dimensions.")
    module, function = item.loader.split(":")
    try:
        model: TextModel = getattr(importlib.import_module(module), function)(item, threads, cache_dir)
    except ModelUnfit as error:
        raise _broken(lent, folder, str(error.details["reason"])) from error
    except (ModelFileGone, ModelFileChanged) as error:
        raise _broken(lent, folder, error.message) from error
    return model


def _broken(lent: LentModel, folder: Path, reason: str) -> UploadedModelBroken:
    """Return the fault as its owner may see it: without the folders of this machine."""
    for above in (folder, *folder.parents[:-1]):
        reason = reason.replace(f"{above}/", "").replace(str(above), "its folder")
    return UploadedModelBroken(model=lent.title, reason=reason)


def probe(lent: LentModel, threads: int, cache_dir: str) -> Probed:
    """Load a model and have it embed two texts; raise UploadedModelBroken with what is wrong with it."""
    vectors = embed_queries(lent, list(_PROBES), threads, cache_dir)
    fault = _fault(vectors)
    if fault is not None:
        raise UploadedModelBroken(model=lent.title, reason=fault)
    return Probed(dimensions=vectors.shape[1])


def _fault(vectors: FloatArray) -> str | None:
    if vectors.ndim != 2 or len(vectors) != len(_PROBES) or not 0 < vectors.shape[1] <= _MOST_DIMENSIONS:
        return f"two texts gave an array of shape {vectors.shape}."
    if not np.isfinite(vectors).all() or not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        return "its vectors hold no numbers, or have no direction."
    if np.abs(vectors[0] - vectors[1]).max() < _LEAST_DIFFERENCE:
        return "two unlike texts gave the same vector."
    return None


def embed_queries(lent: LentModel, texts: Sequence[str], threads: int, cache_dir: str) -> FloatArray:
    """Return `(n, d)` float32, rows of unit length; the entry point of compute processes for queries."""
    with lending([lent]):
        model: Any = loaded(lent.name, threads=threads, cache_dir=Path(cache_dir).expanduser())
        embed: Callable[[Sequence[str]], FloatArray] = getattr(model, "embed_queries", model.embed)
        return embed(texts)
