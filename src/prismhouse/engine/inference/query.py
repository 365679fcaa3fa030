"""Queries to vectors, inside the API process: loaded once, one run at a time, waiting calls run together."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import ImageModel, TextModel
from prismhouse.engine.inference.registry import ModelEntry, entry
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import MAX_PIXELS, decode_image
from prismhouse.engine.media.text import storable
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["EmbedderClosed", "ModalityNotServed", "QueryEmbedder", "QueryImageRejected"]

_REMEMBERED_TEXTS = 2048
_REMEMBERED_CHARS = 1000
_TEXTS_PER_RUN = 64
"""Bounds how long a small query waits behind large ones."""

_DRAFT_SIDE = 320


class ModalityNotServed(WarehouseError):
    """The model {model} cannot embed a query made of {modality}; it takes {accepted}."""

    code = Code.INVALID
    hint = "Query another feature, or give the query as {accepted}."


class QueryImageRejected(WarehouseError):
    """The query image cannot be used: {reason}"""

    code = Code.INVALID
    hint = "Send a whole PNG, JPEG, WebP or GIF file."


class EmbedderClosed(WarehouseError):
    """The server is stopping, so the query was not embedded."""

    code = Code.UNAVAILABLE
    hint = "Send the query again."


@dataclass(frozen=True, slots=True)
class _Call:
    model: str
    texts: list[str]
    answer: asyncio.Future[FloatArray]


class QueryEmbedder:
    """Embeds queries for one event loop. Loading a model takes about half a second, on its first query."""

    def __init__(self, cache_dir: Path | str, threads: int = 1, *, image_pixels: int = MAX_PIXELS) -> None:
        self._cache_dir = Path(cache_dir)
        self._threads = threads
        self._image_pixels = image_pixels
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="query-embedder")
        self._waiting: deque[_Call] = deque()
        self._drain: asyncio.Task[None] | None = None
        self._remembered: OrderedDict[tuple[str, str], FloatArray] = OrderedDict()
        self._closed = False

    async def embed(self, model: str, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the texts.

        Raises:
            ModelNotFound, ModalityNotServed: the model does not exist, or takes no text.
            ModelMissing, ModelDamaged, ExtraMissing: it cannot be loaded; the message has the command.
        """
        item = _serving(model, "text")
        wanted = [storable(text) for text in texts]
        found = {text: vector for text in set(wanted) if (vector := self._recall((model, text))) is not None}
        missing = [text for text in dict.fromkeys(wanted) if text not in found]
        if missing:
            made = dict(zip(missing, await self._call(model, missing), strict=True))
            self._remember(model, made)
            found |= made
        rows = [found[text] for text in wanted]
        return np.stack(rows) if rows else np.zeros((0, item.dimensions), np.float32)

    async def embed_image(self, model: str, data: bytes) -> FloatArray:
        """Return `(d,)` float32 of unit length.

        Raises:
            QueryImageRejected: the bytes are no usable image.
            ModelNotFound, ModalityNotServed, ModelMissing, ModelDamaged, ExtraMissing: as for `embed`.
        """
        _serving(model, "image")
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._look, model, data)

    async def close(self) -> None:
        """Refuse further queries, fail the waiting ones, and wait for the run that is under way."""
        self._closed = True
        while self._waiting:
            _fail(self._waiting.popleft(), EmbedderClosed())
        if self._drain is not None:
            await self._drain
        await asyncio.to_thread(self._executor.shutdown)

    def _check_open(self) -> None:
        if self._closed:
            raise EmbedderClosed

    async def _call(self, model: str, texts: list[str]) -> FloatArray:
        self._check_open()
        call = _Call(model, texts, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._run_waiting())
        return await call.answer

    async def _run_waiting(self) -> None:
        """Run what waits, calls for one model together, until nothing waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            calls = self._take()
            texts = [text for call in calls for text in call.texts]
            try:
                vectors = await loop.run_in_executor(self._executor, self._read, calls[0].model, texts)
            except Exception as error:  # noqa: BLE001 - handed to the callers that wait
                for call in calls:
                    _fail(call, error)
                continue
            first = 0
            for call in calls:
                if not call.answer.done():
                    call.answer.set_result(vectors[first : first + len(call.texts)])
                first += len(call.texts)

    def _take(self) -> list[_Call]:
        """Return the longest waiting call and others for its model, as far as one run goes."""
        taken = [self._waiting.popleft()]
        count = len(taken[0].texts)
        while self._waiting and self._waiting[0].model == taken[0].model:
            count += len(self._waiting[0].texts)
            if count > _TEXTS_PER_RUN:
                break
            taken.append(self._waiting.popleft())
        return [call for call in taken if not call.answer.done()] or taken[:1]

    def _read(self, model: str, texts: list[str]) -> FloatArray:
        found = loaded(model, threads=self._threads, cache_dir=self._cache_dir)
        return cast("TextModel", found).embed(texts)

    def _look(self, model: str, data: bytes) -> FloatArray:
        try:
            picture = decode_image(data, max_pixels=self._image_pixels, draft_side=_DRAFT_SIDE)
        except MediaFault as error:
            raise QueryImageRejected(reason=error.message) from error
        found = loaded(model, threads=self._threads, cache_dir=self._cache_dir)
        try:
            row: FloatArray = cast("ImageModel", found).embed_images([picture.image])[0]
        except MediaFault as error:
            raise QueryImageRejected(reason=error.message) from error
        return row

    def _recall(self, key: tuple[str, str]) -> FloatArray | None:
        found = self._remembered.get(key)
        if found is not None:
            self._remembered.move_to_end(key)
        return found

    def _remember(self, model: str, made: dict[str, FloatArray]) -> None:
        for text, vector in made.items():
            if len(text) <= _REMEMBERED_CHARS:
                self._remembered[(model, text)] = vector.copy()
        while len(self._remembered) > _REMEMBERED_TEXTS:
            self._remembered.popitem(last=False)


def _serving(model: str, modality: str) -> ModelEntry:
    item = entry(model)
    if modality not in item.modalities:
        raise ModalityNotServed(model=model, modality=modality, accepted=" or ".join(item.modalities))
    return item


def _fail(call: _Call, error: Exception) -> None:
    if not call.answer.done():
        call.answer.set_exception(error)
