"""Faces, sounds and tickers through a running server with the official client, searched by photo and by vector."""

from __future__ import annotations

import base64
import io
import json

import mixpeek
import numpy as np
import pytest
from conditions import eventually
from PIL import ImageEnhance, ImageOps
from tests.films import BUNNY
from tests.photos import photos
from tests.speech import clips
from tests.tickers import Ticker, broadcast
from tests.written import jpeg

TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}
TYPES = {"photo": "image", "audio": "audio", "video": "video"}
NEWS = "BREAKING: The warehouse opened in Lisbon with 4,200 shelves."


@pytest.fixture
def client(server, api):
    configuration = mixpeek.Configuration(host=server.base_url, access_token=server.api_key)
    configuration.api_key["NamespaceHeader"] = api.namespace
    with mixpeek.ApiClient(configuration) as opened:
        yield opened


@pytest.fixture
def bucket(client):
    body = {"bucket_name": "media", "bucket_schema": {"properties": {name: {"type": TYPES[name]} for name in TYPES}}}
    return mixpeek.BucketsApi(client).create_bucket(mixpeek.BucketCreateRequest.from_dict(body)).bucket_id


def collected(client, bucket: str, name: str, field: str) -> list[str]:
    """Make a collection and return the addresses of its vectors."""
    body = {
        "collection_name": name.partition("_")[0],
        "source": {"type": "bucket", "bucket_ids": [bucket]},
        "feature_extractor": {"feature_extractor_name": name, "version": "v1", "input_mappings": field},
    }
    body["feature_extractor"]["input_mappings"] = {TYPES[field]: field}
    request = mixpeek.CreateCollectionRequest.from_dict(body)
    made = mixpeek.CollectionsApi(client).create_collection(request)
    return [index.feature_uri for index in made.vector_indexes or ()]


def stored(api, bucket: str, field: str, data: bytes) -> str:
    blob = {"property": field, "type": TYPES[field], "data": {"base64": base64.b64encode(data).decode()}}
    return api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"]


def processed(api, client, bucket: str, objects: list[str]) -> dict:
    batches = mixpeek.BucketBatchesApi(client)
    request = mixpeek.CreateBatchRequest.from_dict({"object_ids": objects})
    batch = batches.create_batch_buckets_batches(bucket, request, auto_submit=True).batch_id
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    return eventually(lambda: api.ok("GET", path), until=lambda one: one["status"].upper() in TERMINAL)


def found(api, collection: str, uri: str, mode: str, value) -> list[dict]:
    search = {"feature_uri": uri, "query": {"input_mode": mode, "value": value}, "top_k": 5}
    config = {"stage_id": "feature_search", "parameters": {"searches": [search], "final_top_k": 5}}
    body = {
        "retriever_name": f"of_{collection}",
        "collection_identifiers": [collection],
        "stages": [{"stage_name": "search", "config": config}],
    }
    retriever = api.ok("POST", "/v1/retrievers", body)["retriever_id"]
    return api.ok("POST", f"/v1/retrievers/{retriever}/execute", {"inputs": {}})["documents"]


def root(document: dict) -> str:
    return document["_internal"]["lineage"]["root_object_id"]


def test_the_same_person_is_found_by_another_photo(api, client, bucket):
    (uri,) = collected(client, bucket, "face_identity_extractor", "photo")
    astronaut = photos()["astronaut"]
    person = stored(api, bucket, "photo", jpeg(astronaut))
    others = [stored(api, bucket, "photo", jpeg(each)) for each in strangers(3)]
    cat = stored(api, bucket, "photo", jpeg(photos()["coffee"]))

    ended = processed(api, client, bucket, [person, *others, cat])

    assert ended["status"].upper() == "COMPLETED", json.dumps(ended)
    another = ImageEnhance.Brightness(ImageOps.mirror(astronaut)).enhance(0.7).resize((400, 400))
    query = f"data:image/jpeg;base64,{base64.b64encode(jpeg(another)).decode()}"
    best, *rest = found(api, "face", uri, "content", query)
    assert root(best) == person
    assert best["score"] > 0.36
    assert all(one["score"] < 0.4 for one in rest if root(one) != person)
    assert {root(one) for one in rest} <= {person, *others}


def strangers(count: int) -> list:
    """Return small faces of Labeled Faces in the Wild, enlarged and framed as a photo is."""
    from PIL import Image
    from skimage import data

    made = []
    for face in data.lfw_subset()[:count]:
        grey = Image.fromarray((face * 255).astype(np.uint8)).resize((150, 150), Image.Resampling.BICUBIC)
        made.append(ImageOps.expand(grey.convert("RGB"), 60, "grey"))
    return made


def test_like_sounds_are_found_by_a_vector_of_one(api, client, bucket):
    (uri,) = collected(client, bucket, "audio_fingerprint_extractor", "audio")
    spoken = [stored(api, bucket, "audio", one.path.read_bytes()) for one in clips("en")]
    music = stored(api, bucket, "audio", sound_of(BUNNY))

    ended = processed(api, client, bucket, [*spoken, music])

    assert ended["status"].upper() == "COMPLETED", json.dumps(ended)
    documents = api.pages("/v1/collections/audio/documents/list", {"return_vectors": True})
    assert {each["label"] for one in documents if root(one) == music for each in one["labels"]} >= {"Music"}
    first = next(one for one in documents if root(one) == spoken[0])
    vector = next(value for value in vectors_of(first) if len(value) == 1024)
    ranked = found(api, "audio", uri, "vector", vector)
    assert root(ranked[0]) == spoken[0]
    assert {root(one) for one in ranked[: len(spoken)]} == set(spoken)


def vectors_of(document: dict) -> list:
    """Return the vectors of a document, wherever an answer has them."""
    held = document.get("vectors") or document.get("_internal", {}).get("vectors") or {}
    return [*held.values(), *(value for value in document.values() if isinstance(value, list))]


def sound_of(video) -> bytes:
    """Return the sound of a video as a WAV file."""
    import av

    buffer = io.BytesIO()
    with av.open(str(video)) as given, av.open(buffer, "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=48_000)
        for frame in given.decode(audio=0):
            for part in resampler.resample(frame):
                out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def test_a_ticker_is_read_and_writing_is_found(api, client, bucket, tmp_path):
    assert collected(client, bucket, "scrolling_text_extractor", "video") == []
    news = stored(api, bucket, "video", broadcast(tmp_path / "news.mp4", Ticker(words=NEWS, speed=200)).read_bytes())
    plain = stored(api, bucket, "video", BUNNY.read_bytes())

    ended = processed(api, client, bucket, [news, plain])

    assert ended["status"].upper() == "COMPLETED", json.dumps(ended)
    told = {root(one): one for one in api.pages("/v1/collections/scrolling/documents/list")}
    assert told[news]["scrolling_text"] == NEWS
    assert (told[plain]["bands_detected"], told[plain]["scroll_bands"]) == (0, [])
