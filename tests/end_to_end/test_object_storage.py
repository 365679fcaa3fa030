"""A server whose files are in a bucket: a batch from object to documents, and what is said while storage fails."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable

import pytest
from conditions import eventually
from tests.photos import png
from tests.running import Api, RunningServer
from tests.s3_server import SECRET_ACCESS_KEY, ObjectStorage, Weather

PHOTO = {"property": "photo", "type": "image", "data": {"base64": base64.b64encode(png("coffee")).decode()}}


def health(running: RunningServer) -> dict[str, object]:
    with urllib.request.urlopen(f"{running.base_url}/v1/health", timeout=10) as answer:
        found: dict[str, object] = json.loads(answer.read())
    return found


@pytest.fixture
def running(
    weather: tuple[ObjectStorage, Weather], private_server: Callable[..., RunningServer], unique_name: str
) -> RunningServer:
    return private_server(**weather[0].environment(unique_name))


def test_a_batch_runs_and_failures_are_told_when_files_are_in_a_bucket(
    running: RunningServer,
    api_of: Callable[..., Api],
    weather: tuple[ObjectStorage, Weather],
    object_storage: ObjectStorage,
    unique_name: str,
) -> None:
    storage = weather[1]
    api = api_of(running, unique_name)
    schema = {"properties": {"photo": {"type": "image"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "photos", "bucket_schema": schema})["bucket_id"]
    extractor = {"feature_extractor_name": "image_extractor", "version": "v1", "input_mappings": {"image": "photo"}}
    collection = api.ok(
        "POST",
        "/v1/collections",
        {
            "collection_name": "looks",
            "source": {"type": "bucket", "bucket_ids": [bucket]},
            "feature_extractor": extractor,
        },
    )["collection_id"]

    made = api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [PHOTO]})
    batch = api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": [made["object_id"]]})["batch_id"]
    api.ok("POST", f"/v1/buckets/{bucket}/batches/{batch}/submit")
    ended = eventually(
        lambda: api.ok("GET", f"/v1/buckets/{bucket}/batches/{batch}"),
        until=lambda found: found["status"] not in {"QUEUED", "PROCESSING"},
        timeout_seconds=60,
    )

    assert ended["status"] == "COMPLETED", ended
    assert len(api.pages(f"/v1/collections/{collection}/documents/list")) == 1
    assert [key for key in object_storage.keys(unique_name) if key.startswith(f"blobs/{api.namespace}/")]

    storage.fail = 1_000_000
    status, answer = api.call("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [PHOTO]})

    assert (status, answer["error"]["type"]) == (503, "UnavailableError")
    assert "answers 503" in answer["error"]["message"]
    assert answer["error"]["details"]["retryable"] is True
    told = eventually(lambda: health(running), until=lambda found: found["status"] == "degraded", timeout_seconds=15)
    assert "Files cannot be stored: it answers 503 (SlowDown)." in told["reasons"]  # type: ignore[operator]

    storage.fail = 0
    api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [PHOTO]})
    eventually(lambda: health(running), until=lambda found: found["status"] == "healthy", timeout_seconds=15)
    assert SECRET_ACCESS_KEY not in running.log()


def test_the_start_says_what_is_wrong_with_the_keys(
    object_storage: ObjectStorage, private_server: Callable[..., RunningServer], unique_name: str
) -> None:
    started = private_server(**object_storage.environment(unique_name, secret_access_key="hidden-wrong-key"))

    assert "the secret access key is wrong" in started.log()
    assert "Files cannot be stored: the secret access key is wrong." in health(started)["reasons"]  # type: ignore[operator]
    assert "hidden-wrong-key" not in started.log()
