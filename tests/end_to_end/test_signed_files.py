"""Large files through a real server: bounded memory, bytes that survive, nothing half-written."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from conditions import eventually
from tests.fault.flow import victims
from tests.object_storage import send
from tests.running import RunningServer

from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.local_links import LocalBlobLinks
from prismhouse.storage.blobs.local_staging import LocalStaging
from prismhouse.storage.blobs.signing import Signer
from prismhouse.storage.blobs.signing_keys import SigningKeys

MEGABYTE = 2**20
TYPE = "application/octet-stream"
GROWTH_LIMIT_MB = 64


def signer_of(server: RunningServer) -> Signer:
    """Sign as another API process of the same server would."""
    return Signer(SigningKeys(server.data_dir / "blobs" / "signing-keys.json"))


def staging_of(server: RunningServer) -> LocalStaging:
    blobs = LocalBlobStore(server.data_dir / "blobs")
    return LocalStaging(blobs, signer=signer_of(server), base_url=lambda: server.base_url)


def memory_mb(pid: int, name: str) -> int:
    """Return what a process holds now (VmRSS) or held at most (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) // 1024


def forget_peak(pid: int) -> None:
    """Let the most that a process held begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def test_memory_stays_bounded_when_a_large_file_is_put_and_read(server: RunningServer) -> None:
    size_mb = 300
    pattern = bytes(range(256)) * (MEGABYTE // 256)
    staging, key = staging_of(server), "org_x/ns_large/api_buckets_uploads_create/upl_1/large.bin"
    url = staging.put_url(key, content_type=TYPE, size_bytes=size_mb * MEGABYTE, expires_in_seconds=600)
    [api] = victims(server.process.pid, "api")
    forget_peak(api)
    before = memory_mb(api, "VmRSS")

    def pieces() -> Iterator[bytes]:
        for _ in range(size_mb):
            yield pattern

    sent = send("PUT", url, pieces(), {"Content-Type": TYPE, "Content-Length": str(size_mb * MEGABYTE)})
    assert sent.status == 200, sent.body
    staged = await staging.find(key)
    assert staged is not None
    assert staged.size_bytes == size_mb * MEGABYTE
    stored = await staging.adopt("ns_large", key, etag=staged.etag)  # type: ignore[arg-type]
    await staging.discard(key)
    link = LocalBlobLinks(signer=signer_of(server), base_url=lambda: server.base_url).get_url(
        "ns_large",  # type: ignore[arg-type]
        stored.sha256,
        content_type=None,
        filename=None,
        expires_in_seconds=600,
    )
    digest = hashlib.sha256()
    for piece in read_slowly(link):
        digest.update(piece)

    assert digest.hexdigest() == stored.sha256
    grown = memory_mb(api, "VmHWM") - before
    assert grown < GROWTH_LIMIT_MB, f"{grown} MB for a file of {size_mb} MB"


def read_slowly(url: str) -> Iterator[bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    assert answer.status == 200
    while piece := answer.read(MEGABYTE):
        yield piece
    connection.close()


async def test_a_file_is_whole_or_not_there_when_the_server_is_killed_during_a_put(private_server) -> None:  # type: ignore[no-untyped-def]
    server: RunningServer = private_server()
    staging, key = staging_of(server), "org_x/ns_x/api_buckets_uploads_create/upl_1/a.bin"
    url = staging.put_url(key, content_type=TYPE, size_bytes=None, expires_in_seconds=600)
    assert send("PUT", url, b"first", {"Content-Type": TYPE}).status == 200
    parts = urlsplit(url)
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\nContent-Length: 9000000\r\n\r\n"
    )
    incoming = server.data_dir / "blobs" / "incoming"

    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(head.encode() + b"x" * 5_000_000)
        eventually(lambda: [*incoming.iterdir()], until=bool)
        [api] = victims(server.process.pid, "api")
        os.kill(api, signal.SIGKILL)
    eventually(server.health, until=lambda status: status == 200)

    assert await staging.head(key, size_bytes=9) == b"first"
    data = b"y" * 3_000_000
    assert send("PUT", url, data, {"Content-Type": TYPE}).status == 200, "the URL is good on the process that follows"
    found = await staging.find(key)
    assert found is not None
    assert found.etag == hashlib.md5(data).hexdigest()


def test_the_log_of_a_server_never_holds_a_signature(server: RunningServer) -> None:
    url = staging_of(server).put_url("o/n/u/logged.bin", content_type=TYPE, size_bytes=None, expires_in_seconds=600)

    assert send("PUT", url, b"x", {"Content-Type": TYPE, "X-Request-Id": "logged-put"}).status == 200
    assert send("PUT", url, b"x", {"Content-Type": "text/html", "X-Request-Id": "refused-put"}).status == 403

    log = eventually(server.log, until=lambda text: "refused-put" in text)
    assert "logged-put" in log
    assert url.partition("signature=")[2] not in log
    assert "signature=" not in log
