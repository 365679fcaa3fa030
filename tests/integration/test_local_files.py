"""Signed URLs on local disk: what our own server adds to the manners that tests/port/test_staging.py asks of all."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from conditions import eventually
from structlog.testing import capture_logs
from tests.object_storage import LIMIT_BYTES, Reply, Storage, local, send

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.staging import StagedFileMissing

ONE = NamespaceId("ns_one")
KEY = "org_one/ns_one/api_buckets_uploads_create/upl_1/a.bin"
TYPE = "application/octet-stream"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with local(tmp_path) as opened:
        yield opened


def url_of(storage: Storage, key: str = KEY, *, size_bytes: int | None = None, content_type: str = TYPE) -> str:
    return storage.staging.put_url(key, content_type=content_type, size_bytes=size_bytes, expires_in_seconds=600)


def put(storage: Storage, data: bytes | Iterator[bytes], key: str = KEY, **headers: str) -> Reply:
    return send("PUT", url_of(storage, key), data, {"Content-Type": TYPE, **headers})


async def served(storage: Storage, data: bytes, content_type: str | None, filename: str | None = None) -> Reply:
    stored = await storage.blobs.put(ONE, data)
    url = storage.links.get_url(
        ONE, stored.sha256, content_type=content_type, filename=filename, expires_in_seconds=600
    )
    return send("GET", url)


def files_in(storage: Storage, part: str = "") -> list[Path]:
    assert storage.folder is not None
    return [path for path in (storage.folder / part).rglob("*") if path.is_file()]


def error_of(reply: Reply, status: int, code: str) -> dict[str, Any]:
    assert reply.status == status, reply.body
    error: dict[str, Any] = orjson.loads(reply.body)["error"]
    assert error["code"] == code
    return error


# What is refused says why, in the envelope.


def test_a_refusal_says_what_was_signed_and_what_was_sent(storage: Storage) -> None:
    url = url_of(storage, size_bytes=5)

    wrong_type = send("PUT", url, b"12345", {"Content-Type": "text/html"})
    wrong_length = send("PUT", url, b"123456", {"Content-Type": TYPE})
    wrong_method = send("GET", url)

    assert f"'{TYPE}'; 'text/html' was sent" in error_of(wrong_type, 403, "SignatureDoesNotMatch")["message"]
    assert "5 bytes; 6 were sent" in error_of(wrong_length, 403, "SignatureDoesNotMatch")["message"]
    assert "signed for PUT, not for GET" in error_of(wrong_method, 403, "SignatureDoesNotMatch")["message"]
    signature = url.partition("signature=")[2]
    for reply in (wrong_type, wrong_length, wrong_method):
        assert signature.encode() not in reply.body


def test_an_expired_url_says_when_it_expired(storage: Storage) -> None:
    url = url_of(storage)
    assert storage.pass_time is not None

    storage.pass_time(601)

    assert (
        "This URL expired at 20"
        in error_of(send("PUT", url, b"", {"Content-Type": TYPE}), 403, "AccessDenied")["message"]
    )


def test_a_file_over_the_limit_is_413_whether_its_length_was_declared_or_not(storage: Storage) -> None:
    piece = b"x" * 2**20
    pieces = LIMIT_BYTES // len(piece)

    declared = put(storage, piece * (pieces + 1))
    chunked = put(storage, iter([piece] * (pieces + 1)))
    largest = put(storage, iter([piece] * pieces))

    error_of(declared, 413, "EntityTooLarge")
    error_of(chunked, 413, "EntityTooLarge")
    assert largest.status == 200
    assert files_in(storage, "incoming") == []


async def test_a_body_in_chunks_is_taken_when_it_has_the_signed_length(storage: Storage) -> None:
    url = url_of(storage, size_bytes=6)

    longer = send("PUT", url, iter([b"abc", b"def", b"g"]), {"Content-Type": TYPE})
    shorter = send("PUT", url, iter([b"abc"]), {"Content-Type": TYPE})
    exact = send("PUT", url, iter([b"abc", b"def"]), {"Content-Type": TYPE})

    assert (longer.status, shorter.status, exact.status) == (403, 403, 200)
    assert await storage.staging.head(KEY, size_bytes=9) == b"abcdef"


@pytest.mark.parametrize("header", ["nonsense", "", "YWJj", hashlib.md5(b"abc").hexdigest()])
def test_content_md5_is_400_when_it_is_no_md5(storage: Storage, header: str) -> None:
    error_of(put(storage, b"abc", **{"Content-MD5": header}), 400, "InvalidDigest")


def test_conditions_that_a_put_does_not_know_are_501(storage: Storage) -> None:
    error_of(put(storage, b"abc", **{"If-Match": '"x"'}), 501, "NotImplemented")
    error_of(put(storage, b"abc", **{"If-None-Match": '"x"'}), 501, "NotImplemented")


def test_only_this_route_takes_bodies_over_the_common_limit(storage: Storage) -> None:
    url = url_of(storage)
    data = b"x" * 100_000  # the application of these tests takes 4,096 bytes elsewhere

    assert send("PUT", url, data, {"Content-Type": TYPE}).status == 200
    assert send("PUT", url.replace("/v1/blobs/file", "/v1/blobs/other"), data, {"Content-Type": TYPE}).status == 413
    assert send("POST", url, data, {"Content-Type": TYPE}).status == 413
    assert send("PUT", url.replace("/v1/", "/api/v1/"), data, {"Content-Type": TYPE}).status == 200


def test_a_key_of_1024_bytes_makes_a_url_that_the_clients_classes_accept(storage: Storage) -> None:
    key = "org/ns/" + "𝕏" * 254 + "x"
    assert len(key.encode()) == 1024

    url = storage.staging.put_url(key, content_type="x" * 127, size_bytes=5 * 2**30, expires_in_seconds=86_400)

    assert len(url) <= 2083


# What a browser gets.


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("image/drawing+xml", "attachment"),
        ("text/plain+xml", "attachment"),
        ("application/javascript", "attachment"),
        (None, "attachment"),
        ("image/png", "inline"),
        ("video/mp4", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("application/pdf", "inline"),
    ],
)
async def test_an_uploaded_file_cannot_act_as_a_page_of_ours(
    storage: Storage, content_type: str | None, shown: str
) -> None:
    reply = await served(storage, b"<script>alert(1)</script>", content_type, "page.html")

    policy = reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert policy.startswith("sandbox;") or content_type == "application/pdf"
    assert "allow-" not in policy
    assert reply.headers["content-disposition"] == f'{shown}; filename="page.html"'
    assert reply.headers["content-type"] == (content_type or TYPE)
    assert reply.headers["referrer-policy"] == "no-referrer"


async def test_names_are_written_as_rfc_6266_has_them(storage: Storage) -> None:
    reply = await served(storage, b"x", "image/png", 'Grüße "写真".png')

    assert reply.headers["content-disposition"] == (
        "inline; filename=\"Gr__e ____.png\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22%E5%86%99%E7%9C%9F%22.png"
    )


@pytest.mark.parametrize("content_type", ["image/png\r\nSet-Cookie: a=b", "image/png, text/html", "image/é"])
async def test_a_type_that_no_header_can_hold_becomes_bytes(storage: Storage, content_type: str) -> None:
    reply = await served(storage, b"x", content_type)

    assert reply.headers["content-type"] == TYPE
    assert reply.headers["content-disposition"].startswith("attachment")
    assert "set-cookie" not in reply.headers


async def test_pages_of_other_origins_may_use_the_urls_they_were_given(storage: Storage) -> None:
    asked = send(
        "OPTIONS",
        url_of(storage),
        headers={"Origin": "https://ui.example", "Access-Control-Request-Method": "PUT"},
    )
    done = put(storage, b"abc", Origin="https://ui.example")
    refused = send("GET", url_of(storage), headers={"Origin": "https://ui.example"})
    read = await served(storage, b"x", "image/png")

    assert asked.status == 204
    assert "PUT" in asked.headers["access-control-allow-methods"]
    assert asked.headers["access-control-allow-headers"] == "*"
    for reply in (asked, done, refused, read):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in reply.headers
    assert read.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_a_range_of_another_version_gives_the_whole_file(storage: Storage) -> None:
    stored = await storage.blobs.put(ONE, b"0123456789")
    url = storage.links.get_url(ONE, stored.sha256, content_type=None, filename=None, expires_in_seconds=600)
    etag = send("HEAD", url).headers["etag"]
    part = {"Range": "bytes=2-3"}

    assert send("GET", url, headers={**part, "If-Range": etag}).status == 206
    assert send("GET", url, headers={**part, "If-Range": '"other"'}).body == b"0123456789"
    assert send("GET", url, headers={**part, "If-Range": "Mon, 01 Jan 2001 00:00:00 GMT"}).status == 200
    assert send("GET", url, headers={"Range": "bytes=5-2"}).status == 200
    assert send("GET", url, headers={"Range": "bytes=0-1,4-5"}).status == 200
    assert send("GET", url, headers={"Range": "lines=1-2"}).status == 200
    assert send("GET", url, headers={"Range": "bytes=-0"}).status == 416
    unsatisfiable = send("GET", url, headers={"Range": "bytes=99-"})
    assert unsatisfiable.headers["content-range"] == "bytes */10"
    error_of(unsatisfiable, 416, "InvalidRange")


# What is logged.


def test_the_log_never_holds_a_signature(storage: Storage) -> None:
    url = url_of(storage)
    query = urlsplit(url).query

    with capture_logs() as logs:
        assert send("PUT", url, b"abc", {"Content-Type": TYPE}).status == 200
        assert send("PUT", url, b"abc", {"Content-Type": "text/html"}).status == 403
        assert send("PUT", url + "x", b"abc", {"Content-Type": TYPE}).status == 403
        assert send("PUT", url.replace("/file", "/nothing"), b"", {"Content-Type": TYPE}).status == 404

    assert [entry["status"] for entry in logs if entry["event"] == "request"] == [200, 403, 403, 404]
    for name in ("signature", "key_id"):
        value = query.partition(f"{name}=")[2].partition("&")[0]
        assert value
        assert value not in repr(logs)
    assert "signature=" not in repr(logs)


# What a failure leaves.


def test_nothing_is_served_when_the_connection_breaks(storage: Storage) -> None:
    parts = urlsplit(url_of(storage))
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\nContent-Length: 5000000\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(head.encode() + b"x" * 3_000_000)
        eventually(lambda: files_in(storage, "incoming"), until=lambda files: len(files) == 1)

    eventually(lambda: files_in(storage), until=lambda files: files == [])


def test_a_sender_that_falls_silent_is_not_waited_for(storage: Storage) -> None:
    parts = urlsplit(url_of(storage))
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\nContent-Length: 5000000\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(head.encode() + b"x" * 1_000_000)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 408")
    eventually(lambda: files_in(storage), until=lambda files: files == [])


async def test_the_file_before_stays_when_its_replacement_fails(storage: Storage) -> None:
    assert put(storage, b"first").status == 200

    error_of(put(storage, b"second", **{"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}), 400, "BadDigest")

    assert await storage.staging.head(KEY, size_bytes=9) == b"first"
    assert len(files_in(storage, "staged")) == 2


async def test_bytes_of_a_replaced_file_are_removed(storage: Storage) -> None:
    for number in range(3):
        assert put(storage, b"%d" % number).status == 200

    assert len(files_in(storage, "staged")) == 2
    await storage.staging.discard(KEY)
    assert files_in(storage) == []


async def test_leftovers_of_a_crash_are_not_files_and_are_removed_when_they_are_old(storage: Storage) -> None:
    assert put(storage, b"whole").status == 200
    card = next(path for path in files_in(storage, "staged") if path.suffix == ".json")
    orphan = card.with_name(f"{card.stem}.0123456789abcdef")
    orphan.write_bytes(b"half")

    assert [page async for page in storage.staging.keys(older_than_seconds=-60)] == [[KEY]]
    assert orphan.exists(), "a young one may be about to be named"
    os.utime(orphan, (0, 0))
    assert [page async for page in storage.staging.keys(older_than_seconds=-60)] == [[KEY]]
    assert not orphan.exists()
    assert await storage.staging.head(KEY, size_bytes=9) == b"whole"


async def test_a_card_without_its_bytes_is_no_file(storage: Storage) -> None:
    assert put(storage, b"whole").status == 200
    next(path for path in files_in(storage, "staged") if path.suffix != ".json").unlink()

    assert await storage.staging.find(KEY) is None
    with pytest.raises(StagedFileMissing):
        await storage.staging.adopt(ONE, KEY, etag=hashlib.md5(b"whole").hexdigest())


async def test_an_adopted_file_is_the_same_file_on_the_disk(storage: Storage) -> None:
    assert put(storage, b"whole").status == 200
    staged = next(path for path in files_in(storage, "staged") if path.suffix != ".json")

    stored = await storage.staging.adopt(ONE, KEY, etag=hashlib.md5(b"whole").hexdigest())

    blob = storage.blobs.local_path(ONE, stored.sha256)
    assert blob is not None
    assert blob.stat().st_ino == staged.stat().st_ino
    put(storage, b"another")
    assert blob.read_bytes() == b"whole"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Give a folder on a disk of 4 MB."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def small_files(folder: Path) -> Iterator[Path]:
    """Let no file of this process grow over 3 MB: the system then refuses writes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 2**20, before[1]))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("disk", [small_disk, small_files])
