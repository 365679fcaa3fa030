"""Uploads while the bucket answers 503: what is acknowledged is stored, and the work ends once it answers again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conditions import eventually
from tests.photos import png
from tests.port.test_s3 import send
from tests.running import Api, RunningServer
from tests.s3_server import ObjectStorage, Weather

ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED"}


@pytest.fixture
def api(
    weather: tuple[ObjectStorage, Weather],
    private_server: Callable[..., RunningServer],
    api_of: Callable[..., Api],
    unique_name: str,
) -> Api:
    return api_of(private_server(**weather[0].environment(unique_name)), unique_name)


def test_confirmations_end_when_the_storage_answers_again(api: Api, weather: tuple[ObjectStorage, Weather]) -> None:
    storage = weather[1]
    schema = {"properties": {"photo": {"type": "image"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "photos", "bucket_schema": schema})["bucket_id"]
    at = f"/v1/buckets/{bucket}/uploads"
    uploads, etags = [], []
    for number in range(4):
        upload = api.ok("POST", at, {"filename": f"{number}.png", "content_type": "image/png"})
        photo = png("coffee") + bytes(number)
        status, headers, _ = send("PUT", upload["presigned_url"], photo, {"Content-Type": "image/png"})
        assert status == 200
        uploads.append(upload["upload_id"])
        etags.append(headers["etag"])

    storage.fail = 1_000_000
    status, refused = api.call("POST", f"{at}/{uploads[0]}/confirm", {"etag": etags[0]})
    items = [{"upload_id": name, "etag": etag} for name, etag in zip(uploads[1:], etags[1:], strict=True)]
    task = api.ok("POST", f"{at}/confirm/batch", {"confirmations": items})["task_id"]
    seen = len(storage.seen)
    eventually(lambda: len(storage.seen) > seen + 3, until=bool, timeout_seconds=30)

    assert (status, refused["error"]["type"]) == (503, "UnavailableError")
    assert api.ok("GET", f"{at}/{uploads[0]}")["status"] == "PENDING"
    assert api.ok("GET", f"/v1/tasks/{task}")["status"] not in ENDED

    storage.fail = 0
    confirmed = api.ok("POST", f"{at}/{uploads[0]}/confirm", {"etag": etags[0]})
    ended = eventually(
        lambda: api.ok("GET", f"/v1/tasks/{task}"), until=lambda found: found["status"] in ENDED, timeout_seconds=90
    )

    assert confirmed["status"] == "COMPLETED"
    assert ended["status"] == "COMPLETED", ended
    assert len(api.pages(f"/v1/buckets/{bucket}/objects/list")) == 4


def test_clients_see_no_failure_that_passes_and_repeat_what_was_refused(
    api: Api, weather: tuple[ObjectStorage, Weather]
) -> None:
    storage = weather[1]
    schema = {"properties": {"photo": {"type": "image"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "photos", "bucket_schema": schema})["bucket_id"]
    at = f"/v1/buckets/{bucket}"
    upload = api.ok("POST", f"{at}/uploads", {"filename": "a.png", "content_type": "image/png"})
    confirm, photo = f"{at}/uploads/{upload['upload_id']}/confirm", png("coffee")
    blob = {"property": "photo", "type": "image", "upload_id": upload["upload_id"]}

    def put() -> int:
        return send("PUT", upload["presigned_url"], photo, {"Content-Type": "image/png"})[0]

    storage.fail = 1
    assert (put(), api.call("POST", confirm)[0], put()) == (503, 400, 200), "nothing is there before a PUT succeeds"
    storage.fail = 1_000_000
    status, refused = api.call("POST", f"{at}/objects", {"blobs": [blob]})
    assert (status, refused["error"]["details"]["retryable"]) == (503, True), refused
    assert api.pages(f"{at}/objects/list") == []
    storage.fail = 2
    confirmed = api.ok("POST", confirm)

    assert storage.fail == 0
    assert confirmed["status"] == "COMPLETED"
    assert [item["object_id"] for item in api.pages(f"{at}/objects/list")] == [confirmed["object_id"]]
