"""Models asked directly, and extractors tried: shapes, selectors, what is refused, and who shares what."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import httpx2
import numpy as np
import pytest
from mixpeek import models
from tests.opened import Open, assert_envelope
from tests.photos import png
from tests.speech import clips, word_errors

from prismhouse.engine.inference.registry import (
    CONSE,
    EFFICIENTNET,
    FACES,
    MINILM,
    PAGE_LAYOUT,
    PP_OCR,
    WHISPER_BASE,
    WHISPER_TINY_EN,
    YAMNET,
)

PATH = "/v1/inference"


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    """A client in a namespace of its own."""
    made = opened.client()
    made.timeout = 120
    await made.post("/v1/namespaces", json={"namespace_name": "asked"})
    made.headers["X-Namespace"] = "asked"
    return made


def silence() -> str:
    """Return a second of nothing as a WAV file in base64."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(32_000))
    return encoded(buffer.getvalue())


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def ask(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    """Send what the client's class makes of a body; return an answer that its other class reads."""
    sent = models.RawInferenceRequest.from_dict(body)
    assert sent is not None
    answer = await client.post(PATH, json=sent.to_dict())
    while answer.status_code == 503 and answer.json()["error"]["code"] == "model_warming":
        answer = await client.post(PATH, json=sent.to_dict())  # which waits for the model, for ten seconds
    assert answer.status_code == 200, answer.text
    assert models.RawInferenceResponse.from_dict(answer.json()) is not None
    assert set(answer.json()) == {"data", "provider", "model", "tokens_used", "latency_ms", "cached"}
    return answer.json()  # type: ignore[no-any-return]


async def test_texts_become_vectors_of_the_space_that_is_searched(opened: Open, client: httpx2.AsyncClient) -> None:
    one = await ask(client, inference_name=MINILM, inputs={"text": "a cat"})
    several = await ask(client, provider="prismhouse", model=MINILM, inputs={"texts": ["a dog", "a cat"]})
    named = await ask(client, feature_uri="mixpeek://text_extractor@v1/embedding", inputs={"prompts": ["a cat"]})

    queried = (await opened.house.embedder.embed(MINILM, ["a cat"]))[0]
    assert (one["provider"], one["model"], one["cached"]) == ("prismhouse", MINILM, False)
    for row in (one["data"], several["data"][1], named["data"][0]):
        assert np.allclose(row, queried, atol=1e-5)


async def test_pictures_become_vectors_when_a_model_takes_them(client: httpx2.AsyncClient) -> None:
    cat, picture = {"text": "a cat"}, {"image_base64": encoded(png("chelsea"))}
    uri = "mixpeek://image_extractor@v1/embedding"

    seen = np.array((await ask(client, feature_uri=uri, inputs=picture))["data"])
    words = [np.array((await ask(client, inference_name=CONSE, inputs=i))["data"]) for i in (cat, {"text": "a rocket"})]
    look = await ask(
        client, inference_name=EFFICIENTNET, inputs={"image_base64": "data:image/png;base64," + picture["image_base64"]}
    )

    assert seen @ words[0] > seen @ words[1]
    assert len(look["data"]) == 1280


async def test_files_are_read_by_models_of_every_task(client: httpx2.AsyncClient) -> None:
    clip = clips("en")[0]
    person = {"image_base64": encoded(png("astronaut"))}
    sound = {"audio_base64": encoded(clip.path.read_bytes())}

    faces = await ask(client, inference_name=FACES, inputs=person)
    none = await ask(client, inference_name=FACES, inputs={"image_base64": encoded(png("rocket"))})
    heard = await ask(client, inference_name=YAMNET, inputs=sound)
    said = await ask(client, inference_name=WHISPER_TINY_EN, inputs=sound, parameters={"language": "en"})
    layout = await ask(client, inference_name=PAGE_LAYOUT, inputs=person)
    written = await ask(client, inference_name=PP_OCR, inputs=person)

    (face,) = faces["data"]
    assert (len(face["embedding"]), face["bbox"]["width"] > 50, none["data"]) == (128, True, [])
    assert heard["data"][0]["labels"][0]["label"] == "Speech"
    assert len(heard["data"][0]["embedding"]) == 1024
    wrong, words = word_errors(clip.transcript, said["data"]["text"])
    assert wrong <= words / 4
    assert said["data"]["words"][0]["start"] < said["data"]["words"][0]["end"]
    assert {"type", "bbox", "confidence"} == set(layout["data"][0])
    assert written["data"]["lines"] == []


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({}, 400, "selector_invalid", "no selector"),
        ({"provider": "openai"}, 400, "selector_invalid", "`model` is missing"),
        ({"model": "gpt"}, 400, "selector_invalid", "`provider` is missing"),
        ({"inference_name": MINILM, "feature_uri": "x"}, 400, "selector_invalid", "inference_name and feature_uri"),
        ({"provider": "acme", "model": "x"}, 400, "provider_unknown", "Known: openai, google, gemini, anthropic"),
        ({"provider": "openai", "model": "gpt"}, 404, "model_not_found", "PRISMHOUSE_INFERENCE__MODELS_FILE"),
        ({"inference_name": "nope"}, 404, "model_not_found", MINILM),
        ({"feature_uri": "mixpeek://nope@v1/x"}, 404, "feature_not_found", "mixpeek://text_extractor@v1/"),
    ],
)
async def test_a_selector_that_names_no_model_says_what_would(
    client: httpx2.AsyncClient, body: dict[str, Any], status: int, code: str, said: str
) -> None:
    error = assert_envelope(await client.post(PATH, json={**body, "inputs": {"text": "a"}}), status)

    assert error["code"] == code
    assert said in str(error["message"])


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        (MINILM, {"inputs": {}}, "Accepted keys: text, texts, prompts, image_url"),
        (MINILM, {"inputs": {"txt": "a"}}, "txt: unknown. Accepted keys: text"),
        (MINILM, {"inputs": {"text": "  "}}, "not blank"),
        (MINILM, {"inputs": {"texts": []}}, "at least one"),
        (MINILM, {"inputs": {"texts": "a"}}, "list of texts"),
        (MINILM, {"inputs": {"text": "a", "texts": ["b"]}}, "send one of them"),
        (MINILM, {"inputs": {"texts": ["a"] * 1001}}, "at most 1000"),
        (MINILM, {"inputs": {"image_url": "http://a.invalid"}}, "reads one of: text, texts, prompts."),
        (MINILM, {"inputs": {"text": "a"}, "parameters": {"temperature": 1}}, "has none"),
        (MINILM, {"inputs": {"text": "a"}, "cache_delta": 2}, "less than or equal to 1"),
        (MINILM, {"inputs": {"text": "a"}, "mood": 1}, "Accepted keys: cache_delta"),
        (YAMNET, {"inputs": {"text": "a"}}, "video_url, video_base64, audio_url, audio_base64"),
        (CONSE, {"inputs": {"image_base64": "%%%"}}, "not base64"),
        (CONSE, {"inputs": {"image_base64": "data:,"}}, "not base64"),
        (CONSE, {"inputs": {"image_base64": encoded(b"GIF89a")}}, "damaged"),
        (EFFICIENTNET, {"inputs": {"image_base64": encoded(b"not a picture")}}, "Expected an image"),
        (PP_OCR, {"inputs": {"image_base64": encoded(b"not a picture")}}, "Expected an image"),
        (WHISPER_TINY_EN, {"inputs": {"audio_base64": encoded(b"no sound")}}, "Expected"),
        (
            WHISPER_BASE,
            {"inputs": {"audio_base64": silence()}, "parameters": {"language": "zz"}},
            "body.parameters.language: whisper_base_v1 knows af, am,",
        ),
        (WHISPER_TINY_EN, {"inputs": {"audio_base64": "AAAA"}, "parameters": {"language": "de"}}, "knows en alone"),
        (PP_OCR, {"inputs": {"image_url": "http://127.0.0.1/a.png"}}, "private or reserved"),
        (PP_OCR, {"inputs": {"image_url": "file:///etc/passwd"}}, "only http and https"),
    ],
)
async def test_inputs_that_do_not_fit_are_named(
    client: httpx2.AsyncClient, name: str, body: dict[str, Any], said: str
) -> None:
    error = assert_envelope(await client.post(PATH, json={"inference_name": name, **body}), 422)

    assert said in str(error["message"])


