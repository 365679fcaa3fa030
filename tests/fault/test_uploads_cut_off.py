"""A PUT that is cut off, or finds the disk full: nothing half-written is confirmed, and the same URL works again."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conditions import eventually
from tests.fault.flow import kill, victims
from tests.object_storage import Reply, send
from tests.running import Api, RunningServer

TYPE = "application/octet-stream"
MEGABYTE = 2**20
ENDED = {"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED"}
_STALE_SECONDS = 7200


class Uploads:
    """Uploads of one bucket."""

    def __init__(self, api: Api) -> None:
        self.api = api
        schema = {"properties": {"raw": {"type": "binary"}}}
        bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema})["bucket_id"]
        self.path = f"/v1/buckets/{bucket}"

    def create(self, size_bytes: int | None = None) -> dict[str, Any]:
        """Return a new upload."""
        declared = {} if size_bytes is None else {"file_size_bytes": size_bytes}
        body = {"filename": "a.bin", "content_type": TYPE, **declared}
        return self.api.ok("POST", f"{self.path}/uploads", body)

    def put(self, upload: dict[str, Any], data: bytes) -> Reply:
        """PUT to the signed URL, on whichever port the server listens now."""
        return send("PUT", self.url(upload), data, {"Content-Type": TYPE})

    def url(self, upload: dict[str, Any]) -> str:
        """Return the signed URL with the server's address of now; its signature holds for any."""
        parts = urlsplit(upload["presigned_url"])
        return f"{self.api.server.base_url}{parts.path}?{parts.query}"

    def confirm(self, upload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and answer."""
        return self.api.call("POST", f"/v1/uploads/{upload['upload_id']}/confirm")

    def status(self, upload: dict[str, Any]) -> str:
        """Return what the record says."""
        found: str = self.api.ok("GET", f"/v1/uploads/{upload['upload_id']}")["status"]
        return found

    def check_served(self, upload: dict[str, Any], data: bytes) -> None:
        """Find the confirmed file whole, as one object and under its link."""
        objects = self.api.pages(f"{self.path}/objects/list")
        assert [item["blobs"][0]["details"]["hash"] for item in objects] == [_hash(data)]
        linked = self.api.ok("GET", f"/v1/uploads/{upload['upload_id']}?return_presigned_urls=true")
        with urllib.request.urlopen(linked["presigned_url"], timeout=60) as answer:
            assert answer.read() == data


def _hash(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.timeout(240)
def test_a_put_can_be_repeated_when_everything_was_killed_during_it(
    private_server: Callable[..., RunningServer], api_of: Callable[..., Api], unique_name: str
) -> None:
    server = private_server()
    uploads = Uploads(api_of(server, unique_name))
    data = os.urandom(9 * MEGABYTE)
    upload = uploads.create(len(data))
    incoming = server.data_dir / "blobs" / "incoming"

    parts = urlsplit(uploads.url(upload))
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data[: 6 * MEGABYTE])
        rest = eventually(lambda: [path for path in incoming.iterdir() if path.stat().st_size], until=bool)
        kill([server.process.pid, *victims(server.process.pid, "worker", "api", "postgres")])
        server.process.wait()
    long_ago = time.time() - _STALE_SECONDS
    os.utime(rest[0], (long_ago, long_ago))
    uploads.api.server = private_server(data_dir=server.data_dir)

    status, refused = uploads.confirm(upload)
    assert (status, uploads.status(upload)) == (400, "PENDING"), refused
    assert list(incoming.iterdir()) == [], "what the dead process left goes at the next start"
    assert uploads.put(upload, data).status == 200
    status, confirmed = uploads.confirm(upload)
    assert (status, confirmed["status"]) == (200, "COMPLETED"), confirmed
    uploads.check_served(upload, data)


def test_a_put_is_refused_and_can_be_repeated_when_the_server_can_write_no_more(
    private_server: Callable[..., RunningServer], api_of: Callable[..., Api], unique_name: str
) -> None:
    server = private_server()
    uploads = Uploads(api_of(server, unique_name))
    [api] = victims(server.process.pid, "api")
    data = os.urandom(5 * MEGABYTE)
    upload = uploads.create(len(data))

    with _files_up_to(api, 3 * MEGABYTE):
        full = uploads.put(upload, data)
        status, refused = uploads.confirm(upload)

    assert full.status == 507
    assert b'"retryable":true' in full.body
    assert (status, uploads.status(upload)) == (400, "PENDING"), refused
    assert list((server.data_dir / "blobs" / "incoming").iterdir()) == []
    assert uploads.put(upload, data).status == 200
    assert uploads.confirm(upload)[1]["status"] == "COMPLETED"
    uploads.check_served(upload, data)


@contextmanager
def _files_up_to(pid: int, size_bytes: int) -> Iterator[None]:
    """Let no file of a process grow further: the system refuses to write, as a full disk does."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that holds 8 MB in a hundred files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=100", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root; the test before this one fills no disk, but is refused in the same way")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.timeout(180)
def test_confirmations_wait_for_room_when_the_disk_is_full(
    small_disk: Path, private_server: Callable[..., RunningServer], api_of: Callable[..., Api], unique_name: str
) -> None:
    uploads = Uploads(api_of(private_server(PRISMHOUSE_BLOBS__URL=f"file://{small_disk}"), unique_name))
    data = [os.urandom(MEGABYTE) for _ in range(3)]
    made = [uploads.create() for _ in data]
    assert [uploads.put(upload, each).status for upload, each in zip(made, data, strict=True)] == [200] * 3
    filler = small_disk / "filler"
    filler.mkdir()
    with suppress(OSError):
        for number in range(1000):
            (filler / str(number)).touch()

    status, refused = uploads.confirm(made[0])
    items = [{"upload_id": upload["upload_id"]} for upload in made[1:]]
    task = uploads.api.ok("POST", f"{uploads.path}/uploads/confirm/batch", {"confirmations": items})["task_id"]
    read = lambda: uploads.api.ok("GET", f"/v1/tasks/{task}")["status"]  # noqa: E731
    eventually(read, until=lambda found: found == "IN_PROGRESS", timeout_seconds=30)

    assert (status, refused["error"]["type"]) == (507, "InsufficientStorageError"), refused
    assert refused["error"]["details"]["retryable"] is True
    assert uploads.status(made[0]) == "PENDING"
    assert uploads.api.pages(f"{uploads.path}/objects/list") == []

    for path in filler.iterdir():
        path.unlink()
    assert uploads.confirm(made[0])[1]["status"] == "COMPLETED"
    assert eventually(read, until=lambda found: found in ENDED, timeout_seconds=90) == "COMPLETED"
    objects = uploads.api.pages(f"{uploads.path}/objects/list")
    hashes = {item["blobs"][0]["details"]["hash"] for item in objects}
    assert hashes == {_hash(each) for each in data}
