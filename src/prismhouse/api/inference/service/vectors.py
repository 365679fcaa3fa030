"""Texts to vectors, as queries are embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.batches.service.parts import ExtractorSettings
from prismhouse.api.inference.service.asked import Asked, Told
from prismhouse.api.inference.service.pool import Pool
from prismhouse.api.inference.service.recall import Recall
from prismhouse.api.models.service import EMBED_QUERIES, PREFIX, Lender
from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.query import QueryEmbedder

__all__ = ["Vectors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """Embeds texts: by a model that all know here, by one of the namespace in a process that can be killed."""

    recall: Recall
    embedder: QueryEmbedder
    pool: Pool
    extraction: ExtractorSettings
    warm_seconds: float
    models: Lender | None = None

    async def answer(self, asked: Asked) -> Told:
        """Return a vector for each text of a request; those that are known are not made again."""

        async def make(texts: Sequence[str]) -> list[Any]:
            rows: list[Any] = (await self._embedded(asked, texts)).tolist()
            return rows

        return await self.recall.answer(asked, make)

    async def _embedded(self, asked: Asked, texts: Sequence[str]) -> FloatArray:
        name = asked.entry.name
        if self.models is None or not name.startswith(PREFIX):
            await self.embedder.warm(name, patience_seconds=self.warm_seconds)
            return await self.embedder.embed(name, texts, share=asked.share, remember=False)
        given = self.extraction
        async with self.models.held(asked.scope.namespace_id, {"embedding_model": name}) as lent:
            vectors: FloatArray = await self.pool.run(
                EMBED_QUERIES, *lent, list(texts), given.threads, given.cache_dir, model=name, share=asked.share
            )
        return vectors