async def test_answers_are_given_again_to_nobody_else_when_they_are_kept(
    opened: Open, client: httpx2.AsyncClient
) -> None:
    body = {"inference_name": MINILM, "inputs": {"text": "a secret of one tenant"}, "enable_semantic_cache": True}
    other = opened.client(opened.other_key)
    await other.post("/v1/namespaces", json={"namespace_name": "asked"})
    other.headers["X-Namespace"] = "asked"
    await client.post("/v1/namespaces", json={"namespace_name": "second"})

    first = await ask(client, **body)
    again = await ask(client, **body)
    theirs = await ask(other, **body)
    client.headers["X-Namespace"] = "second"
    elsewhere = await ask(client, **body)

    assert [one["cached"] for one in (first, again, theirs, elsewhere)] == [False, True, False, False]
    assert again["data"] == first["data"]
    assert not (await ask(client, **{**body, "enable_semantic_cache": False}))["cached"]


async def test_a_file_is_not_read_twice_when_its_answer_is_kept(client: httpx2.AsyncClient) -> None:
    body = {"inference_name": PP_OCR, "inputs": {"image_base64": encoded(png("coffee"))}, "enable_semantic_cache": True}

    first, again = await ask(client, **body), await ask(client, **body)
    other = await ask(client, **{**body, "inference_name": PAGE_LAYOUT})

    assert (first["cached"], again["cached"], other["cached"]) == (False, True, False)
    assert again["data"] == first["data"]


