"""Label Studio's own server on SQLite, for a ratio: installed into an environment of its own, never into ours."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["LabelStudio", "NotInstalled"]

VERSION = "1.23.2"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
START_TIMEOUT_SECONDS = 180.0
CALL_TIMEOUT_SECONDS = 300.0
_LABELS = (
    '<View><Text name="text" value="$text"/>'
    '<Choices name="label" toName="text"><Choice value="approved"/><Choice value="rejected"/></Choices>'
    '<TextArea name="reasoning" toName="text"/></View>'
)


class NotInstalled(Exception):
    """Label Studio cannot be had here; the message says why."""


class LabelStudio:
    """One server on a free port with its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        python = _installed(self._folder / "environment")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data = self._folder / "data"
        data.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "LABEL_STUDIO_BASE_DATA_DIR": str(data),
            "DJANGO_DB": "sqlite",
            "COLLECT_ANALYTICS": "False",
            "LATEST_VERSION_CHECK": "False",
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        }
        command = [str(python.parent / "label-studio"), "start", "--no-browser", "--port", str(port)]
        command += ["--internal-host", "127.0.0.1", "--username", "bench@example.com"]
        command += ["--password", "not-a-secret-1", "--user-token", TOKEN]
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, process_group=0)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_TIMEOUT_SECONDS)
        self._await_health()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def project(self) -> int:
        """Return a new project with a label and a reason per text."""
        made: int = self._call("POST", "/api/projects/", {"title": "bench", "label_config": _LABELS})["id"]
        return made

    def bulk_seconds(self, project: int, count: int) -> float:
        """Return how long its fastest way takes: texts imported together with their annotations, in one call.

        It has no call that adds many annotations to texts that are there, so the texts are part of it.
        """
        tasks = [{"data": {"text": f"text {number}"}, "annotations": [_annotation(number)]} for number in range(count)]
        began = time.perf_counter()
        self._call("POST", f"/api/projects/{project}/import", tasks)
        return time.perf_counter() - began

    def texts_seconds(self, project: int, count: int) -> float:
        """Return how long the texts take without annotations: what may be taken off the figure above."""
        tasks = [{"data": {"text": f"text {number}"}} for number in range(count)]
        began = time.perf_counter()
        self._call("POST", f"/api/projects/{project}/import", tasks)
        return time.perf_counter() - began

    def single_seconds(self, project: int, count: int) -> float:
        """Return how long so many annotations take, one call each."""
        page = self._call("GET", f"/api/tasks?project={project}&page_size={count}&fields=task_only")
        began = time.perf_counter()
        for number, task in enumerate(page["tasks"][:count]):
            self._call("POST", f"/api/tasks/{task['id']}/annotations/", _annotation(number))
        return time.perf_counter() - began

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        if self._connection is None:
            raise RuntimeError("not started")
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if not http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            raise SystemExit(f"Label Studio answered {answer.status} to {method} {path}: {content[:600]!r}")
        return json.loads(content) if content else None

    def _await_health(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise NotInstalled(f"its server did not start: {self._folder / 'server.log'}")
            try:
                if self._call("GET", "/health") is not None:
                    return
            except OSError:
                if self._connection is not None:
                    self._connection.close()
                time.sleep(0.25)
        raise NotInstalled(f"its server was not ready after {START_TIMEOUT_SECONDS:.0f} s")


def _installed(environment: Path) -> Path:
    uv = Path(sys.executable).parent / "uv"
    python = environment / "bin" / "python"
    for command in (
        [str(uv), "venv", "--quiet", "--python", sys.executable, str(environment)],
        [str(uv), "pip", "install", "--quiet", "--python", str(python), f"label-studio=={VERSION}"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise NotInstalled(done.stderr.strip()[-400:])
    return python


def _annotation(number: int) -> dict[str, Any]:
    return {
        "result": [
            {
                "from_name": "label",
                "to_name": "text",
                "type": "choices",
                "value": {"choices": ["approved" if number % 2 else "rejected"]},
            },
            {
                "from_name": "reasoning",
                "to_name": "text",
                "type": "textarea",
                "value": {"text": [f"because of {number}"]},
            },
        ]
    }
