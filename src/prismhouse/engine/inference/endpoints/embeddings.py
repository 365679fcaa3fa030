"""Texts to vectors by `POST /embeddings`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.endpoints.client import Client, Clock
from prismhouse.engine.inference.endpoints.place import Place
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.port import TextVectors

__all__ = ["EmbeddingsEndpoint", "load"]

_ANSWER_BYTES = 1 << 20
_BYTES_OF_A_NUMBER = 48
_TINY = 1e-12
_LARGEST = 1e30


class EmbeddingsEndpoint:
    """Implements `TextModel`. Raises EndpointBusy, EndpointRefused or EndpointWrong."""

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self._place = place
        self._client = Client(place, clock)

    @property
    def dimensions(self) -> int:
        """Of its vectors."""
        return self._place.dimensions

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the texts: those of texts that are found."""
        return self.embed_texts(texts).vectors

    def embed_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return the vectors of texts that are searched with."""
        return self._vectors([(self._place.query_prompt + text)[: self._place.max_characters] for text in texts])

    def embed_texts(self, texts: Sequence[str]) -> TextVectors:
        """Return the vectors of texts that are found, and which texts were cut off."""
        whole = [self._place.passage_prompt + text for text in texts]
        most = self._place.max_characters
        return TextVectors(
            vectors=self._vectors([text[:most] for text in whole]),
            truncated=np.array([len(text) > most for text in whole], np.bool_),
        )

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _vectors(self, texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.zeros((0, self._place.dimensions), np.float32)
        return np.concatenate(self._client.each(self._ask, list(self._requests(texts))))

    def _requests(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Yield texts that go together, in order."""
        together: list[str] = []
        size = 0
        for text in texts:
            full = len(together) == self._place.batch_inputs or size + len(text) > self._place.batch_characters
            if together and full:
                yield together
                together, size = [], 0
            together.append(text)
            size += len(text)
        yield together

    async def _ask(self, texts: list[str]) -> FloatArray:
        body: dict[str, Any] = {"model": self._place.model, "input": texts}
        if self._place.request_dimensions:
            body["dimensions"] = self._place.dimensions
        limit = _ANSWER_BYTES + len(texts) * self._place.dimensions * _BYTES_OF_A_NUMBER
        return self._read(await self._client.post("/embeddings", body, answer_bytes=limit), len(texts))

    def _read(self, answer: Any, count: int) -> FloatArray:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
            raise self._client.wrong("its answer has no list `data` of embeddings")
        if len(data) != count:
            raise self._client.wrong(f"it gives {len(data)} vectors for {count} texts")
        places = [one.get("index", place) for place, one in enumerate(data)]
        if any(type(place) is not int for place in places) or sorted(places) != list(range(count)):
            raise self._client.wrong("the `index` of its vectors does not count the texts")
        rows: list[Any] = [None] * count
        for place, one in zip(places, data, strict=True):
            rows[place] = self._row(one.get("embedding"))
        return np.stack(rows)

    def _row(self, numbers: Any) -> FloatArray:
        if not isinstance(numbers, list) or any(type(one) not in (int, float) for one in numbers):
            raise self._client.wrong("a vector in its answer is not a list of numbers")
        if len(numbers) != self._place.dimensions:
            raise self._client.wrong(
                f"its vectors have {len(numbers)} dimensions, and its table says {self._place.dimensions};"
                " set dimensions to what it gives"
            )
        row = np.array(numbers, np.float64)
        if not np.isfinite(row).all() or np.abs(row).max() > _LARGEST:
            raise self._client.wrong("a vector in its answer holds numbers that are not finite")
        if (length := float(np.linalg.norm(row))) < _TINY:
            raise self._client.wrong("a vector in its answer is all zeros, which has no direction")
        return (row / length).astype(np.float32)


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> EmbeddingsEndpoint:  # noqa: ARG001 - the loader's signature
    """Return the model. Nothing is asked of its server before it is used."""
    return EmbeddingsEndpoint(Place(name=entry.name, **entry.options))
