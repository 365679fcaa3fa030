"""Every storage that the port suites run against, with real HTTP behind its signed URLs.

A new adapter joins by a line in `STORAGES`.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from conditions import eventually

from prismhouse.server.app import assemble
from prismhouse.server.files import LocalFiles, routes
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.local_links import LocalBlobLinks
from prismhouse.storage.blobs.local_staging import LocalStaging
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.blobs.signing import Signer
from prismhouse.storage.blobs.signing_keys import SigningKeys
from prismhouse.storage.blobs.staging import BlobLinks, Staging

LIMIT_BYTES = 8 * 2**20
"""The largest file that local storage of the tests accepts."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The three ports on one storage. `folder` is where a local one has its files."""

    name: str
    blobs: BlobStore
    staging: Staging
    links: BlobLinks
    folder: Path | None = None
    pass_time: Callable[[float], None] | None = None
    """Moves the storage's clock on, where that can be done; tests wait for real time elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back for a signed URL. Header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def send(
    method: str, url: str, body: bytes | Iterator[bytes] | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Send exactly this request, with the URL as it stands and no headers that were not given but Host and length."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        received = answer.read()
        return Reply(
            status=answer.status, body=received, headers={name.lower(): value for name, value in answer.getheaders()}
        )
    finally:
        connection.close()


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        import time

        self._ahead = 0.0
        self._time = time.time

    def __call__(self) -> float:
        return self._time() + self._ahead

    def pass_time(self, seconds: float) -> None:
        """Be so much later from now on."""
        self._ahead += seconds


@contextmanager
def local(folder: Path) -> Iterator[Storage]:
    """Local storage, behind the server's own route."""
    clock = Clock()
    blobs = LocalBlobStore(folder / "blobs")
    signer = Signer(SigningKeys(folder / "signing-keys.json", clock=clock), clock=clock)
    address: list[str] = []
    staging = LocalStaging(blobs, signer=signer, base_url=lambda: address[0])
    files = LocalFiles(staging=staging, blobs=blobs, signer=signer)
    app = assemble([routes(files, limit_bytes=LIMIT_BYTES)], body_bytes=4096)
    with serving(app) as base_url:
        address.append(base_url)
        yield Storage(
            name="local",
            blobs=blobs,
            staging=staging,
            links=LocalBlobLinks(signer=signer, base_url=lambda: base_url),
            folder=folder / "blobs",
            pass_time=clock.pass_time,
        )


@contextmanager
def serving(app: object) -> Iterator[str]:
    """Serve an application on a port of its own, in a thread, and give its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, http="httptools", ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]
    config.access_log = False
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, until=bool, timeout_seconds=10)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)


STORAGES: dict[str, Callable[[Path], AbstractContextManager[Storage]]] = {"local": local}


async def gathered(stream: AsyncIterator[bytes]) -> bytes:
    """Return everything a stream yields."""
    return b"".join([chunk async for chunk in stream])
