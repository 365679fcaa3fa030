"""all-MiniLM-L6-v2: text to 384-d unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.port import TextVectors
from prismhouse.engine.inference.registry import ModelEntry
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.tokens import GROUP_TEXTS, Tokens, batches, padded
from prismhouse.engine.inference.weights import read_verified

__all__ = ["MiniLM", "load"]

_MAX_TOKENS = 256


class MiniLM:
    """A loaded model. Safe to call from several threads."""

    dimensions = 384

    def __init__(self, weights: bytes, tokenizer: bytes, threads: int) -> None:
        self._session = open_session(weights, threads)
        self._tokens = Tokens(tokenizer, _MAX_TOKENS)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, 384)` float32, rows of unit length, in the order of the texts.

        A text is read up to its 256th token. Cost: about 20 ms a text of 100 tokens on one core.
        """
        return self.embed_texts(texts).vectors

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return vectors and, for each text, whether its end was not read."""
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        truncated = np.zeros(len(texts), np.bool_)
        for start in range(0, len(texts), GROUP_TEXTS):
            encoded = [self._tokens.encode(text) for text in texts[start : start + GROUP_TEXTS]]
            truncated[start : start + len(encoded)] = [cut for _, cut in encoded]
            for batch in batches([len(ids) for ids, _ in encoded]):
                vectors[[start + place for place in batch]] = self._run([encoded[place][0] for place in batch])
        return TextVectors(vectors=vectors, truncated=truncated)

    def _run(self, rows: Sequence[list[int]]) -> FloatArray:
        batch = padded(rows)
        inputs = {
            "input_ids": batch.tokens,
            "attention_mask": batch.mask,
            "token_type_ids": np.zeros_like(batch.tokens),
        }
        hidden = self._session.run(None, inputs)[0]
        weights = batch.mask[..., None].astype(np.float32)
        mean = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        unit: FloatArray = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> MiniLM:  # noqa: ARG001 - the loader's signature
    """Return the model, its files verified; raise ExtraMissing, ModelMissing or ModelDamaged."""
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    weights = read_verified(entry.files["weights"], entry.name)
    return MiniLM(weights, read_verified(entry.files["tokenizer"], entry.name), threads)
