"""Every storage that the port suites run against, with real HTTP behind its signed URLs.

A new adapter joins by a line in `STORAGES`.
"""

from __future__ import annotations

import atexit
import http.client
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from conditions import eventually
from tests.s3_server import ObjectStorage

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
    head_links: bool = True
    """Whether a link answers HEAD too; the signature of S3 holds for one method."""
    listed_key_bytes: int = 1024
    """The longest key that a sweep is told of; S3 has 1,024 bytes for the key and what we put before it."""
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


class _Door:
    """One server for all tests of local storage: it hands requests to the application of the running test."""

    def __init__(self) -> None:
        self.app: Any = None
        self._open = ExitStack()
        self._address = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        await self.app(scope, receive, send)

    def address(self) -> str:
        """Return where it listens; the first call opens it, and it stays open until the tests end."""
        if not self._address:
            self._address = self._open.enter_context(serving(self))
            atexit.register(self._open.close)
        return self._address


_door = _Door()


@contextmanager
def local(folder: Path) -> Iterator[Storage]:
    """Local storage, behind the server's own route."""
    clock = Clock()
    blobs = LocalBlobStore(folder / "blobs")
    signer = Signer(SigningKeys(folder / "signing-keys.json", clock=clock), clock=clock)
    staging = LocalStaging(blobs, signer=signer, base_url=_door.address)
    files = LocalFiles(staging=staging, blobs=blobs, signer=signer)
    _door.app = assemble([routes(files, limit_bytes=LIMIT_BYTES, patience_seconds=3)], body_bytes=4096)
    yield Storage(
        name="local",
        blobs=blobs,
        staging=staging,
        links=LocalBlobLinks(signer=signer, base_url=_door.address),
        folder=folder / "blobs",
        pass_time=clock.pass_time,
    )


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application on a port of its own, in a thread, and give its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, http="httptools", ws="none", lifespan="off", log_config=None)
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


@contextmanager
def s3(server: ObjectStorage) -> Iterator[Storage]:
    """An S3 server, below a prefix of its own."""
    prefix = f"port-{uuid.uuid4().hex}"
    blobs, staging, links = server.parts(prefix)
    yield Storage(name="s3", blobs=blobs, staging=staging, links=links, head_links=False, listed_key_bytes=950)


STORAGES = ("local", "s3")


def opened(request: pytest.FixtureRequest, folder: Path) -> AbstractContextManager[Storage]:
    """Return the storage that a parametrised fixture asks for; servers behind it live as long as the run."""
    if request.param == "s3":
        return s3(request.getfixturevalue("object_storage"))
    return local(folder)


async def gathered(stream: AsyncIterator[bytes]) -> bytes:
    """Return everything a stream yields."""
    return b"".join([chunk async for chunk in stream])
