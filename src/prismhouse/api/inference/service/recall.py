"""Texts that were answered before, or are near to one that was: a model is asked for the others alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prismhouse.api.inference.service.asked import Asked, Told
from prismhouse.api.inference.service.cache import AnswerCache
from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.query import QueryEmbedder
from prismhouse.engine.inference.registry import MINILM, check_installed
from prismhouse.kit.errors import WarehouseError

__all__ = ["Recall"]

_NEAR_CHARS = 800
"""Longer texts are compared whole or not at all: the model that says what is near reads no further than 256 tokens."""


class Recall:
    """Gives answers of the cache, and keeps there what is made."""

    def __init__(self, cache: AnswerCache, embedder: QueryEmbedder) -> None:
        self._cache = cache
        self._embedder = embedder

    async def answer(
        self, asked: Asked, make: Callable[[Sequence[str]], Awaitable[Sequence[Any]]], *, beside: bytes = b""
    ) -> Told:
        """Return an answer for each text of a request.

        Args:
            asked: the request.
            make: returns an answer for each text that none is known for.
            beside: a picture that all texts are about.
        """
        texts = asked.inputs.texts
        known: dict[str, Any] = {}
        places: dict[str, FloatArray] = {}
        if asked.delta is not None:
            known = await self._exact(asked, texts, beside)
            if not beside:
                places = await self._places(asked, [text for text in texts if text not in known])
            known |= await self._near(asked, places)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            made = dict(zip(missing, await make(missing), strict=True))
            known |= made
            for text in made if asked.delta is not None else ():
                self._cache.keep(asked.about_text(_bytes(text, beside)), made[text], vector=places.get(text))
        answers = [known[text] for text in texts]
        return Told(answers if asked.inputs.is_many else answers[0], cached=not missing)

    async def _exact(self, asked: Asked, texts: Sequence[str], beside: bytes) -> dict[str, Any]:
        """Return the answers to the very texts; for these no model is asked what is near."""
        known = {}
        for text in dict.fromkeys(texts):
            if (found := self._cache.find(asked.about_text(_bytes(text, beside)))) is not None:
                known[text] = found
            await asyncio.sleep(0)
        return known

    async def _near(self, asked: Asked, places: dict[str, FloatArray]) -> dict[str, Any]:
        """Return the answers to what is near. Others are served between texts: to look takes 2 ms."""
        known = {}
        for text, place in places.items():
            question = asked.about_text(_bytes(text))
            if (found := self._cache.nearest(question, place, delta=asked.delta or 0)) is not None:
                known[text] = found
            await asyncio.sleep(0)
        return known

    async def _places(self, asked: Asked, texts: Sequence[str]) -> dict[str, FloatArray]:
        """Return where texts lie, as far as that costs less than the answer: MiniLM says what is near what."""
        if not asked.delta or MINILM in (asked.entry.name, *asked.entry.needs):
            return {}
        short = [text for text in dict.fromkeys(texts) if len(text) <= _NEAR_CHARS]
        try:
            check_installed(MINILM)
            vectors = await self._embedder.embed(MINILM, short, share=asked.share, remember=False)
        except WarehouseError:
            return {}  # the answer itself may need no such model
        return dict(zip(short, vectors, strict=True))


def _bytes(text: str, beside: bytes = b"") -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return content + b"\0" + beside if beside else content
