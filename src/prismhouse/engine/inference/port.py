"""What a model must offer. A loader named by a `ModelEntry` returns one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from prismhouse.engine.extractors.port import FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageModel", "TextModel", "TextVectors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVectors:
    """Vectors `(n, d)`, rows of unit length, and which texts were longer than the model reads."""

    vectors: FloatArray
    truncated: npt.NDArray[np.bool_]


class TextModel(Protocol):
    """Texts to vectors. Called from several threads at once."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the texts."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return the same, and which texts were cut off. Memory is bounded whatever the texts are."""
        ...


class ImageModel(Protocol):
    """RGB images to vectors. Called from several threads at once."""

    def embed_images(self, images: Sequence[Image]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the images."""
        ...
