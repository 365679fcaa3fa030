"""Raw inference under stress: many at once, files beside queries, processes that are killed, clients that leave."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.custom_extractors import bring
from tests.openai_server import openai_server
from tests.opened import Open, assert_envelope
from tests.photos import png

from prismhouse.api.inference.service import Pool
from prismhouse.api.models.errors import ModelBusy
from prismhouse.api.models.service import QueryEmbedders, lend
from prismhouse.engine.inference import loaded as loading
from prismhouse.engine.inference.configured import NO_MODELS
from prismhouse.engine.inference.minilm import MiniLM
from prismhouse.engine.inference.query import QueryEmbedder
from prismhouse.engine.inference.registry import EFFICIENTNET, MINILM, PP_OCR, all_models, use_models
from prismhouse.kit.ids import NamespaceId
from prismhouse.server.app import create_app
from prismhouse.server.wiring import House, build
from prismhouse.settings import InferenceSettings, Settings
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.compute.observed import ObservedCompute

PATH = "/v1/inference"
DEADLINE_SECONDS = 60
PICTURE = {"image_base64": base64.b64encode(png("coffee")).decode()}
READ = {"inference_name": PP_OCR, "inputs": PICTURE}


@pytest.fixture
async def opened_with(fresh_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that opens a house with these settings of inference, and a client of it in a namespace."""
    houses: list[House] = []
    clients: list[httpx2.AsyncClient] = []

    async def make(**inference: Any) -> tuple[House, httpx2.AsyncClient]:
        house = build(Settings(data_dir=tmp_path, inference=InferenceSettings(**inference)), fresh_database())
        await house.open()
        houses.append(house)
        _, key = await house.organizations.create(name="mine")
        opened = Open(house=house, app=create_app(house), key=key, other_key="")
        client = opened.client()
        client.timeout = DEADLINE_SECONDS
        await client.post("/v1/namespaces", json={"namespace_name": "asked"})
        client.headers["X-Namespace"] = "asked"
        clients.append(client)
        return house, client

    yield make
    for client in clients:
        await client.aclose()
    for house in houses:
        await house.close()