async def test_a_full_disk_is_507_and_nothing_half_written_is_served(
    tmp_path: Path, disk: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    with disk(tmp_path) as folder, local(folder) as storage:
        assert put(storage, b"before").status == 200

        full = put(storage, b"x" * 5 * 2**20)

        error = orjson.loads(full.body)["error"]
        assert full.status == 507
        assert error["type"] == "InsufficientStorageError"
        assert error["details"]["retryable"] is True
        assert "no room left" in error["message"]
        assert await storage.staging.head(KEY, size_bytes=9) == b"before"
        assert files_in(storage, "incoming") == []
        assert put(storage, b"x" * 2 * 2**20).status == 200, "a retry works when there is room"
        found = await storage.staging.find(KEY)
        assert found is not None
        assert found.size_bytes == 2 * 2**20


def test_a_short_file_without_room_is_refused_the_same_way(tmp_path: Path) -> None:
    with small_disk(tmp_path) as folder, local(folder) as storage:
        url = url_of(storage)
        filler = folder / "filler"
        with pytest.raises(OSError, match="No space left") as full, filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)
        assert full.value.errno == errno.ENOSPC

        assert send("PUT", url, b"abc", {"Content-Type": TYPE}).status == 507
        filler.unlink()
        assert put(storage, b"abc").status == 200


