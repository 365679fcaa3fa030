"""EfficientNet-Lite2: an image to 1280-d visual features and 1000 ImageNet label scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.efficientnet_graph import RESOLUTION, build_graph
from prismhouse.engine.inference.kept import kept
from prismhouse.engine.inference.registry import ModelEntry
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.weights import read_verified, verified

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["EfficientNet", "ImageVectors", "load"]

_BATCH_IMAGES = 4
_CENTRE_CROP = 0.95
_LABELS_TOLD = 5
_GRAPH_REVISION = 1
"""Part of the converted file's name: raise it when `build_graph` changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVectors:
    """Per image: `features (n, 1280)` of unit length, `probabilities (n, 1000)` that sum to one."""

    features: FloatArray
    probabilities: FloatArray


class EfficientNet:
    """A loaded model. Safe to call from several threads."""

    dimensions = 1280

    def __init__(self, graph: bytes, class_names: Sequence[str], threads: int) -> None:
        self._session = open_session(graph, threads)
        self.class_names = tuple(class_names)

    def embed_images(self, images: Sequence[Image]) -> FloatArray:
        """Return `(n, 1280)` float32, rows of unit length."""
        return self.look(images).features

    def look(self, images: Sequence[Image]) -> ImageVectors:
        """Return features and label probabilities of RGB images. Cost: about 25 ms an image on one core."""
        features = np.zeros((len(images), self.dimensions), np.float32)
        probabilities = np.zeros((len(images), len(self.class_names)), np.float32)
        for start in range(0, len(images), _BATCH_IMAGES):
            batch = slice(start, start + _BATCH_IMAGES)
            pixels = np.stack([_pixels(image) for image in images[batch]])
            seen, logits = self._session.run(["features", "logits"], {"image": pixels})
            features[batch] = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-12)
            exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
            probabilities[batch] = exponents / exponents.sum(axis=1, keepdims=True)
        return ImageVectors(features=features, probabilities=probabilities)

    def labels(self, looked: ImageVectors) -> list[list[tuple[str, float]]]:
        """Return, for each image, the five likeliest labels with their probability, likeliest first."""
        likeliest = np.argsort(-looked.probabilities, axis=1)[:, :_LABELS_TOLD]
        return [
            [(self.class_names[place], round(float(row[place]), 4)) for place in places]
            for places, row in zip(likeliest, looked.probabilities, strict=True)
        ]


def _pixels(image: Image) -> FloatArray:
    """Return `(3, 260, 260)` float32: the centre, scaled as the network was trained."""
    from PIL.Image import Resampling

    width, height = image.size
    side = max(1, int(min(width, height) * _CENTRE_CROP))
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    scaled = image.resize((RESOLUTION, RESOLUTION), Resampling.BICUBIC, box=box, reducing_gap=3.0)
    pixels = np.asarray(scaled, np.float32)
    return ((pixels - np.float32(127)) / np.float32(128)).transpose(2, 0, 1)


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> EfficientNet:
    """Return the model; the first call turns the weights into an ONNX file in `cache_dir`.

    Raises ExtraMissing, ModelMissing or ModelDamaged.
    """
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    names = json.loads(read_verified(entry.files["class_names"], entry.name))
    path = cache_dir / f"{entry.name}-{entry.files['weights'].sha256[:12]}-{_GRAPH_REVISION}.bin"
    graph = kept(path, lambda: build_graph(verified(entry.files["weights"], entry.name)))
    return EfficientNet(graph, names, threads)
