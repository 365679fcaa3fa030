"""One vector for a text of any length: the mean over its portions, each as long as the model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prismhouse.engine.extractors.definition import Resources
from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM

__all__ = ["TextVector", "mean_vector", "portions", "text_vectors"]

_PORTION_CHARACTERS = 700
_MOST_PORTIONS = 16
"""What is behind about 11,000 characters of one text does not change its vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVector:
    """The vector of a text, `(384,)` of unit length; None for a blank one. `truncated`: some of it was not read."""

    vector: FloatArray | None
    truncated: bool = False


def text_vectors(texts: Sequence[str], resources: Resources) -> list[TextVector]:
    """Return the vectors of texts, in their order, in MiniLM's space."""
    cut = [list(portions(text)) for text in texts]
    given = [piece for pieces in cut for piece in pieces[:_MOST_PORTIONS]]
    if not given:
        return [TextVector(vector=None) for _ in texts]
    model = loaded(MINILM, threads=resources.threads, cache_dir=resources.cache_dir)
    made = model.embed_texts(given)
    found, start = [], 0
    for pieces in cut:
        end = start + min(len(pieces), _MOST_PORTIONS)
        weights = [len(piece) for piece in pieces[: end - start]]
        vector = mean_vector(made.vectors[start:end], weights) if pieces else None
        missed = len(pieces) > _MOST_PORTIONS or bool(made.truncated[start:end].any())
        found.append(TextVector(vector=vector, truncated=missed))
        start = end
    return found


def mean_vector(vectors: Sequence[FloatArray] | FloatArray, weights: Sequence[float] | None = None) -> FloatArray:
    """Return the direction of the mean of vectors, `(d,)` of unit length; one of zeros stays as it is."""
    mean = np.average(np.asarray(vectors), axis=0, weights=weights)
    length = float(np.linalg.norm(mean))
    return (mean / length if length > 0 else mean).astype(np.float32)


def portions(text: str) -> Iterator[str]:
    """Yield a text in pieces of at most 700 characters, cut at white space where there is some; no blank ones."""
    start = 0
    while start < len(text):
        end = start + _PORTION_CHARACTERS
        if end < len(text):
            space = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
            end = space if space > 0 else end
        if piece := text[start:end].strip():
            yield piece
        start = end
