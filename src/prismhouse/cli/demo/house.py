"""A real server as a child process, and the HTTP calls to it. The demo knows nothing else of the product."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from prismhouse.cli.demo.faults import DemoFailed

__all__ = ["House"]

USUAL_PORT = 8080
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
REQUEST_TIMEOUT_SECONDS = 60.0


class House:
    """`prismhouse serve` on a free port of this machine, with its data in one folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.log_file = data_dir / "demo-server.log"
        self.url = ""
        self.key = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._http: httpx2.Client | None = None
        self._headers: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._http is not None:
            self._http.close()
        if self._process is not None and self._process.poll() is None:
            self._end_process()

    def start(self) -> None:
        """Start the server and return when it says that it is ready; raise DemoFailed when it does not."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        port = _free_port(USUAL_PORT)
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "prismhouse", "serve"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--data", str(self.data_dir)]
        environment = {name: value for name, value in os.environ.items() if name != "PRISMHOUSE_DEMO_KEEP"}
        # A group of its own: Ctrl-C reaches the demo alone, which then stops the server in good order.
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,
            )
        self._http = httpx2.Client(base_url=self.url, timeout=REQUEST_TIMEOUT_SECONDS)
        self._await_health()
        self.key = os.environ.get("PRISMHOUSE_BOOTSTRAP_API_KEY") or self._first_key()
        self._headers["Authorization"] = f"Bearer {self.key}"

    @property
    def pid(self) -> int:
        """The server's process id; 0 when it is not started."""
        return self._process.pid if self._process else 0

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every call: the key, and the namespace once it is entered."""
        return dict(self._headers)

    def enter(self, namespace_id: str) -> None:
        """Send every later call within this namespace."""
        self._headers["X-Namespace"] = namespace_id

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer's JSON; raise DemoFailed with the server's own words when it refuses."""
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Like `get`, with a JSON body."""
        return self._call("POST", path, body)

    def wait(self) -> None:
        """Block until the server ends."""
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """Stop the server; raise DemoFailed when it has to be killed or ends with an error."""
        if self._process is None:
            return
        code = self._end_process()
        if code != 0:
            raise DemoFailed(f"The server did not stop cleanly (exit code {code}).{self._log_tail()}")

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        if self._http is None:
            raise DemoFailed("The server is not started.")
        try:
            answer = self._http.request(method, f"/v1{path}", json=body, headers=self._headers)
        except httpx2.HTTPError as error:
            raise DemoFailed(f"{method} /v1{path} got no answer: {error!r}.{self._log_tail()}") from error
        if answer.is_success:
            content: dict[str, Any] = answer.json()
            return content
        raise DemoFailed(f"{method} /v1{path} answered {answer.status_code}: {answer.text[:600]}")

    def _await_health(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise DemoFailed(f"The server did not start.{self._log_tail()}")
            try:
                if self._http is not None and self._http.get("/v1/health").status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise DemoFailed(f"The server was not ready after {START_TIMEOUT_SECONDS:.0f} s.{self._log_tail()}")

    def _first_key(self) -> str:
        file = self.data_dir / "api-key"
        try:
            return file.read_text().strip()
        except OSError as error:
            raise DemoFailed(f"No API key in {file}: {error.strerror}.") from error

    def _end_process(self) -> int | None:
        if self._process is None:
            return None
        self._process.terminate()
        try:
            return self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def _log_tail(self, lines: int = 15) -> str:
        try:
            tail = self.log_file.read_text(errors="replace").splitlines()[-lines:]
        except OSError:
            return ""
        return f"\nEnd of its log, {self.log_file}:\n  " + "\n  ".join(tail)


def _free_port(wanted: int) -> int:
    """Return the wanted port, or another one when something listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            free: int = probe.getsockname()[1]
            return free
    raise DemoFailed("No TCP port of 127.0.0.1 is free.")
