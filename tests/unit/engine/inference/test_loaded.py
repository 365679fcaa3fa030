"""Loading models: each once, and none waits for another one that is slow."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prismhouse.engine.extractors.port import FloatArray
from prismhouse.engine.inference.configured import NO_MODELS, ConfiguredModels
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.errors import ModelWarming
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.query import EmbedderClosed, QueryEmbedder, QueryImageRejected
from prismhouse.engine.inference.registry import use_models
from prismhouse.engine.media.errors import MediaFault

SECONDS = 30


class Fake:
    """Gives every text the same vector, and finds fault with one picture."""

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.ones((len(texts), 1), np.float32)

    def embed_images(self, images: Sequence[Any]) -> FloatArray:
        if any(image.width == 3 for image in images):
            raise MediaFault("no_face", "There is no face.")
        if any(image.width == 4 for image in images):
            raise ValueError("somewhere in the library")
        return np.ones((len(images), 1), np.float32)


class Loading:
    """Counts what is loaded; models named `slow...` wait for the gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[str] = []

    def load(self, entry: ModelEntry, threads: int, cache_dir: Path) -> Fake:
        self.begun.append(entry.name)
        assert not entry.name.startswith("slow") or self.gate.wait(SECONDS)
        return Fake()


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loading]:
    """Models whose loading a test holds up: slow0 to slow11, and quick."""
    made, module = Loading(), ModuleType("fake_models")
    module.load = made.load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_models", module)
    names = [*(f"slow{number}" for number in range(12)), "quick"]
    use_models(ConfiguredModels(path="models.toml", models=tuple(map(model, names))))
    yield made
    made.gate.set()
    use_models(NO_MODELS)


def model(name: str) -> ModelEntry:
    return ModelEntry(
        name=name,
        title=name,
        task="joint_embedding",
        modalities=("text", "image"),
        licence="none",
        loader="fake_models:load",
        extra="",
        imports=(),
        memory_bytes=0,
        dimensions=1,
    )


def test_a_model_is_loaded_once_and_others_do_not_wait_for_it(loading: Loading, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        slow = [threads.submit(loaded, "slow0", threads=1, cache_dir=tmp_path) for _ in range(3)]
        quick = threads.submit(loaded, "quick", threads=1, cache_dir=tmp_path).result(SECONDS)
        loading.gate.set()

        assert len({id(one.result(SECONDS)) for one in slow}) == 1
        assert slow[0].result() is not quick
    assert sorted(loading.begun) == ["quick", "slow0"]


async def test_queries_go_on_when_several_other_models_are_being_loaded(loading: Loading, tmp_path: Path) -> None:
    embedder = QueryEmbedder(tmp_path)
    waiting = [asyncio.create_task(embedder.embed(f"slow{number}", ["a"])) for number in range(4)]
    async with asyncio.timeout(SECONDS):
        while len(loading.begun) < 4:
            await asyncio.sleep(0.001)
        assert (await embedder.embed("quick", ["a"])).shape == (1, 1)
    with pytest.raises(ModelWarming):
        await embedder.warm("slow0", patience_seconds=0.01)
    loading.gate.set()

    assert [answer.shape for answer in await asyncio.gather(*waiting)] == [(1, 1)] * 4
    assert sorted(loading.begun) == ["quick", "slow0", "slow1", "slow2", "slow3"]
    await embedder.close()


async def test_who_waits_for_a_model_is_told_when_the_server_stops(loading: Loading, tmp_path: Path) -> None:
    embedder = QueryEmbedder(tmp_path)
    waiting = asyncio.create_task(embedder.embed("slow0", ["a"]))
    async with asyncio.timeout(SECONDS):
        while not loading.begun:
            await asyncio.sleep(0.001)
    closing = asyncio.create_task(embedder.close())
    await asyncio.sleep(0)
    loading.gate.set()

    with pytest.raises(EmbedderClosed):
        await waiting
    await closing


async def test_one_unfit_picture_spares_those_that_run_with_it(loading: Loading, tmp_path: Path) -> None:
    embedder = QueryEmbedder(tmp_path)
    pictures = [picture(width) for width in (2, 3, 4, 5)]

    made = await asyncio.gather(
        *(embedder.embed_image("quick", one) for one in [*pictures, b"GIF89a"]), return_exceptions=True
    )

    assert [type(one) for one in made] == [np.ndarray, QueryImageRejected, ValueError, np.ndarray, QueryImageRejected]
    await embedder.close()


def picture(width: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, 9)).save(buffer, "PNG")
    return buffer.getvalue()
