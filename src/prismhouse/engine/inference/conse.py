"""Images in the text space: an image's vector is the mean of its labels' text vectors, weighted by probability.

Text and images share MiniLM's 384 dimensions, so a text query finds pictures of what ImageNet can name. It is
blind to what has no label there (colours, shapes, people). Source: Norouzi et al., ConSE, ICLR 2014.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.efficientnet import EfficientNet
from prismhouse.engine.inference.kept import kept
from prismhouse.engine.inference.minilm import MiniLM
from prismhouse.engine.inference.port import TextVectors
from prismhouse.engine.inference.registry import EFFICIENTNET, MINILM, ModelEntry
from prismhouse.engine.inference.registry import entry as model_entry

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Conse", "Sight", "load"]

_LABELS_MIXED = 20
_PROMPT = "a photo of a {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen in n images.

    Attributes:
        text_space: `(n, 384)`, rows of unit length, comparable with text vectors.
        visual: `(n, 1280)`, rows of unit length, for image to image search.
        labels: per image, the five likeliest labels with their probability, likeliest first.
    """

    text_space: FloatArray
    visual: FloatArray
    labels: list[list[tuple[str, float]]]


class Conse:
    """Both models and the label vectors. Safe to call from several threads."""

    dimensions = 384

    def __init__(self, text: MiniLM, vision: EfficientNet, label_vectors: FloatArray) -> None:
        self.text = text
        self.vision = vision
        self._label_vectors = label_vectors

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, 384)` text vectors, rows of unit length."""
        return self.text.embed(texts)

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return vectors and, for each text, whether its end was not read."""
        return self.text.embed_texts(texts)

    def embed_images(self, images: Sequence[Image]) -> FloatArray:
        """Return `(n, 384)` vectors of RGB images in the text space, rows of unit length."""
        return self.see(images).text_space

    def see(self, images: Sequence[Image]) -> Sight:
        """Return both vectors and the labels of RGB images."""
        looked = self.vision.look(images)
        likeliest = np.argsort(-looked.probabilities, axis=1)[:, :_LABELS_MIXED]
        weights = np.take_along_axis(looked.probabilities, likeliest, axis=1)
        mixed = np.einsum("nk,nkd->nd", weights, self._label_vectors[likeliest])
        norms = np.linalg.norm(mixed, axis=1, keepdims=True)
        text_space = (mixed / norms).astype(np.float32)
        return Sight(text_space=text_space, visual=looked.features, labels=self.vision.labels(looked))


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> Conse:
    """Return the bridge over the process's own copies of both models."""
    from prismhouse.engine.inference.loaded import loaded

    text = loaded(MINILM, threads=threads, cache_dir=cache_dir)
    vision = loaded(EFFICIENTNET, threads=threads, cache_dir=cache_dir)
    return Conse(text, vision, _label_vectors(entry, text, vision.class_names, cache_dir))


def _label_vectors(entry: ModelEntry, text: MiniLM, names: Sequence[str], cache_dir: Path) -> FloatArray:
    """Return `(1000, 384)`; embedding the names takes a second or two, so they are kept in a file."""
    prompts = [_PROMPT.format(name) for name in names]
    weights = model_entry(MINILM).files["weights"].sha256
    key = hashlib.sha256("\n".join([weights, *prompts]).encode()).hexdigest()[:12]
    path = cache_dir / f"{entry.name}-labels-{key}.bin"
    stored = kept(path, lambda: text.embed(prompts).tobytes())
    return np.frombuffer(stored, np.float32).reshape(len(names), text.dimensions)
