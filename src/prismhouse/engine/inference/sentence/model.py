"""A model of sentences from ONNX weights: tokens, network, pooling, dense layers, unit length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.errors import DeviceUnusable, ModelUnfit
from prismhouse.engine.inference.graph import fixed_length, fixed_rows, run_rows
from prismhouse.engine.inference.port import TextVectors
from prismhouse.engine.inference.session import open_session, require
from prismhouse.engine.inference.tokens import GROUP_TEXTS, TokenBatch, Tokens, batches, padded
from prismhouse.engine.inference.weights import read_verified, verified

__all__ = ["SentenceModel", "load"]

_LONGEST = 512
_TOKEN_AXES = 3
_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_POOLED = ("sentence_embedding", "text_embeds", "pooler_output")
_FEW = 1e-9


@dataclass(frozen=True, slots=True)
class _Dense:
    weight: FloatArray
    bias: FloatArray | None
    activation: str

    def __call__(self, vectors: FloatArray) -> FloatArray:
        made: FloatArray = vectors @ self.weight.T
        return _ACTIVATIONS[self.activation](made if self.bias is None else made + self.bias)


class SentenceModel:
    """A loaded model. Safe to call from several threads. Queries and passages have a prompt each."""

    def __init__(self, entry: ModelEntry, session: Any, tokens: Tokens, dense: Sequence[_Dense] = ()) -> None:
        self.dimensions = entry.dimensions
        self._name = entry.name
        self._options = entry.options
        self._session = session
        self._tokens = tokens
        self._dense = dense
        self._rows, self._length = fixed_rows(session), fixed_length(session)
        self._inputs = {one.name: one.type for one in session.get_inputs()}
        if unknown := [name for name in self._inputs if name not in _INPUTS]:
            reason = f"its graph asks for {', '.join(unknown)}, and is given {', '.join(_INPUTS)}"
            raise ModelUnfit(model=entry.name, reason=reason)
        shapes = {one.name: len(one.shape or ()) for one in session.get_outputs()}
        self._output = next((name for name, axes in shapes.items() if axes == _TOKEN_AXES), "")
        self._is_pooled = not self._output
        if self._is_pooled:
            self._output = next((name for name in _POOLED if name in shapes), next(iter(shapes)))

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32 of passages, rows of unit length, in the order of the texts."""
        return self.embed_texts(texts).vectors

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return vectors of passages and, for each, whether its end was not read."""
        return self._embed(texts, self._options["passage_prompt"])

    def embed_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32 of queries, rows of unit length, in the order of the texts."""
        return self._embed(texts, self._options["query_prompt"]).vectors

    def _embed(self, texts: Sequence[str], prompt: str) -> TextVectors:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        truncated = np.zeros(len(texts), np.bool_)
        unpooled = self._prompt_tokens(prompt)
        for start in range(0, len(texts), GROUP_TEXTS):
            encoded = [self._tokens.encode(self._written(prompt + text)) for text in texts[start : start + GROUP_TEXTS]]
            truncated[start : start + len(encoded)] = [cut for _, cut in encoded]
            for batch in batches([self._length or len(ids) for ids, _ in encoded], rows=self._rows):
                rows = [encoded[place][0] for place in batch]
                vectors[[start + place for place in batch]] = self._run(rows, unpooled)
        return TextVectors(vectors=vectors, truncated=truncated)

    def _written(self, text: str) -> str:
        text = text.strip()
        return text.lower() if self._options["lower_case"] else text

    def _prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens at the start are left out of the pooling: the prompt's, without its closing one."""
        if self._options["pools_prompt"] or not prompt:
            return 0
        return max(0, len(self._tokens.encode(self._written(prompt))[0]) - 1)

    def _run(self, rows: Sequence[list[int]], unpooled: int) -> FloatArray:
        batch = padded(rows, length=self._length)
        made = run_rows(self._session, self._output, self._given(batch))
        if not self._is_pooled:
            mask = batch.mask.copy()
            mask[:, :unpooled] = 0
            made = np.concatenate([_POOLINGS[mode](made, mask) for mode in self._options["pooling"]], axis=1)
        for layer in self._dense:
            made = layer(made)
        if made.shape[1] != self.dimensions:
            reason = f"its graph gives {made.shape[1]} dimensions, and its folder says {self.dimensions}"
            raise ModelUnfit(model=self._name, reason=reason)
        unit: FloatArray = made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        return unit

    def _given(self, batch: TokenBatch) -> dict[str, npt.NDArray[Any]]:
        given = {
            "input_ids": batch.tokens,
            "attention_mask": batch.mask,
            "token_type_ids": np.zeros_like(batch.tokens),
            "position_ids": np.maximum(batch.mask.cumsum(axis=1) - 1, 0),
        }
        kinds = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
        return {name: given[name].astype(kinds.get(kind, np.int64)) for name, kind in self._inputs.items()}


