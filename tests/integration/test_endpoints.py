"""Models behind a server that speaks the OpenAI protocol, on good and on bad days."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.folders import models_of
from tests.openai_server import OpenAIServer, openai_server
from tests.photos import photos

from prismhouse.engine.inference.configured import NO_MODELS
from prismhouse.engine.inference.endpoints.answer import BadAnswer, object_in
from prismhouse.engine.inference.endpoints.chat import ChatEndpoint
from prismhouse.engine.inference.endpoints.client import Clock
from prismhouse.engine.inference.endpoints.embeddings import EmbeddingsEndpoint
from prismhouse.engine.inference.endpoints.errors import EndpointBusy, EndpointFault, EndpointRefused, EndpointWrong
from prismhouse.engine.inference.endpoints.place import Place
from prismhouse.engine.inference.endpoints.tables import OpenAIChat, OpenAIEmbeddings
from prismhouse.engine.inference.errors import ModelsFileWrong
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.port import Prompt, Style
from prismhouse.engine.inference.query import QueryEmbedder
from prismhouse.engine.inference.registry import MINILM, default_model, entry, listed, use_models
from prismhouse.engine.media.image import thumbnail
from prismhouse.kit.clock import utc_now

KEY = "sk-very-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"words": {"type": "integer"}, "mark": {"type": "string"}}}


class FastClock(Clock):
    """Pauses are noted, not made; time goes by them."""

    def __init__(self) -> None:
        self.paused: list[float] = []
        self.later = 0.0

    def now(self) -> float:
        return super().now() + self.later

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def server(cache_dir: Path) -> Iterator[OpenAIServer]:
    with openai_server(cache_dir) as running:
        yield running


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
def embeddings(server: OpenAIServer, clock: FastClock) -> Iterator[Callable[..., EmbeddingsEndpoint]]:
    made: list[EmbeddingsEndpoint] = []

    def make(**more: Any) -> EmbeddingsEndpoint:
        table = {"kind": "openai_embeddings", "url": server.url, "model": "minilm", "dimensions": 384, **more}
        made_entry = OpenAIEmbeddings.model_validate(table).entry("far", Path())
        made.append(EmbeddingsEndpoint(Place(name="far", **made_entry.options), clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def chat(server: OpenAIServer, clock: FastClock) -> Iterator[Callable[..., ChatEndpoint]]:
    made: list[ChatEndpoint] = []

    def make(**more: Any) -> ChatEndpoint:
        table = {"kind": "openai_chat", "url": server.url, "model": "writer", **more}
        made_entry = OpenAIChat.model_validate(table).entry("writer", Path())
        made.append(ChatEndpoint(Place(name="writer", **made_entry.options), clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_vectors_are_those_of_the_model_when_it_stands_behind_a_server(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint], cache_dir: Path
) -> None:
    texts = [f"sentence number {number}" for number in range(150)]

    made = embeddings(batch_inputs=32, concurrency=3).embed_texts(texts)

    direct = loaded(MINILM, threads=1, cache_dir=cache_dir).embed(texts)
    assert made.vectors.dtype == np.float32
    assert np.abs((made.vectors * direct).sum(axis=1) - 1).max() < 1e-3
    assert not made.truncated.any()
    assert sorted(len(one.body["input"]) for one in server.asked) == [22, 32, 32, 32, 32]
    assert 1 <= server.most_at_once <= 3


def test_texts_are_cut_and_told_when_they_are_longer_than_the_table_says(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint]
) -> None:
    model = embeddings(max_characters=20, batch_characters=45, passage_prompt="passage: ", query_prompt="query: ")

    made = model.embed_texts(["short", "a text that is too long", "x" * 11, "y" * 12])
    model.embed_queries(["short"])

    assert made.truncated.tolist() == [False, True, False, True]
    assert sorted(text for one in server.asked for text in one.body["input"]) == sorted(
        ["passage: short", "passage: a text that", "passage: " + "x" * 11, "passage: " + "y" * 11, "query: short"]
    )
    assert all(len("".join(one.body["input"])) <= 45 for one in server.asked)


def test_nothing_is_asked_when_there_are_no_texts(server: OpenAIServer, embeddings: Callable[..., Any]) -> None:
    assert embeddings().embed([]).shape == (0, 384)
    assert server.asked == []


def vector(value: Any, count: int = 384) -> dict[str, Any]:
    return {"index": 0, "embedding": [value] * count}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"data": [vector(0.5, 383)]}, "383 dimensions, and its table says 384"),
        ({"data": [vector(0.5), vector(0.5)]}, "2 vectors for 1 texts"),
        ({"data": []}, "0 vectors for 1 texts"),
        ({"data": [{"index": 4, "embedding": [0.5] * 384}]}, "does not count the texts"),
        ({"data": [vector("0.5")]}, "not a list of numbers"),
        ({"data": [vector(True)]}, "not a list of numbers"),
        ({"data": [{"index": 0, "embedding": "AAAA"}]}, "not a list of numbers"),
        ({"data": [vector(0)]}, "all zeros"),
        ({"data": [vector(1e300)]}, "not finite"),
        ({"data": "nothing"}, "no list `data`"),
        ([1, 2], "no list `data`"),
        (json.dumps({"data": [vector(float("nan"))]}).encode(), "not finite"),
        (b"<html><body>Welcome to nginx</body></html>", "web page"),
        (b'{"data": [{"index"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"data":[' + b" " * 3_000_000 + b"]}", "more than"),
    ],
)
def test_an_answer_is_refused_by_name_when_it_is_not_one(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint], body: Any, reason: str
) -> None:
    server.behave = lambda handler, _: handler.say(200, body) or True

    with pytest.raises(EndpointWrong, match=reason) as failed:
        embeddings().embed(["a"])

    assert not failed.value.passes
    assert "models.far" in failed.value.message
    assert len(server.asked) == 1


def test_an_answer_is_tried_again_when_it_breaks_off(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint], clock: FastClock
) -> None:
    def cut(handler: Any, _: Any) -> bool:
        if len(server.asked) > 2:
            return False
        handler.say(200, b'{"data": [', content_length="5000")
        handler.close_connection = True
        return True

    server.behave = cut

    assert embeddings().embed(["a"]).shape == (1, 384)
    assert len(server.asked) == 3
    assert clock.paused == [0.5, 1.0]


@pytest.mark.parametrize(("status", "tries"), [(429, 3), (500, 3), (502, 3), (503, 3), (408, 3)])
def test_a_busy_server_is_asked_again_and_then_a_passing_failure(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint], status: int, tries: int
) -> None:
    server.behave = lambda handler, _: handler.say(status, {"error": {"message": "too much to do"}}) or True

    with pytest.raises(EndpointBusy, match=f'answers {status}: "too much to do" .3 of 3 attempts') as failed:
        embeddings().embed(["a"])

    assert failed.value.passes
    assert len(server.asked) == tries


@pytest.mark.parametrize("given", ["7", "date"])
def test_a_pause_is_as_long_as_the_server_asks_for(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint], clock: FastClock, given: str
) -> None:
    from datetime import timedelta

    after = given if given == "7" else format_datetime(utc_now() + timedelta(seconds=8), usegmt=True)
    server.behave = lambda handler, _: len(server.asked) == 1 and (handler.say(429, {}, retry_after=after) or True)

    embeddings().embed(["a"])

    assert len(server.asked) == 2
    assert 5 <= clock.paused[0] <= 8


def test_it_is_given_up_at_once_when_the_server_wants_a_long_pause(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint], clock: FastClock
) -> None:
    server.behave = lambda handler, _: handler.say(429, {}, retry_after="3600") or True

    with pytest.raises(EndpointBusy):
        embeddings().embed(["a"])

    assert (len(server.asked), clock.paused) == (1, [])


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, EndpointRefused),
        (413, EndpointRefused),
        (422, EndpointRefused),
        (404, EndpointWrong),
        (401, EndpointWrong),
    ],
)
def test_a_refusal_is_final_and_told_in_short(
    server: OpenAIServer, embeddings: Callable[..., EmbeddingsEndpoint], status: int, kind: type[EndpointFault]
) -> None:
    server.behave = lambda handler, _: handler.say(status, {"error": {"message": "too long\n" + "x" * 2000}}) or True

    with pytest.raises(kind) as failed:
        embeddings().embed(["a"])

    assert len(server.asked) == 1
    assert len(failed.value.message) < 700
    assert not failed.value.passes


def test_others_fail_at_once_when_the_server_does_not_answer(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint], clock: FastClock
) -> None:
    done = threading.Event()
    server.behave = lambda handler, _: done.wait(30) and True
    model = chat(timeout_seconds=0.3, concurrency=2)
    try:
        made = model.generate([Prompt(text=str(number)) for number in range(40)])
    finally:
        done.set()

    assert all(isinstance(one.fault, EndpointBusy) for one in made)
    assert len(server.asked) <= 6
    server.behave = None
    assert isinstance(model.generate([Prompt(text="too early")])[0].fault, EndpointBusy)
    clock.later = 10
    assert model.generate([Prompt(text="two words")])[0].text == "A text of 2 words."


def test_an_answer_that_drips_is_given_up_in_time(server: OpenAIServer, embeddings: Callable[..., Any]) -> None:
    stop = threading.Event()

    def drip(handler: Any, _: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not stop.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()
        handler.close_connection = True
        return True

    server.behave = drip
    try:
        with pytest.raises(EndpointBusy, match=r"no answer within 0\.4 s"):
            embeddings(timeout_seconds=0.4, attempts=1).embed(["a"])
    finally:
        stop.set()


def test_it_is_a_passing_failure_when_nobody_listens(server: OpenAIServer, embeddings: Callable[..., Any]) -> None:
    model = embeddings(attempts=2)
    server.stop()

    with pytest.raises(EndpointBusy, match="no connection"):
        model.embed(["a"])


def test_a_redirect_is_refused_and_no_key_goes_along(
    server: OpenAIServer, embeddings: Callable[..., Any], cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    with openai_server(cache_dir) as other:
        to = f"{other.url}/embeddings"
        server.behave = lambda handler, _: handler.say(307, {}, location=to) or True

        with pytest.raises(EndpointWrong, match=r"redirects .307"):
            embeddings(api_key_env="FAR_KEY").embed(["a"])

        assert other.asked == []
    assert server.asked[0].authorization == f"Bearer {KEY}"


def test_proxies_of_the_environment_are_not_used(
    server: OpenAIServer, embeddings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert embeddings().embed(["a"]).shape == (1, 384)


@pytest.mark.parametrize("status", [401, 400, 500, 302])
def test_the_key_stands_in_no_error_when_the_server_repeats_it(
    server: OpenAIServer,
    embeddings: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    server.behave = lambda handler, _: handler.say(status, {"error": {"message": f"bad key {KEY}!"}}) or True
    caplog.set_level(0)

    with pytest.raises(EndpointFault) as failed:
        embeddings(api_key_env="FAR_KEY").embed(["a"])

    frames = traceback.TracebackException.from_exception(failed.value, capture_locals=True)
    shown = "".join(frames.format())
    assert KEY not in shown
    assert KEY not in caplog.text
    error = failed.value
    assert KEY.encode() not in pickle.dumps((error.args, error.__dict__))
    assert error.message


@pytest.mark.parametrize(
    ("value", "reason"), [(None, "is not set"), ("", "does not hold a key"), ("a\nb", "hold a key")]
)
def test_a_key_that_cannot_be_sent_is_named_by_its_variable(
    server: OpenAIServer,
    embeddings: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    value: str | None,
    reason: str,
) -> None:
    if value is not None:
        monkeypatch.setenv("FAR_KEY", value)

    with pytest.raises(EndpointWrong, match=reason):
        embeddings(api_key_env="FAR_KEY").embed(["a"])

    assert server.asked == []


def test_texts_and_pictures_are_answered_in_order(server: OpenAIServer, chat: Callable[..., ChatEndpoint]) -> None:
    prompts = [Prompt(text="word " * number, instructions="Count.") for number in range(1, 9)]
    pictures = [thumbnail(photos()[name]) for name in ("rocket", "coffee")]

    texts = chat().generate(prompts)
    seen = chat(vision=True).generate([Prompt(text="What is it?", images=[one]) for one in pictures])

    assert [one.text for one in texts] == [f"A text of {number} words." for number in range(1, 9)]
    assert [one.text for one in seen] == ["1 picture of blue, 640x427", "1 picture of red, 600x400"]
    assert server.asked[0].body["messages"][0] == {"role": "system", "content": "Count."}


def test_a_picture_is_not_sent_when_the_table_does_not_say_vision(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint]
) -> None:
    (made,) = chat().generate([Prompt(text="?", images=[b"jpeg"])])

    assert made.fault is not None
    assert "vision = true" in made.fault.message
    assert server.asked == []


@pytest.mark.parametrize("knows_schema", [True, False])
def test_an_object_follows_the_schema_when_the_server_knows_schemas_or_not(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint], knows_schema: bool
) -> None:
    server.knows_schema = knows_schema
    model = chat(concurrency=1)

    made = model.generate([Prompt(text="one two three"), Prompt(text="one")], Style(as_object=True, schema=SCHEMA))

    assert [one.value["words"] for one in made if one.value] == [3, 1]
    asked = [one.body.get("response_format", {}).get("type") for one in server.asked]
    assert asked == ["json_schema"] * 2 if knows_schema else ["json_schema", "json_object", "json_object"]


def test_schemas_are_asked_for_when_the_server_refused_another_one(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint]
) -> None:
    other = {"type": "object", "properties": {"odd": {"type": "string"}}}

    def picky(handler: Any, body: dict[str, Any]) -> bool:
        wanted = body["response_format"]
        if wanted["type"] != "json_schema" or "odd" not in wanted["json_schema"]["schema"]["properties"]:
            return False
        handler.say(400, {"error": {"message": "the schema is not supported"}})
        return True

    server.behave = picky
    model = chat(concurrency=1)
    for schema in (other, SCHEMA, other, SCHEMA):
        (made,) = model.generate([Prompt(text="one two")], Style(as_object=True, schema=schema))
        assert made.fault is None

    asked = [one.body["response_format"]["type"] for one in server.asked]
    assert asked == ["json_schema", "json_object", "json_schema", "json_object", "json_schema"]


def test_an_object_without_a_schema_is_asked_for_once_when_the_server_refuses(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint]
) -> None:
    server.behave = lambda handler, _: handler.say(400, {"error": {"message": "no"}}) or True

    (made,) = chat().generate([Prompt(text="one two")], Style(as_object=True))

    assert isinstance(made.fault, EndpointRefused)
    asked = [one.body.get("response_format", {}).get("type") for one in server.asked]
    assert asked == ["json_object", None]


def test_a_schema_that_cannot_be_sent_is_a_fault_of_its_prompt(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint]
) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(300):
        schema = {"type": "object", "properties": schema}

    (made,) = chat().generate([Prompt(text="x")], Style(as_object=True, schema=schema))

    assert isinstance(made.fault, EndpointRefused)
    assert server.asked == []


def test_one_bad_prompt_spares_the_others(server: OpenAIServer, chat: Callable[..., ChatEndpoint]) -> None:
    def picky(handler: Any, body: dict[str, Any]) -> bool:
        if "bad" not in body["messages"][-1]["content"]:
            return False
        handler.say(400, {"error": {"message": "that again"}})
        return True

    server.behave = picky

    first, second, third = chat().generate([Prompt(text="good"), Prompt(text="bad"), Prompt(text="good one")])

    assert (first.text, third.text) == ("A text of 1 words.", "A text of 2 words.")
    assert isinstance(second.fault, EndpointRefused)
    assert "that again" in second.fault.message


@pytest.mark.parametrize(
    ("content", "more", "reason"),
    [
        ("no object at all", {}, "it is not JSON"),
        ("[1]", {}, "no JSON object"),
        ('{"words": "three"}', {}, r"\$\.words is not of type integer"),
        ('{"words": 1', {"finish_reason": "length"}, "bound of tokens"),
        ('{"words": NaN}', {}, "not finite"),
        ("", {}, "it is not JSON"),
    ],
)
def test_a_written_object_is_refused_by_name_when_it_is_none(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint], content: str, more: dict[str, Any], reason: str
) -> None:
    server.behave = lambda handler, _: handler.write(content, **more) or True

    (made,) = chat().generate([Prompt(text="x")], Style(as_object=True, schema=SCHEMA))

    assert isinstance(made.fault, EndpointRefused)
    with pytest.raises(EndpointRefused, match=reason):
        raise made.fault
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": []}, {"choices": [{"message": {"content": 7}}]}, {"choices": [{"message": None}]}, []],
)
def test_a_message_is_refused_by_name_when_there_is_none(
    server: OpenAIServer, chat: Callable[..., ChatEndpoint], body: Any
) -> None:
    server.behave = lambda handler, _: handler.say(200, body) or True

    (made,) = chat().generate([Prompt(text="x")])

    assert isinstance(made.fault, EndpointWrong)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('<think>{"b": 2}, or not?</think>\n{"a": [1.5, null]}', {"a": [1.5, None]}),
    ],
)
def test_an_object_is_found_in_what_surrounds_it(text: str, value: dict[str, Any]) -> None:
    assert object_in(text, None) == value


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"required": ["a"]}, "{}"),
        ({"properties": {"a": {"enum": ["x"]}}}, '{"a": "y"}'),
        ({"properties": {"a": {"type": "array", "items": {"type": "string"}}}}, '{"a": ["x", 1]}'),
        ({"properties": {"a": {"type": ["integer", "null"]}}}, '{"a": true}'),
        (None, '{"a": ' + "[" * 40 + "]" * 40 + "}"),
        (None, '{"a": 1' + "0" * 30 + "}"),
        (None, "```json" + "\n" * 200_000 + "{"),
    ],
)
def test_an_object_is_refused_when_it_does_not_follow_its_schema(schema: dict[str, Any] | None, text: str) -> None:
    with pytest.raises(BadAnswer):
        object_in(text, schema)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("url = 3", "url: Input should be a valid string"),
        ('url = "ftp://host/v1"', "url: must begin with http"),
        ('url = "http://user:secret@host/v1"', "url: must not hold a user"),
        ('url = "http://host/v1?key=secret"', "url: must not hold a user"),
        ('url = "http://[::1/v1"', "url: is not a URL"),
        ("dimensions = 0", "dimensions: Input should be greater"),
        (f'api_key = "{KEY}"', "api_key: unknown key. Accepted: kind, title"),
        (f'api_key_env = "{KEY}"', "api_key_env: String should match pattern"),
        ("concurrency = 1000", "concurrency: Input should be less"),
        ("vision = true", "vision: unknown key"),
        ('model = ""', "model: String should have at least 1 character"),
    ],
)
def test_a_table_is_refused_by_its_key_when_it_is_wrong(tmp_path: Path, change: str, told: str) -> None:
    table = {"url": '"http://host/v1"', "model": '"m"', "dimensions": "3"}
    name, _, value = change.partition(" = ")
    text = "\n".join(f"{key} = {value}" for key, value in {**table, name: value}.items())

    with pytest.raises(ModelsFileWrong) as wrong:
        models_of(tmp_path, f'[models.far]\nkind = "openai_embeddings"\n{text}\n')

    assert f"[models.far] {told}" in wrong.value.message
    assert KEY not in wrong.value.message
    assert "secret" not in wrong.value.message


async def test_a_refused_query_spares_those_that_run_with_it(server: OpenAIServer, tmp_path: Path) -> None:
    table = f'[models.far]\nkind = "openai_embeddings"\nurl = "{server.url}"\nmodel = "minilm"\ndimensions = 384\n'
    use_models(models_of(tmp_path, table))

    def picky(handler: Any, body: dict[str, Any]) -> bool:
        if "bad" not in body["input"]:
            return False
        handler.say(400, {"error": {"message": "not that"}})
        return True

    server.behave = picky
    embedder = QueryEmbedder(tmp_path)
    try:
        texts = ["first", *(f"text {number}" for number in range(5)), "bad", "last"]
        made = await asyncio.gather(*(embedder.embed("far", [text]) for text in texts), return_exceptions=True)
    finally:
        await embedder.close()
        use_models(NO_MODELS)

    assert [text for text, one in zip(texts, made, strict=True) if isinstance(one, EndpointRefused)] == ["bad"]
    assert sum(isinstance(one, np.ndarray) for one in made) == 7


def test_a_model_is_known_and_loaded_when_the_file_names_a_server(server: OpenAIServer, tmp_path: Path) -> None:
    use_models(
        models_of(
            tmp_path,
            f"""
            [models.far]
            kind = "openai_embeddings"
            url = "{server.url}/"
            model = "minilm"
            dimensions = 384

            [models.writer]
            kind = "openai_chat"
            url = "{server.url}"
            model = "qwen"
            vision = true

            [defaults]
            generation = "writer"
            """,
        )
    )
    try:
        far, writer = (loaded(name, threads=1, cache_dir=tmp_path) for name in ("far", "writer"))
        vectors = far.embed(["a"])
        (made,) = writer.generate([Prompt(text="one two")])
        far.close()
        writer.close()

        assert (vectors.shape, made.text) == ((1, 384), "A text of 2 words.")
        assert default_model("generation") == "writer"
        assert entry("writer").modalities == ("text", "image")
        assert all(one.installed for one in listed() if one.name in ("far", "writer"))
    finally:
        use_models(NO_MODELS)
