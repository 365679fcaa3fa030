"""What is particular to blobs and staged files in a bucket; what every store does is in test_blobs.py."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import http.server
import json
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.s3_server import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, ObjectStorage, Weather

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import BlobMissing
from prismhouse.storage.blobs.s3 import Bucket, S3BlobStore, S3Links, S3Staging, StorageUnavailable
from prismhouse.storage.blobs.staging import StagedFileChanged, StagedFileMissing

ONE = NamespaceId("ns_one")
TWO = NamespaceId("ns_two")
MIB = 1 << 20
KEY = "org_1/ns_one/api_buckets_uploads_create/upl_1/film.mp4"


def send(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send exactly these headers, as a client that follows a signed URL does."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


async def put(staging: S3Staging, key: str, data: bytes, content_type: str = "video/mp4") -> str:
    url = staging.put_url(key, content_type=content_type, size_bytes=len(data), expires_in_seconds=60)
    status, headers, answer = await asyncio.to_thread(send, "PUT", url, data, {"Content-Type": content_type})
    assert status == 200, answer
    return headers["etag"].strip('"')


async def pieces(data: bytes, size: int = MIB) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
def parts(object_storage: ObjectStorage, unique_name: str) -> tuple[S3BlobStore, S3Staging, S3Links]:
    return object_storage.parts(unique_name)


@pytest.fixture
def blobs(parts: tuple[S3BlobStore, S3Staging, S3Links]) -> S3BlobStore:
    return parts[0]


@pytest.fixture
def staging(parts: tuple[S3BlobStore, S3Staging, S3Links]) -> S3Staging:
    return parts[1]


@pytest.fixture
def links(parts: tuple[S3BlobStore, S3Staging, S3Links]) -> S3Links:
    return parts[2]


async def test_a_large_stream_is_one_blob_and_leaves_nothing_else(
    blobs: S3BlobStore, object_storage: ObjectStorage, unique_name: str
) -> None:
    data = os.urandom(19 * MIB + 7)

    stored = await blobs.put(ONE, pieces(data))

    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert stored.md5 == hashlib.md5(data).hexdigest()
    assert object_storage.keys(unique_name) == [f"blobs/ns_one/{stored.sha256[:2]}/{stored.sha256}"]
    assert await blobs.read(ONE, stored.sha256) == data
    middle = [chunk async for chunk in blobs.stream(ONE, stored.sha256, start=7 * MIB, end=17 * MIB + 1)]
    assert b"".join(middle) == data[7 * MIB : 17 * MIB + 1]


async def test_the_etag_of_parts_is_the_hash_of_their_hashes(object_storage: ObjectStorage, unique_name: str) -> None:
    bucket = Bucket(object_storage.place(unique_name))
    data = os.urandom(20 * MIB)
    hashes = b"".join(hashlib.md5(data[start : start + 8 * MIB]).digest() for start in range(0, len(data), 8 * MIB))

    etag = await bucket.put_stream(f"{unique_name}/parts", pieces(data))

    assert etag == f"{hashlib.md5(hashes).hexdigest()}-3"
    assert (await bucket.head(f"{unique_name}/parts")).etag == etag


async def test_nothing_is_left_when_a_large_stream_breaks(
    blobs: S3BlobStore, object_storage: ObjectStorage, unique_name: str
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(MIB)
        raise ConnectionError("the client went away")

    with pytest.raises(ConnectionError, match="went away"):
        await blobs.put(ONE, broken())

    assert object_storage.keys(unique_name) == []


async def test_a_staged_file_becomes_a_blob_and_stays_until_it_is_discarded(
    blobs: S3BlobStore, staging: S3Staging, object_storage: ObjectStorage, unique_name: str
) -> None:
    data = os.urandom(MIB)
    etag = await put(staging, KEY, data)

    found = await staging.find(KEY)
    stored = await staging.adopt(ONE, KEY, etag=etag)
    again = await staging.adopt(ONE, KEY, etag=etag)

    assert found is not None
    assert (found.size_bytes, found.etag, found.content_type) == (MIB, hashlib.md5(data).hexdigest(), "video/mp4")
    assert stored == again
    assert (stored.sha256, stored.md5) == (hashlib.sha256(data).hexdigest(), found.etag)
    assert await blobs.read(ONE, stored.sha256) == data
    assert object_storage.keys(unique_name) == [
        f"blobs/ns_one/{stored.sha256[:2]}/{stored.sha256}",
        f"uploads/{KEY}",
    ]
    await staging.discard(KEY)
    await staging.discard(KEY)
    assert await staging.find(KEY) is None
    with pytest.raises(StagedFileMissing):
        await staging.adopt(ONE, KEY, etag=etag)
    with pytest.raises(StagedFileMissing):
        await staging.head(KEY, size_bytes=10)


async def test_only_the_confirmed_file_is_adopted(staging: S3Staging) -> None:
    first = await put(staging, KEY, b"one")
    await put(staging, KEY, b"two")

    with pytest.raises(StagedFileChanged):
        await staging.adopt(ONE, KEY, etag=first)


@pytest.mark.parametrize(
    ("size_bytes", "moment"),
    [(MIB, "GET /tests/{}/uploads/"), (10 * MIB, "PUT /tests/{}/incoming/")],
    ids=["small, before it is read", "large, before it is copied"],
)
async def test_a_file_replaced_while_it_is_adopted_is_not_taken_for_the_first(
    weather: tuple[ObjectStorage, Weather],
    object_storage: ObjectStorage,
    unique_name: str,
    size_bytes: int,
    moment: str,
) -> None:
    _, staging, _ = weather[0].parts(unique_name)
    etag = await put(staging, KEY, b"A" * size_bytes)
    weather[1].before = replacing(object_storage, unique_name, moment.format(unique_name), b"B" * size_bytes)

    with pytest.raises(StagedFileChanged):
        await staging.adopt(ONE, KEY, etag=etag)

    weather[1].before = None
    assert not [key for key in object_storage.keys(unique_name) if not key.startswith("uploads/")]


async def test_a_file_replaced_after_it_was_copied_changes_nothing(
    weather: tuple[ObjectStorage, Weather], object_storage: ObjectStorage, unique_name: str
) -> None:
    blobs, staging, _ = weather[0].parts(unique_name)
    data = b"A" * 10 * MIB
    etag = await put(staging, KEY, data)
    weather[1].before = replacing(object_storage, unique_name, f"GET /tests/{unique_name}/incoming/", b"B" * 10 * MIB)

    stored = await staging.adopt(ONE, KEY, etag=etag)

    assert stored.md5 == etag
    assert await blobs.read(ONE, stored.sha256) == data


def replacing(storage: ObjectStorage, prefix: str, moment: str, data: bytes) -> Callable[[str], None]:
    """Return what puts other bytes under the key at the first request that begins so."""
    _, staging, _ = storage.parts(prefix)
    left = [moment]

    def replace(request: str) -> None:
        if left and request.startswith(left[0]):
            left.clear()
            url = staging.put_url(KEY, content_type="video/mp4", size_bytes=len(data), expires_in_seconds=60)
            assert send("PUT", url, data, {"Content-Type": "video/mp4"})[0] == 200

    return replace


async def test_a_file_put_in_parts_is_adopted_under_its_own_etag(
    blobs: S3BlobStore, staging: S3Staging, object_storage: ObjectStorage, unique_name: str
) -> None:
    data = os.urandom(10 * MIB)
    etag = await Bucket(object_storage.place(unique_name)).put_stream(f"{unique_name}/uploads/{KEY}", pieces(data))

    stored = await staging.adopt(ONE, KEY, etag=etag)

    assert etag.endswith("-2")
    assert stored.md5 == hashlib.md5(data).hexdigest()
    assert await blobs.read(ONE, stored.sha256) == data


async def test_an_empty_file_is_a_file(staging: S3Staging, blobs: S3BlobStore) -> None:
    etag = await put(staging, KEY, b"")

    stored = await staging.adopt(ONE, KEY, etag=etag)

    assert await staging.head(KEY, size_bytes=100) == b""
    assert stored.size_bytes == 0
    assert await blobs.read(ONE, stored.sha256) == b""


async def test_a_signed_put_takes_only_what_was_declared(staging: S3Staging) -> None:
    url = staging.put_url(KEY, content_type="image/png", size_bytes=3, expires_in_seconds=60)
    png = {"Content-Type": "image/png"}

    async def status(method: str, target: str, body: bytes | None, headers: dict[str, str]) -> int:
        return (await asyncio.to_thread(send, method, target, body, headers))[0]

    assert await status("PUT", url, b"abcd", png) == 403
    assert await status("PUT", url, b"abc", {"Content-Type": "text/html"}) == 403
    assert await status("PUT", url, b"abc", {}) == 403
    assert await status("GET", url, None, png) == 403
    assert await status("PUT", url.replace("film.mp4", "other.mp4"), b"abc", png) == 403
    assert await status("PUT", url[:-4] + "0000", b"abc", png) == 403
    assert await staging.find(KEY) is None
    assert await status("PUT", url, b"abc", png) == 200


async def test_links_serve_blobs_under_their_type_and_name(blobs: S3BlobStore, links: S3Links) -> None:
    stored = await blobs.put(ONE, b"<p>hello</p>")
    url = links.get_url(
        ONE, stored.sha256, content_type="text/html", filename='Bericht "Ü%".html', expires_in_seconds=60
    )

    status, headers, body = await asyncio.to_thread(send, "GET", url)
    partial, ranged, piece = await asyncio.to_thread(send, "GET", url, None, {"Range": "bytes=3-7"})

    assert (status, body, headers["content-type"]) == (200, b"<p>hello</p>", "text/html")
    assert headers["content-disposition"].startswith("attachment; "), "a page must not act on the bucket's address"
    assert "filename*=UTF-8''Bericht%20%22%C3%9C%25%22.html" in headers["content-disposition"]
    assert (partial, piece, ranged["content-range"]) == (206, b"hello", "bytes 3-7/12")
    assert (await asyncio.to_thread(send, "GET", url.replace("text%2Fhtml", "image%2Fpng")))[0] == 403
    assert (await asyncio.to_thread(send, "DELETE", url))[0] == 403


@pytest.mark.parametrize(
    "key",
    [
        "o/n/a b/Ü 文件?&#+=.txt",
        "o/n/../../x",
        "o//n/./",
        "../o",
        "o/n/50%/%41",
        "o/n/\x01\x7f\\x",
        "o/n/~'(!*)$@,:;=[]{}|^`\"<>",
        f"o/n/{'é' * 200}.txt",
        f"o/n/~{'0' * 64}",
        f"o/n/{'x' * 200}..",
        "o/n/" + "x" * 1020,
    ],
)
async def test_any_key_is_its_own_file(staging: S3Staging, blobs: S3BlobStore, key: str) -> None:
    other = f"{key[:-1]}y"
    etag = await put(staging, key, b"here")

    stored = await staging.adopt(ONE, key, etag=etag)

    assert await blobs.read(ONE, stored.sha256) == b"here"
    assert await staging.find(other) is None
    assert [found async for found in staging.keys(older_than_seconds=0)] in ([[key]], [])
    await staging.discard(key)
    assert await staging.find(key) is None


async def test_staged_files_of_a_namespace_go_together(staging: S3Staging) -> None:
    mine, same, other = "o/ns_one/a/1/x", "o/ns_one/a/2/" + "y" * 1000, "o/ns_one2/a/1/x"
    for key in (mine, same, other):
        await put(staging, key, b"1")

    await staging.discard_namespace("o", ONE)

    assert [await staging.find(key) is None for key in (mine, same, other)] == [True, True, False]


async def test_young_files_are_not_offered_to_a_sweep(staging: S3Staging) -> None:
    await put(staging, KEY, b"1")

    assert [page async for page in staging.keys(older_than_seconds=3600)] == []
    assert [page async for page in staging.keys(older_than_seconds=0)] == [[KEY]]


async def test_a_sweep_removes_what_a_dead_process_left(object_storage: ObjectStorage, unique_name: str) -> None:
    bucket = Bucket(object_storage.place(unique_name))
    blobs = S3BlobStore(bucket)
    links = S3Links(bucket, blobs=blobs)
    await bucket.put(blobs.private_key(), b"half")
    alive = S3Staging(bucket, blobs=blobs, links=links)
    later = S3Staging(bucket, blobs=blobs, links=links, private_seconds=-60)

    assert [page async for page in alive.keys(older_than_seconds=0)] == []
    assert len(object_storage.keys(unique_name)) == 1
    assert [page async for page in later.keys(older_than_seconds=0)] == []
    assert object_storage.keys(unique_name) == []


async def test_memory_stays_bounded_when_a_large_file_is_adopted(staging: S3Staging) -> None:
    etag = await put(staging, KEY, bytes(96 * MIB))
    tracemalloc.start()
    try:
        await staging.adopt(ONE, KEY, etag=etag)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 48 * MIB


async def test_passing_failures_are_not_seen(weather: tuple[ObjectStorage, Weather], unique_name: str) -> None:
    storage, state = weather
    blobs, _, _ = storage.parts(unique_name)

    state.fail = 2
    stored = await blobs.put(ONE, b"x")
    state.fail = 2

    assert await blobs.read(ONE, stored.sha256) == b"x"


async def test_lasting_failures_say_what_the_storage_answers(
    weather: tuple[ObjectStorage, Weather], unique_name: str
) -> None:
    storage, state = weather
    blobs, staging, _ = storage.parts(unique_name)
    stored = await blobs.put(ONE, b"x")
    state.fail = 1_000

    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: blobs.put(ONE, b"y"),
        lambda: blobs.read(ONE, stored.sha256),
        lambda: blobs.delete(ONE, stored.sha256),
        lambda: staging.find(KEY),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable, match="answers 503"):
            await call()
    assert await blobs.fault() == "Files cannot be stored: it answers 503 (SlowDown)."
    assert len(state.seen) < 40, "retries have an end"
    state.fail = 0
    assert await blobs.fault() is None
    assert await blobs.read(ONE, stored.sha256) == b"x"


async def test_a_silent_storage_is_given_up(weather: tuple[ObjectStorage, Weather], unique_name: str) -> None:
    storage, state = weather
    blobs, _, _ = storage.parts(unique_name, timeout_seconds=0.3)
    state.hang = True

    with pytest.raises(StorageUnavailable, match="in time"):
        await blobs.put(ONE, b"x")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"secret_access_key": "wrong-secret"}, "secret access key is wrong"),
        ({"access_key_id": "AKNOBODY"}, "access key is unknown"),
        ({"url": "s3://missing-bucket/x"}, "bucket does not exist"),
        ({"endpoint": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"access_key_id": None, "secret_access_key": None}, "no access key is set"),
    ],
)
async def test_a_fault_names_what_is_wrong_and_no_secret(
    object_storage: ObjectStorage,
    unique_name: str,
    changed: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    blobs, _, _ = object_storage.parts(unique_name, **changed)

    fault = await blobs.fault()

    assert fault is not None
    assert words in fault
    assert "wrong-secret" not in fault
    with pytest.raises(StorageUnavailable):
        await blobs.put(ONE, b"x")


async def test_missing_blobs_are_told_from_a_failing_storage(blobs: S3BlobStore) -> None:
    with pytest.raises(BlobMissing):
        await blobs.read(TWO, "0" * 64)


async def test_keys_of_the_environment_do_not_mix_with_those_of_the_settings(
    object_storage: ObjectStorage, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BUCKET"):
        monkeypatch.setenv(name, "another")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")

    blobs, _, _ = object_storage.parts(unique_name)

    assert await blobs.fault() is None
    assert BUCKET in object_storage.place(unique_name).base


async def test_signed_urls_lead_to_the_public_endpoint(object_storage: ObjectStorage, unique_name: str) -> None:
    public = object_storage.endpoint.replace("127.0.0.1", "localhost")
    blobs, staging, links = object_storage.parts(unique_name, public_endpoint=public)

    etag = await put(staging, KEY, b"abc")
    stored = await staging.adopt(ONE, KEY, etag=etag)
    url = links.get_url(ONE, stored.sha256, content_type=None, filename=None, expires_in_seconds=60)

    assert url.startswith(f"{public}/{BUCKET}/{unique_name}/blobs/")
    assert (await asyncio.to_thread(send, "GET", url))[2] == b"abc"
    assert await blobs.read(ONE, stored.sha256) == b"abc"


@pytest.fixture
def machine_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A server that gives keys to what runs in a container, as those of clouds do."""
    answer = {
        "AccessKeyId": ACCESS_KEY_ID,
        "SecretAccessKey": SECRET_ACCESS_KEY,
        "Token": "",
        "Expiration": "2099-01-01T00:00:00Z",
    }

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/keys")
        (tmp_path / "token").write_text("t")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        yield
        server.shutdown()
        thread.join()


async def test_keys_of_the_machine_store_and_sign(
    machine_keys: None, object_storage: ObjectStorage, unique_name: str
) -> None:
    public = object_storage.endpoint.replace("127.0.0.1", "localhost")
    nobody = {"access_key_id": None, "secret_access_key": None}
    blobs, staging, links = object_storage.parts(unique_name, **nobody, public_endpoint=public)

    assert await blobs.fault() is None
    url = staging.put_url(KEY, content_type="video/mp4", size_bytes=3, expires_in_seconds=60)
    status, headers, _ = await asyncio.to_thread(send, "PUT", url, b"abc", {"Content-Type": "video/mp4"})
    stored = await staging.adopt(ONE, KEY, etag=headers["etag"].strip('"'))
    link = links.get_url(ONE, stored.sha256, content_type="video/mp4", filename="x", expires_in_seconds=60)

    assert status == 200
    assert link.startswith(f"{public}/")
    assert (await asyncio.to_thread(send, "GET", link))[2] == b"abc"
    assert (await asyncio.to_thread(send, "PUT", link, b"xyz"))[0] == 403
