"""YAMNet: a vector of 1024 numbers and the scores of 521 AudioSet classes for each second of sound."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.kept import kept
from prismhouse.engine.inference.registry import ModelEntry
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.weights import read_verified, verified

__all__ = ["SAMPLE_RATE", "Yamnet", "load"]

SAMPLE_RATE = 16_000
_GRAPH = "job_jpev7z175_optimized_onnx/model.onnx"
_GRAPH_REVISION = 1
_SCORES, _FEATURES, _BATCH = "class_scores_updated", "/model/Reshape_output_0_qdq", 32
_FRAME, _STEP, _FFT, _BANDS = 400, 160, 512, 64
_PATCH, _PATCH_STEP = 96, 48
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Means over a sound: `features (1024,)`, not of unit length, and the probability of each class."""

    features: FloatArray
    probabilities: FloatArray


class Yamnet:
    """A loaded model. Safe to call from several threads. `classes` are names in the order of the probabilities."""

    dimensions = 1024

    def __init__(self, graph: bytes, classes: Sequence[str], threads: int) -> None:
        self._session = open_session(graph, threads)
        described = self._session.get_modelmeta().custom_metadata_map
        self._scale, self._zero = float(described["scale"]), float(described["zero"])
        self.classes = tuple(classes)

    def hear(self, samples: FloatArray) -> Heard:
        """Return what is heard in `(n,)` samples in [-1, 1], one channel at 16 kHz; some seconds, at least one."""
        patches = _patches(samples)
        features, scores = [], []
        for start in range(0, len(patches), _BATCH):
            stored = np.clip(np.round(patches[start : start + _BATCH] / self._scale + self._zero), 0, 255)
            made = self._session.run([_FEATURES, _SCORES], {"audio": stored.astype(np.uint8)})
            features.append(made[0])
            scores.append(1 / (1 + np.exp(-made[1].astype(np.float64))))
        return Heard(
            features=np.concatenate(features).mean(axis=0).astype(np.float32),
            probabilities=np.concatenate(scores).mean(axis=0).astype(np.float32),
        )


def _patches(samples: FloatArray) -> FloatArray:
    """Return `(n, 1, 96, 64)`: spectra of 0.96 s, one each 0.48 s; what is shorter is followed by silence."""
    padded = np.pad(samples, (0, max(0, _FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_STEP]
    window = np.hanning(_FRAME + 1)[:_FRAME].astype(np.float32)
    spectrum = np.log(np.abs(np.fft.rfft(frames * window, _FFT)) @ _bands() + _FLOOR).astype(np.float32)
    if len(spectrum) < _PATCH:
        spectrum = np.pad(spectrum, ((0, _PATCH - len(spectrum)), (0, 0)), constant_values=np.log(_FLOOR))
    starts = range(0, len(spectrum) - _PATCH + 1, _PATCH_STEP)
    return np.stack([spectrum[start : start + _PATCH] for start in starts])[:, None]


@cache
def _bands() -> FloatArray:
    """Return the triangular filters of the mel scale, `(257, 64)`, from 125 to 7500 Hz."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (125.0, 7500.0))
    points = 700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1)
    hertz = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)[:, None]
    rising = (hertz - points[None, :-2]) / np.diff(points)[None, :-1]
    falling = (points[None, 2:] - hertz) / np.diff(points)[None, 1:]
    filters: FloatArray = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> Yamnet:
    """Return the model; the first call writes its graph to `cache_dir`, for any number of patches at once.

    Raises ExtraMissing, ModelMissing or ModelDamaged.
    """
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    lines = read_verified(entry.files["class_names"], entry.name).decode()
    names = [line["display_name"] for line in csv.DictReader(io.StringIO(lines))]
    path = cache_dir / f"{entry.name}-{entry.files['weights'].sha256[:12]}-{_GRAPH_REVISION}.bin"
    return Yamnet(kept(path, lambda: _graph(verified(entry.files["weights"], entry.name))), names, threads)


def _graph(archive: Path) -> bytes:
    """Return the graph with its features and scores as floats, and its weights inside."""
    import onnx
    from onnx import helper, numpy_helper

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)  # the archive is the very one that was pinned
        model = onnx.load(str(Path(folder) / _GRAPH))
    graph = model.graph
    stored: dict[str, Any] = {one.name: one for one in graph.initializer}
    for key, name in (("scale", "audio_scale"), ("zero", "audio_zero_point")):
        model.metadata_props.add(key=key, value=str(float(numpy_helper.to_array(stored[name]))))
    del graph.output[:], graph.value_info[:]
    for name, width in ((_FEATURES, 1024), (_SCORES, 521)):
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", width]))
    graph.node.remove(graph.node[-1])
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    for node in graph.node:
        if node.op_type == "Reshape" and node.output[0] == "/model/Reshape_output_0":
            node.input[1] = "any_number"
    graph.initializer.append(numpy_helper.from_array(np.array([-1, 1024], np.int64), "any_number"))
    made: bytes = model.SerializeToString()
    return made