def processes(house: House) -> LocalCompute:
    """Return the processes of raw inference."""
    assert isinstance(house.inference_compute, ObservedCompute)
    assert isinstance(house.inference_compute.compute, LocalCompute)
    return house.inference_compute.compute


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def test_calls_of_many_clients_run_together_when_they_come_at_once(
    opened_with: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = await opened_with()
    texts = [f"text {number} about {'cats' if number % 2 else 'rockets'}" for number in range(32)]
    bodies = [{"inference_name": MINILM, "inputs": {"text": text}} for text in texts]
    await client.post(PATH, json=bodies[0])
    runs: list[int] = []
    embed = MiniLM.embed

    def counted(self: MiniLM, given: list[str]) -> Any:
        runs.append(len(given))
        return embed(self, given)

    monkeypatch.setattr(MiniLM, "embed", counted)
    answers = await asyncio.gather(*(client.post(PATH, json=body) for body in bodies))

    rows = np.array([answer.json()["data"] for answer in answers])
    model = next(one for key, one in loading._models.items() if key[0] == MINILM)
    assert np.allclose(rows, embed(model, texts), atol=1e-5)
    assert sum(runs) == 32
    assert len(runs) < 16


async def test_queries_go_on_when_a_file_is_being_read(opened_with: Callable[..., Any]) -> None:
    house, client = await opened_with()
    await client.post(PATH, json={"inference_name": MINILM, "inputs": {"text": "warm"}})
    reading = asyncio.create_task(client.post(PATH, json=READ))
    await until(lambda: processes(house).busy)

    for number in range(5):
        await house.embedder.embed(MINILM, [f"query {number}"])

    assert not reading.done()  # the first file of a process has its model loaded, which takes about a second
    assert (await reading).status_code == 200


async def test_a_call_says_so_and_the_next_one_works_when_its_process_is_killed(
    opened_with: Callable[..., Any],
) -> None:
    house, client = await opened_with()
    pool = processes(house)
    reading = asyncio.create_task(client.post(PATH, json=READ))
    await until(lambda: pool.busy)
    os.kill(pool.process_ids[0], signal.SIGKILL)

    error = assert_envelope(await reading, 503, "InferenceServiceUnavailableError")
    again = await client.post(PATH, json=READ)

    assert error["code"] == "inference_lost"
    assert again.status_code == 200
    assert again.json()["data"]["width"] == 600


async def test_a_call_is_stopped_when_it_takes_too_long(opened_with: Callable[..., Any]) -> None:
    house, client = await opened_with(call_timeout_seconds=0.05)

    answer = await client.post(PATH, json=READ)

    assert assert_envelope(answer, 503)["code"] == "inference_timed_out"
    assert answer.headers["Retry-After"]
    assert processes(house).running == 0


async def test_a_trial_names_the_end_of_its_process_when_it_dies_each_time(
    opened_with: Callable[..., Any], tmp_path: Path
) -> None:
    house, client = await opened_with(call_timeout_seconds=0.05)

    told = (await client.post("/v1/extractors/image_extractor_v1/test", json={"inputs": {"image": _picture()}})).json()

    assert (told["status"], [one["code"] for one in told["failures"]]) == ("failed", ["timeout"])
    assert processes(house).running == 0


def _picture() -> dict[str, str]:
    return {"base64": PICTURE["image_base64"]}


async def test_a_process_ends_and_its_memory_is_free_when_nobody_asks(opened_with: Callable[..., Any]) -> None:
    house, client = await opened_with(idle_seconds=0.05)
    assert processes(house).running == 0

    assert (await client.post(PATH, json=READ)).status_code == 200

    await until(lambda: processes(house).running == 0)


async def test_a_call_is_ended_when_its_client_goes_away(opened_with: Callable[..., Any]) -> None:
    house, client = await opened_with()
    pool = processes(house)
    reading = asyncio.create_task(client.post(PATH, json=READ))
    await until(lambda: pool.busy)
    (process,) = pool.process_ids
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    await until(lambda: pool.running == 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_too_many_calls_are_refused_with_a_time_to_come_back(opened_with: Callable[..., Any]) -> None:
    house, client = await opened_with(calls=2)
    first = asyncio.create_task(client.post(PATH, json=READ))
    await until(lambda: processes(house).busy)

    refused = await client.post(PATH, json={"inference_name": MINILM, "inputs": {"text": "a"}})

    assert_envelope(refused, 429, "TooManyRequestsError")
    assert int(refused.headers["Retry-After"]) > 0
    assert (await first).status_code == 200
    assert (await client.post(PATH, json={"inference_name": MINILM, "inputs": {"text": "a"}})).status_code == 200


async def test_a_file_within_the_settings_is_read_when_it_alone_fills_the_room(opened_with: Callable[..., Any]) -> None:
    _, client = await opened_with(held_bytes=2**20)
    large = {"image_base64": "\n".join(PICTURE["image_base64"])}
    assert len(large["image_base64"]) > 2**20

    seen = await client.post(PATH, json={"inference_name": EFFICIENTNET, "inputs": large})
    tried = await client.post(
        "/v1/extractors/image_extractor_v1/test", json={"inputs": {"image": {"base64": large["image_base64"]}}}
    )

    assert len(seen.json()["data"]) == 1280
    assert tried.json()["status"] == "succeeded"


async def test_a_failure_of_a_model_names_no_file_of_the_server(
    opened_with: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise OSError(2, "No such file", "/srv/prismhouse/secret.bin")

    _, client = await opened_with()
    monkeypatch.setattr(Pool, "run", fail)

    error = assert_envelope(await client.post(PATH, json=READ), 422)

    assert f"{PP_OCR} failed on it (FileNotFoundError)." in str(error["message"])
    assert "secret" not in str(error)


async def test_no_model_is_asked_when_the_very_text_was_answered(
    opened_with: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[str] = []
    embed = QueryEmbedder.embed

    async def counted(self: QueryEmbedder, model: str, texts: list[str], **more: Any) -> Any:
        embedded.extend(texts)
        return await embed(self, model, texts, **more)

    monkeypatch.setattr(QueryEmbedder, "embed", counted)
    with openai_server(tmp_path) as server:
        file = tmp_path / "models.toml"
        file.write_text(f'[models.writer]\nkind = "openai_chat"\nurl = "{server.url}"\nmodel = "acme-large"\n')
        _, client = await opened_with(models_file=file)
        body = {"inference_name": "writer", "enable_semantic_cache": True}

        first = await client.post(PATH, json={**body, "inputs": {"prompts": ["Name a fish.", "Name a tower."]}})
        again = await client.post(PATH, json={**body, "inputs": {"prompts": ["Name a fish."]}})
        mixed = await client.post(PATH, json={**body, "inputs": {"prompts": ["Name a tower.", "Count to three."]}})
    use_models(NO_MODELS)

    assert [one.json()["cached"] for one in (first, again, mixed)] == [False, True, False]
    assert [first.json()["data"][0], first.json()["data"][1]] == [again.json()["data"][0], mixed.json()["data"][0]]
    assert embedded == ["Name a fish.", "Name a tower.", "Count to three."]


async def test_a_model_that_is_being_loaded_says_when_to_come_back(
    opened_with: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    load = QueryEmbedder._load

    def slow(self: QueryEmbedder, model: str) -> None:
        assert gate.wait(DEADLINE_SECONDS)
        load(self, model)

    monkeypatch.setattr(QueryEmbedder, "_load", slow)
    _, client = await opened_with(warm_seconds=0.05)
    body = {"inference_name": MINILM, "inputs": {"text": "a"}}

    warming = await client.post(PATH, json=body)
    gate.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (answer := await client.post(PATH, json=body)).status_code == 503:
            await asyncio.sleep(0.05)

    assert assert_envelope(warming, 503, "InferenceServiceUnavailableError")["code"] == "model_warming"
    assert int(warming.headers["Retry-After"]) == 5
    assert answer.status_code == 200


async def test_writers_and_embedders_of_the_file_of_models_are_asked_when_they_are_named(
    opened_with: Callable[..., Any], tmp_path: Path
) -> None:
    with openai_server(tmp_path) as server:
        file = tmp_path / "models.toml"
        file.write_text(
            f"""
            [models.writer]
            kind = "openai_chat"
            url = "{server.url}"
            model = "acme-large"
            [models.far]
            kind = "openai_embeddings"
            url = "{server.url}"
            model = "far-embed"
            dimensions = 384
            """
        )
        house, client = await opened_with(models_file=file)
        embed = house.embedder.embed
        chosen = {"provider": "openai", "model": "acme-large"}
        prompts = {"prompts": ["How tall is the tower in Paris?", "Name a fish."]}
        kept = {"enable_semantic_cache": True, "cache_delta": 0.2}

        first = await client.post(PATH, json={**chosen, "inputs": prompts, **kept})
        near = {"prompts": ["How tall is the tower of Paris?"]}
        again = await client.post(PATH, json={**chosen, "inputs": near, **kept})
        other = await client.post(PATH, json={**chosen, "inputs": {"text": "Name a bird."}, **kept})
        asked = len(server.asked)
        wrong = await client.post(PATH, json={**chosen, "inputs": prompts, "parameters": {"mood": 1}})
        blind = await client.post(PATH, json={**chosen, "inputs": {**prompts, **PICTURE}})
        far = await client.post(PATH, json={"inference_name": "far", "inputs": {"text": "a cat"}})
        server.behave = lambda handler, body: handler.send_error(400) is None
        down = await client.post(PATH, json={**chosen, "inputs": {"text": "Name a dog."}})

        assert (first.json()["provider"], first.json()["model"]) == ("openai", "acme-large")
        assert len(first.json()["data"]) == 2
        assert (again.json()["cached"], again.json()["data"]) == (True, first.json()["data"][:1])
        assert (other.json()["cached"], isinstance(other.json()["data"], str)) == (False, True)
        assert asked == 3
        assert "Accepted: schema, " in str(assert_envelope(wrong, 422)["message"])
        assert "reads one of: text, texts, prompts." in str(assert_envelope(blind, 422)["message"])
        assert np.allclose(far.json()["data"], (await embed(MINILM, ["a cat"]))[0], atol=1e-4)
        assert down.status_code in {422, 503}, down.text
    use_models(NO_MODELS)


async def test_no_more_is_written_when_who_asked_is_gone(opened_with: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    gate, begun = threading.Event(), threading.Event()

    def waits(handler: Any, body: dict[str, Any]) -> bool:
        begun.set()
        assert gate.wait(DEADLINE_SECONDS)
        return False

    with openai_server(tmp_path) as server:
        table = f'[models.writer]\nkind = "openai_chat"\nurl = "{server.url}"\nmodel = "acme-large"\n'
        file.write_text(table)
        server.behave = waits
        house, _ = await opened_with(models_file=file)
        writers, entry = house.inference.writers, all_models()["writer"]
        parameters = writers.parameters({})
        prompts = [f"Name the fish {number}." for number in range(100)]
        writing = asyncio.create_task(writers.generate(entry, prompts, parameters, picture=None, share="a"))
        assert await asyncio.to_thread(begun.wait, DEADLINE_SECONDS)

        writing.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
        asked = len(server.asked)
        (answer,) = await writers.generate(entry, ["Name a bird."], parameters, picture=None, share="a")

        assert asked <= 16
        assert len(server.asked) == asked + 1
        assert answer
    use_models(NO_MODELS)


async def test_slow_searches_leave_others_their_connections(
    opened_with: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "models.toml"
    gate, begun = threading.Event(), threading.Event()

    def waits(handler: Any, body: dict[str, Any]) -> bool:
        begun.set()
        assert gate.wait(DEADLINE_SECONDS)
        return False

    monkeypatch.setattr(lend, "_PATIENCE_SECONDS", 0.05)
    with openai_server(tmp_path) as server:
        file.write_text(
            f'[models.far]\nkind = "openai_embeddings"\nurl = "{server.url}"\nmodel = "far-embed"\ndimensions = 384\n'
        )
        server.behave = waits
        house, _ = await opened_with(models_file=file)
        embedders = QueryEmbedders(
            house.models.deployments._lender, compute=house.compute, threads=1, cache_dir="", slow_at_once=1
        )
        async with house.db.read() as unit:
            embedder = embedders.within(unit.within(NamespaceId("ns_none")), house.embedder)
            slow = asyncio.create_task(embedder.embed("far", ["a"]))
            assert await asyncio.to_thread(begun.wait, DEADLINE_SECONDS)

            with pytest.raises(ModelBusy):
                await embedder.embed("far", ["b"])
            near = await embedder.embed(MINILM, ["c"])
            gate.set()

            assert (await slow).shape == near.shape == (1, 384)
            assert (await embedder.embed("far", ["b"])).shape == (1, 384)
    use_models(NO_MODELS)


CUSTOM = """
import os
import numpy as np
from prismhouse.engine.extractors.definition import Definition
from prismhouse.engine.extractors.parameters import Parameters
from prismhouse.engine.extractors.port import ExtractedDocument, ExtractorRecord, RowResult, VectorOutput
from prismhouse.engine.extractors.rows import parts, read_text

class Chosen(Parameters):
    extractor_type: str = "letters_extractor"

def load(parameters, resources):
    def one(row):
        (part,) = parts(row, "text")
        text = read_text(part)
        if text == "die":
            os.kill(os.getpid(), 9)
        if text == "raise":
            raise ValueError("no such letter")
        vector = np.array([text.count("a") + 1, text.count("b")], np.float32)
        return RowResult(row_id=row.row_id, documents=[
            ExtractedDocument(position=(0,), fields={"text": text}, vectors={"letters": vector})])
    return lambda rows: [one(row) for row in rows]

DEFINITION = Definition(
    record=ExtractorRecord(
        name="letters_extractor", version="v1", description="Counts letters.", category="text", icon="type",
        input_schema={}, output_schema={}, parameter_schema=Chosen.model_json_schema(),
        default_parameters=Chosen().model_dump(mode="json"), input_types={"text": ("text",)},
        vector_outputs=(VectorOutput(name="letters", storage_name="letters_extractor_v1_letters", dimensions=2,
                                     distance="cosine", model="letters", query_modalities=("vector",)),),
        position_fields=("number",),
    ),
    parameters=Chosen,
    load=load,
)
"""


async def test_a_custom_extractor_is_asked_itself_when_its_feature_is_meant(
    opened_with: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prismhouse.engine.extractors import catalogue

    site = bring(tmp_path / "site", "letters", CUSTOM, "letters_extractor_v1 = letters:DEFINITION")
    monkeypatch.syspath_prepend(str(site))
    catalogue.installed.cache_clear()
    try:
        _, client = await opened_with()
        uri = "mixpeek://letters_extractor@v1/letters"
        good = await client.post(PATH, json={"feature_uri": uri, "inputs": {"texts": ["aab", "b"]}})
        bad = await client.post(PATH, json={"feature_uri": uri, "inputs": {"text": "raise"}})
        picture = await client.post(PATH, json={"feature_uri": uri, "inputs": PICTURE})
        both = await client.post(PATH, json={"feature_uri": uri, "inputs": {"text": "a", **PICTURE}})
        dead = await client.post("/v1/extractors/letters_extractor_v1/test", json={"inputs": {"text": "die"}})
    finally:
        catalogue.installed.cache_clear()
        sys.modules.pop("letters", None)

    assert good.json()["data"] == [[3.0, 1.0], [1.0, 1.0]]
    assert "no such letter" in str(assert_envelope(bad, 422)["message"])
    assert "reads no image" in str(assert_envelope(picture, 422)["message"])
    assert "send one of them" in str(assert_envelope(both, 422)["message"])
    assert [one["code"] for one in dead.json()["failures"]] == ["process_killed"]