def _mean(hidden: FloatArray, mask: npt.NDArray[np.int64]) -> FloatArray:
    weights = mask[..., None].astype(np.float32)
    mean: FloatArray = (hidden * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), _FEW)
    return mean


def _max(hidden: FloatArray, mask: npt.NDArray[np.int64]) -> FloatArray:
    highest: FloatArray = np.where(mask[..., None] > 0, hidden, np.float32(-1e9)).max(axis=1)
    return highest


def _first(hidden: FloatArray, mask: npt.NDArray[np.int64]) -> FloatArray:
    first: FloatArray = hidden[np.arange(len(hidden)), mask.argmax(axis=1)]
    return first


def _last(hidden: FloatArray, mask: npt.NDArray[np.int64]) -> FloatArray:
    places = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    last: FloatArray = hidden[np.arange(len(hidden)), places]
    return last


def _gelu(values: FloatArray) -> FloatArray:
    bent: FloatArray = (values * 0.5 * (1 + np.vectorize(erf)(values / sqrt(2)))).astype(np.float32)
    return bent


_POOLINGS: Mapping[str, Callable[[FloatArray, npt.NDArray[np.int64]], FloatArray]] = {
    "cls": _first,
    "max": _max,
    "mean": _mean,
    "lasttoken": _last,
}
_ACTIVATIONS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "identity": lambda values: values,
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0),
    "gelu": _gelu,
}


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> SentenceModel:  # noqa: ARG001 - the loader's signature
    """Return the model; raise ExtraMissing, ModelFileGone, ModelFileChanged or ModelUnfit."""
    require(entry.imports, extra=entry.extra, needed_for=entry.title)
    tokenizer = read_verified(entry.files["tokenizer"], entry.name)
    if "graph_data" in entry.files:
        verified(entry.files["graph_data"], entry.name)
    graph = verified(entry.files["graph"], entry.name)  # as a path: weights beside the graph are found from it
    dense = [
        _dense(read_verified(entry.files[f"dense.{number}"], entry.name), layer["activation"])
        for number, layer in enumerate(entry.options["dense"])
    ]
    try:
        session = open_session(graph, threads)
        longest = entry.max_tokens or _LONGEST
        tokens = Tokens(tokenizer, min(longest, fixed_length(session) or longest))
    except DeviceUnusable:
        raise
    except Exception as error:
        # Whatever onnxruntime and tokenizers raise is about these files.
        raise ModelUnfit(model=entry.name, reason=f"{type(error).__name__}: {error}") from error
    return SentenceModel(entry, session, tokens, dense)


def _dense(stored: bytes, activation: str) -> _Dense:
    from safetensors.numpy import load as read_tensors

    tensors = {name: tensor.astype(np.float32) for name, tensor in read_tensors(stored).items()}
    return _Dense(tensors["linear.weight"], tensors.get("linear.bias"), activation)