async def test_a_link_to_a_stored_file_is_read_though_its_host_is_not_fetched(
    opened: Open, client: httpx2.AsyncClient
) -> None:
    namespace_id = (await client.get("/v1/namespaces/asked")).json()["namespace_id"]
    stored = await opened.house.blobs.put(namespace_id, png("chelsea"))
    link = opened.house.links.get_url(
        namespace_id, stored.sha256, content_type="image/png", filename=None, expires_in_seconds=60
    )

    told = await ask(client, inference_name=EFFICIENTNET, inputs={"image_url": link})
    forged = await client.post(
        PATH, json={"inference_name": EFFICIENTNET, "inputs": {"image_url": link.replace("expires=1", "expires=2")}}
    )

    assert len(told["data"]) == 1280
    assert "is not fetched" in str(assert_envelope(forged, 422)["message"])


async def test_a_foreign_namespace_and_no_key_are_refused(opened: Open, client: httpx2.AsyncClient) -> None:
    own = (await client.get("/v1/namespaces/asked")).json()["namespace_id"]
    other = opened.client(opened.other_key, **{"X-Namespace": own})
    body = {"inference_name": MINILM, "inputs": {"text": "a"}}

    assert_envelope(await other.post(PATH, json=body), 404)
    assert_envelope(await other.post("/v1/extractors/text_extractor_v1/test", json={"inputs": {"text": "a"}}), 404)
    assert_envelope(await opened.client("").post(PATH, json=body), 401)


async def test_an_extractor_tells_what_a_batch_would_write_when_it_is_tried(
    opened: Open, client: httpx2.AsyncClient
) -> None:
    body = {"inputs": {"text": "one two three"}, "parameters": {"split_by": "words", "chunk_size": 2}}

    told = (await client.post("/v1/extractors/text_extractor_v1/test", json=body)).json()

    assert (told["status"], told["document_count"], told["failures"]) == ("succeeded", 2, [])
    assert [one["fields"]["text"] for one in told["documents"]] == ["one two", "three"]
    assert [one["position"] for one in told["documents"]] == [{"chunk_index": 0}, {"chunk_index": 1}]
    (vector,) = told["documents"][0]["vectors"].values()
    assert np.allclose(vector, (await opened.house.embedder.embed(MINILM, ["one two"]))[0], atol=1e-4)
    listed = (await client.post("/v1/collections/list", json={})).json()
    assert listed["total_count"] == 0


@pytest.mark.parametrize(
    ("extractor", "inputs", "status", "code"),
    [
        ("image_extractor_v1", {"image": {"base64": encoded(b"no picture")}}, "failed", "media_type_mismatch"),
        ("image_extractor_v1", {"image": {"base64": encoded(png("chelsea")[:3000])}}, "failed", "image_corrupt"),
        ("text_extractor_v1", {"text": "   "}, "skipped", None),
    ],
)
async def test_a_sample_that_gives_nothing_is_an_answer_with_its_reason(
    client: httpx2.AsyncClient, extractor: str, inputs: dict[str, Any], status: str, code: str | None
) -> None:
    answer = await client.post(f"/v1/extractors/{extractor}/test", json={"inputs": inputs})

    told = answer.json()
    assert (answer.status_code, told["status"], told["documents"]) == (200, status, [])
    assert [one["code"] for one in told["failures"]] == ([code] if code else [])
    assert (told["skipped_reason"] is not None) == (status == "skipped")


@pytest.mark.parametrize(
    ("extractor", "body", "status", "said"),
    [
        ("nope_v1", {"inputs": {"text": "a"}}, 404, "Available: text_extractor_v1"),
        ("text_extractor_v1", {"inputs": {}}, 422, "at least 1"),
        ("text_extractor_v1", {"inputs": {"txt": "a"}}, 422, "It has: text."),
        ("text_extractor_v1", {"inputs": {"text": []}}, 422, "1 to 16"),
        ("text_extractor_v1", {"inputs": {"text": {"text": "a", "url": "b"}}}, 422, "exactly one of"),
        ("text_extractor_v1", {"inputs": {"text": "a"}, "parameters": {"a": 1}}, 422, "body.parameters.a: Unknown"),
        ("image_extractor_v1", {"inputs": {"image": "a picture"}}, 422, "give a URL, a data URI, or `base64`"),
        ("image_extractor_v1", {"inputs": {"image": "http://127.0.0.1/a"}}, 422, "private or reserved"),
    ],
)
async def test_a_trial_that_cannot_be_run_says_why(
    client: httpx2.AsyncClient, extractor: str, body: dict[str, Any], status: int, said: str
) -> None:
    error = assert_envelope(await client.post(f"/v1/extractors/{extractor}/test", json=body), status)

    assert said in str(error["message"])
