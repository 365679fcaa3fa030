"""Models that users uploaded: unpacked by the hash of their archive where they are needed, and tried out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.archive import ArchiveRefused, unpack
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.errors import ModelNotFound
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


def _open(folder: Path, lent: LentModel, threads: int, cache_dir: Path) -> TextModel:
    try:
        item = SentenceTransformers(path=str(folder), title=lent.title).entry(lent.name, folder)
    except WrongKey as wrong:
        raise UploadedModelBroken(model=lent.title, reason=f"{wrong.reason}.".replace(f"{folder}/", "")) from wrong
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"its folder cannot be read ({type(error).__name__}: {error})."
        raise UploadedModelBroken(model=lent.title, reason=reason) from error
    if lent.dimensions not in (0, item.dimensions):
        raise UploadedModelBroken(model=lent.title, reason=f"it has {item.dimensions} dimensions.")
    module, function = item.loader.split(":")
    model: TextModel = getattr(importlib.import_module(module), function)(item, threads, cache_dir)
    return model


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
