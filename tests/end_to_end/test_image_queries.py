"""Photos searched by photos and by words, with the real model."""

from __future__ import annotations

import base64
import io

import pytest
from conditions import eventually
from PIL import ImageOps
from tests.photos import photos, png

NAMES = ("chelsea", "coffee", "rocket", "china")
TERMINAL = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"}


def another_look(name: str) -> bytes:
    """Return the photo mirrored, cut and as a JPEG: not one byte of the stored file."""
    whole = ImageOps.mirror(photos()[name])
    width, height = whole.size
    buffer = io.BytesIO()
    whole.crop((width // 10, height // 10, width, height)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def embedded(data: bytes, mime: str | None) -> str:
    """Return base64, as a data URI when there is a type."""
    encoded = base64.b64encode(data).decode()
    return encoded if mime is None else f"data:{mime};base64,{encoded}"


@pytest.fixture
def searchable(api):
    """Four photos, extracted; gives the calls and what each object is a photo of."""
    schema = {"properties": {"photo": {"type": "image"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "photos", "bucket_schema": schema})["bucket_id"]
    made = {}
    for name in NAMES:
        blob = {"property": "photo", "type": "image", "data": embedded(png(name), "image/png")}
        made[api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob]})["object_id"]] = name
    extractor = {"feature_extractor_name": "image_extractor", "version": "v1", "input_mappings": {"image": "photo"}}
    collection = api.ok(
        "POST",
        "/v1/collections",
        {
            "collection_name": "photos",
            "source": {"type": "bucket", "bucket_ids": [bucket]},
            "feature_extractor": extractor,
        },
    )
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": list(made)})["batch_id"]
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    api.ok("POST", f"{path}/submit", {"collection_ids": [collection["collection_id"]]})
    ended = eventually(lambda: api.ok("GET", path), until=lambda b: b["status"].upper() in TERMINAL)
    assert ended["status"].upper() == "COMPLETED", ended
    return api, made, collection["vector_indexes"][0]["feature_uri"]


def test_a_photo_finds_the_stored_photo_of_the_same_thing(searchable):
    api, made, uri = searchable
    search = {"feature_uri": uri, "query": {"input_mode": "content", "value": "{{INPUT.photo}}"}}
    config = {"stage_id": "feature_search", "parameters": {"searches": [search], "final_top_k": 4}}
    body = {
        "retriever_name": "alike",
        "collection_identifiers": ["photos"],
        "input_schema": {"photo": {"type": "image", "required": True}},
        "stages": [{"stage_name": "search", "config": config}],
    }
    retriever = api.ok("POST", "/v1/retrievers", body)["retriever_id"]

    for name in NAMES:
        for mime in ("image/jpeg", None):
            asked = {"inputs": {"photo": embedded(another_look(name), mime)}}
            best = api.ok("POST", f"/v1/retrievers/{retriever}/execute", asked)["documents"][0]
            assert made[best["_internal"]["lineage"]["root_object_id"]] == name
    status, answer = api.call(
        "POST", f"/v1/retrievers/{retriever}/execute", {"inputs": {"photo": embedded(b"no", None)}}
    )
    assert status == 422
    assert "image" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"text": "a cat"}, "chelsea"),
        ({"text": "a cup of espresso"}, "coffee"),
        ({"input_mode": "image", "image": embedded(another_look("chelsea"), "image/jpeg")}, "chelsea"),
    ],
)
def test_words_and_photos_search_the_same_feature(searchable, query, expected):
    api, made, uri = searchable

    found = api.ok("POST", "/v1/features/search", {"query": query, "feature_uri": uri, "top_k": 2})

    assert made[found["documents"][0]["_internal"]["lineage"]["root_object_id"]] == expected
