"""Texts and pictures to vectors, inside the API process: each model is loaded once, and waiting calls run together.

Retrievers embed their queries here, and `POST /v1/inference` what it is asked.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.coalesce import Coalescer
from prismhouse.engine.inference.endpoints.errors import EndpointFault
from prismhouse.engine.inference.errors import ModelWarming
from prismhouse.engine.inference.loaded import is_loaded, loaded
from prismhouse.engine.inference.port import ImageModel, TextModel
from prismhouse.engine.inference.registry import ModelEntry, check_unchanged, entry, is_remote
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.image import MAX_PIXELS, decode_image
from prismhouse.engine.media.text import storable
from prismhouse.kit.errors import Code, WarehouseError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["EmbedderClosed", "ModalityNotServed", "QueryEmbedder", "QueryImageRejected"]

_REMEMBERED_TEXTS = 2048
_REMEMBERED_CHARS = 1000
_THREADS = 2
_REMOTE_THREADS = 8
_LOADER_THREADS = 8
_TEXTS_PER_RUN = 64
_CHARS_PER_RUN = 8_192
_READ_CHARS = 1_200
"""Bound how long a small query waits behind large ones: 0.4 s of one core. More of a text is not read by the model."""

_IMAGES_PER_RUN = 4
_PIXELS_PER_RUN = 16_000_000
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


class QueryEmbedder:
    """Embeds for one event loop, which it never blocks. Loading a model takes about half a second, on its first call.

    Args:
        cache_dir: where converted models are kept.
        threads: of each model.
        image_pixels: larger images are refused.
    """

    def __init__(self, cache_dir: Path | str, threads: int = 1, *, image_pixels: int = MAX_PIXELS) -> None:
        self._cache_dir = Path(cache_dir)
        self._threads = threads
        self._image_pixels = image_pixels
        self._executor = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="query-embedder")
        self._remote = ThreadPoolExecutor(max_workers=_REMOTE_THREADS, thread_name_prefix="endpoint-embedder")
        self._loader = ThreadPoolExecutor(max_workers=_LOADER_THREADS, thread_name_prefix="model-loader")
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._texts: Coalescer[str, FloatArray] = Coalescer(
            self._read,
            executor=self._executor_of,
            cost=lambda text: min(len(text), _READ_CHARS),
            most_cost=_CHARS_PER_RUN,
            most_items=_TEXTS_PER_RUN,
        )
        self._images: Coalescer[bytes, FloatArray] = Coalescer(
            self._look,
            executor=self._executor_of,
            cost=lambda _: 1,
            most_cost=_IMAGES_PER_RUN,
            most_items=_IMAGES_PER_RUN,
        )
        self._remembered: OrderedDict[tuple[str, str], FloatArray] = OrderedDict()
        self._closed = False

    async def embed(self, model: str, texts: Sequence[str], *, share: str = "", remember: bool = True) -> FloatArray:
        """Return `(n, d)` float32, rows of unit length, in the order of the texts.

        Args:
            model: its name.
            texts: any number; equal ones are embedded once.
            share: whose they are: models are shared by turns.
            remember: look among the last queries first, which are everybody's.

        Raises:
            ModelNotFound, ModalityNotServed: the model does not exist, or takes no text.
            ModelMissing, ModelDamaged, ExtraMissing: it cannot be loaded; the message has the command.
        """
        item = _serving(model, "text")
        self._check_open()
        wanted = [storable(text) for text in texts]
        found: dict[str, FloatArray] = {}
        if remember:
            found = {text: vector for text in set(wanted) if (vector := self._recall((model, text))) is not None}
        missing = [text for text in dict.fromkeys(wanted) if text not in found]
        if missing:
            await self._ready(model)
        made = dict(zip(missing, await self._texts.call(model, missing, share=share), strict=True))
        if remember:
            self._remember(model, made)
        found |= made
        rows = [found[text] for text in wanted]
        return np.stack(rows) if rows else np.zeros((0, item.dimensions), np.float32)

    def check_unchanged(self, model: str, fingerprint: str, *, feature_uri: str) -> None:
        """Raise ModelChanged when the model is not the one that made the vectors of a feature, ModelNotFound."""
        check_unchanged(model, fingerprint, feature_uri=feature_uri)

    async def embed_image(self, model: str, data: bytes, *, share: str = "") -> FloatArray:
        """Return `(d,)` float32 of unit length.

        Raises:
            QueryImageRejected: the bytes are no usable image.
            ModelNotFound, ModalityNotServed, ModelMissing, ModelDamaged, ExtraMissing: as for `embed`.
        """
        _serving(model, "image")
        self._check_open()
        await self._ready(model)
        return (await self._images.call(model, [data], share=share))[0]

    async def warm(self, model: str, *, patience_seconds: float) -> None:
        """Return when the model is loaded, which goes on for those who ask later.

        Raises:
            ModelWarming: it takes longer than the patience.
            ModelNotFound, ModelMissing, ModelDamaged, ExtraMissing: as for `embed`.
        """
        if not await self._ready(model, patience_seconds=patience_seconds):
            raise ModelWarming(model=model)

    async def close(self) -> None:
        """Refuse further queries, fail the waiting ones, and wait for the runs that are under way."""
        self._closed = True
        await self._texts.close(EmbedderClosed())
        await self._images.close(EmbedderClosed())
        await asyncio.to_thread(self._executor.shutdown)
        await asyncio.to_thread(self._remote.shutdown)
        await asyncio.to_thread(self._loader.shutdown)

    def _check_open(self) -> None:
        if self._closed:
            raise EmbedderClosed

    async def _ready(self, model: str, *, patience_seconds: float | None = None) -> bool:
        """Return whether the model is loaded in time; raise what loading it raises.

        Models are loaded in threads of their own: those that embed are few, and others wait for them.
        """
        if is_loaded(model, threads=self._threads, cache_dir=self._cache_dir):
            return True
        self._check_open()
        loading = self._loading.get(model)
        if loading is None:
            loading = asyncio.get_running_loop().run_in_executor(self._loader, self._load, model)
            self._loading[model] = loading
            loading.add_done_callback(lambda done: self._loaded(model, done))
        done, _ = await asyncio.wait([loading], timeout=patience_seconds)
        if not done:
            return False
        loading.result()
        self._check_open()
        return True

    def _executor_of(self, model: str) -> ThreadPoolExecutor:
        """Return threads for a model: those who wait for another server take none from those who compute."""
        return self._remote if is_remote(model) else self._executor

    def _load(self, model: str) -> None:
        loaded(model, threads=self._threads, cache_dir=self._cache_dir)

    def _loaded(self, model: str, done: asyncio.Future[None]) -> None:
        self._loading.pop(model, None)
        if not done.cancelled():
            done.exception()  # whoever still waits is told; the next who asks has it tried again

    def _read(self, model: str, texts: list[str]) -> list[FloatArray | Exception]:
        found = loaded(model, threads=self._threads, cache_dir=self._cache_dir)
        embed = getattr(found, "embed_queries", None) or cast("TextModel", found).embed
        return _embedded(embed, texts)

    def _look(self, model: str, files: list[bytes]) -> list[FloatArray | Exception]:
        """Return a vector for each file, or why there is none. Decoded pictures are few at a time: they are large."""
        found = cast("ImageModel", loaded(model, threads=self._threads, cache_dir=self._cache_dir))
        made: dict[int, FloatArray | Exception] = {}
        group: dict[int, Image] = {}
        for place, data in enumerate(files):
            try:
                picture = decode_image(data, max_pixels=self._image_pixels, draft_side=_DRAFT_SIDE).image
            except Exception as error:  # noqa: BLE001 - handed to who sent the picture
                made[place] = _told(error)
                continue
            group[place] = picture
            if sum(one.width * one.height for one in group.values()) > _PIXELS_PER_RUN:
                made |= _seen(found, group)
                group = {}
        made |= _seen(found, group)
        return [made[place] for place in range(len(files))]

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


def _embedded(embed: Callable[[list[str]], FloatArray], texts: list[str]) -> list[FloatArray | Exception]:
    """Return the vectors of texts; where a server refuses some of them, only who sent these is told so."""
    try:
        return list(embed(texts))
    except EndpointFault as fault:
        if not fault.of_input:
            raise
        if len(texts) == 1:
            return [fault]
    half = len(texts) // 2
    return [*_embedded(embed, texts[:half]), *_embedded(embed, texts[half:])]


def _seen(model: ImageModel, pictures: dict[int, Image]) -> dict[int, FloatArray | Exception]:
    """Return the vectors of pictures by place; where the model fails on one of them, each is asked alone."""
    if not pictures:
        return {}
    try:
        return dict(zip(pictures, model.embed_images(list(pictures.values())), strict=True))
    except Exception as error:  # noqa: BLE001 - handed to who sent the picture
        if len(pictures) == 1:
            return dict.fromkeys(pictures, _told(error))
    return {place: made for one in pictures.items() for place, made in _seen(model, dict([one])).items()}


def _told(error: Exception) -> Exception:
    """Return what who sent a picture is told."""
    return QueryImageRejected(reason=error.message) if isinstance(error, MediaFault) else error
