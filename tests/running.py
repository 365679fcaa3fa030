"""A real `prismhouse serve` for tests, and the few HTTP calls they make: imported by the conftest files."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conditions import eventually

START_SECONDS = 60
STOP_SECONDS = 40
# The tests' own web servers are on this machine; fetches reach them, and nothing else that is private.
ENVIRONMENT = {
    "PRISMHOUSE_OUTBOUND__ALLOW_NETWORKS": '["127.0.0.0/8"]',
    "PRISMHOUSE_OUTBOUND__ALLOW_PORTS": "[]",
    "PRISMHOUSE_LOG__FORMAT": "json",
}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class RunningServer:
    """A server process with its address, first key and data."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    data_dir: Path
    log_file: Path
    environment: dict[str, str]

    @property
    def base_url(self) -> str:
        """Where it listens, without the /v1."""
        return f"http://{self.host}:{self.port}"

    @property
    def api_key(self) -> str:
        """The key of the first start."""
        return (self.data_dir / "api-key").read_text().strip()

    def health(self) -> int | None:
        """Return the status of /v1/health, or None when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.base_url}/v1/health", timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None

    def wait_until_healthy(self) -> None:
        """Return when it answers; fail with its log when it does not."""
        eventually(
            self.health,
            until=lambda status: status == 200 or self.process.poll() is not None,
            timeout_seconds=START_SECONDS,
        )
        assert self.process.poll() is None, self.log()

    def log(self) -> str:
        """Return everything it wrote."""
        return self.log_file.read_text(errors="replace")

    def stop(self, kind: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def again(self) -> RunningServer:
        """Start a new process on the same data and port."""
        return launch(self.data_dir, self.environment, port=self.port)


def launch(
    data_dir: Path, environment: dict[str, str], *, port: int | None = None, program: Path | None = None
) -> RunningServer:
    """Start `prismhouse serve` without waiting for it: of this source, or of an installed `program`."""
    port = port or free_port()
    log_file = data_dir.with_name(f"{data_dir.name}.log")
    command = [str(program)] if program else [sys.executable, "-m", "prismhouse"]
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [*command, "serve", "--port", str(port), "--data", str(data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**clean_environment(source=not program), **ENVIRONMENT, **environment},
        )
    return RunningServer(process, "127.0.0.1", port, data_dir, log_file, environment)


def clean_environment(*, source: bool = True) -> dict[str, str]:
    """Return the environment without settings of ours, and with this source to import or none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PRISMHOUSE_", "PYTHONPATH"))}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[1] / "src")} if source else kept


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for the whole run: tests keep apart by namespace."""
    running = launch(tmp_path_factory.mktemp("serve") / "data", {})
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.stop()


@pytest.fixture
def private_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Give a function that starts a server of the test's own, with extra settings as keyword arguments."""
    started: list[RunningServer] = []

    def start(*, data_dir: Path | None = None, wait: bool = True, **environment: str) -> RunningServer:
        running = launch(data_dir or tmp_path / f"data{len(started)}", environment)
        started.append(running)
        if wait:
            running.wait_until_healthy()
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def private_worker() -> Iterator[Callable[[RunningServer], subprocess.Popen[bytes]]]:
    """Give a function that starts one more worker beside a server."""
    started: list[subprocess.Popen[bytes]] = []

    def start(server: RunningServer) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "prismhouse", "worker", "--data", str(server.data_dir)]
        with server.log_file.open("ab") as log:
            started.append(
                subprocess.Popen(
                    command, stdout=log, stderr=log, env={**clean_environment(), **ENVIRONMENT, **server.environment}
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(STOP_SECONDS)


class Api:
    """Calls in one namespace."""

    def __init__(self, server: RunningServer, namespace: str | None = None) -> None:
        self.server = server
        self.namespace = namespace

    def raw(
        self, method: str, path: str, body: bytes | None = None, *, namespace: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send bytes; return status and parsed answer."""
        headers = {"Authorization": f"Bearer {self.server.api_key}", "Content-Type": "application/json"}
        if named := namespace or self.namespace:
            headers["X-Namespace"] = named
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)
        try:
            # Refused before all was sent: the answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def call(
        self, method: str, path: str, body: Any = None, *, namespace: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send JSON; return status and parsed answer."""
        return self.raw(method, path, None if body is None else json.dumps(body).encode(), namespace=namespace)

    def ok(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send JSON and return the answer of a success; fail with the whole answer of anything else."""
        status, answer = self.call(method, path, body)
        assert 200 <= status < 300, (method, path, status, answer)
        return answer

    def ok_or_none(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """Like `ok`, but None while the server cannot answer."""
        try:
            status, answer = self.call(method, path, body)
        except OSError:
            return None
        assert status in {200, 503}, (method, path, status, answer)
        return answer if status == 200 else None

    def pages(self, path: str, body: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the results of all pages of a list."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self.ok("POST", path, {**(body or {}), "limit": 200, **({"cursor": cursor} if cursor else {})})
            found += page["results"]
            cursor = (page.get("pagination") or page).get("next_cursor")
            if not cursor:
                return found


@pytest.fixture
def unique_name() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def api_of() -> Callable[..., Api]:
    """Give a function that makes a namespace on a server and returns calls in it."""

    def make(running: RunningServer, name: str) -> Api:
        extractors = ("text_extractor", "image_extractor", "multimodal_extractor")
        made = Api(running).ok(
            "POST",
            "/v1/namespaces",
            {
                "namespace_name": name,
                "feature_extractors": [{"feature_extractor_name": e, "version": "v1"} for e in extractors],
            },
        )
        return Api(running, made["namespace_id"])

    return make


@pytest.fixture
def api(server: RunningServer, api_of: Callable[..., Api], unique_name: str) -> Api:
    """Calls to the shared server in a fresh namespace."""
    return api_of(server, unique_name)


@pytest.fixture
def web_404() -> Iterator[str]:
    """The URL of a real web server that has nothing."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 - the name http.server looks for

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/missing.png"
        web.shutdown()
        thread.join()