async def test_a_sweep_removes_what_a_dead_process_left_long_ago(storage: Storage) -> None:
    assert storage.folder is not None
    young, old = (storage.folder / "incoming" / name for name in ("young", "old"))
    for path in (young, old):
        path.write_bytes(b"half a fi")
    os.utime(old, (time.time() - 7200, time.time() - 7200))

    async for _ in storage.staging.keys(older_than_seconds=0):
        pass

    assert young.exists(), "it may belong to a PUT that goes on"
    assert not old.exists()


def test_one_of_several_puts_wins_when_all_ask_for_a_new_file(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as threads:
        replies = [threads.submit(put, storage, b"%d" % number, **{"If-None-Match": "*"}) for number in range(8)]
        statuses = sorted(reply.result().status for reply in replies)

    assert statuses == [200, *[412] * 7]
    assert len(files_in(storage, "staged")) == 2
    assert files_in(storage, "incoming") == []


def test_a_put_succeeds_when_its_namespace_is_discarded_meanwhile(storage: Storage) -> None:
    for _ in range(10):
        sweeper = Thread(target=lambda: asyncio.run(storage.staging.discard_namespace("org_one", ONE)))
        sweeper.start()
        assert put(storage, b"x").status == 200
        sweeper.join()


def test_readers_see_one_whole_file_or_the_other_while_it_is_replaced(storage: Storage) -> None:
    sizes = {100_001: b"a", 200_002: b"b"}
    stop = Event()

    def replace() -> None:
        while not stop.is_set():
            for size, letter in sizes.items():
                put(storage, letter * size)

    put(storage, b"a" * 100_001)
    writer = Thread(target=replace)
    writer.start()
    try:
        for _ in range(60):
            found = asyncio.run(_found_and_read(storage))
            assert found in {(100_001, b"a"), (200_002, b"b")}
    finally:
        stop.set()
        writer.join()


async def _found_and_read(storage: Storage) -> tuple[int, bytes]:
    whole = await storage.staging.head(KEY, size_bytes=10**6)
    assert len(set(whole)) == 1
    return len(whole), whole[:1]
