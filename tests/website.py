"""A web site in a thread, whose pages say how they behave: redirects, traps, slow answers, bombs and lies."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What a path gives. `times` answers are `before` it; `wait` is in seconds; `drip` sends a byte at a time."""

    body: bytes = b""
    status: int = 200
    content_type: str | None = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0
    drip: bool = False
    before: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Asked:
    path: str
    headers: Mapping[str, str]
    at: float


Page = str | bytes | Answer


class Website:
    """Serves `pages` by path (with the query); `fallback` answers what is not among them."""

    def __init__(self, pages: Mapping[str, Page], *, fallback: Callable[[str], Page | None] | None = None) -> None:
        self.pages = dict(pages)
        self.fallback = fallback
        self.asked: list[Asked] = []
        self.counts: Counter[str] = Counter()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    site._answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def paths(self) -> list[str]:
        """What was asked for, without robots.txt, in the order in which it came."""
        return [one.path for one in self.asked if one.path != "/robots.txt"]

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        self.asked.append(Asked(path, dict(request.headers), time.monotonic()))
        self.counts[path] += 1
        page = self.pages.get(path)
        if page is None and self.fallback is not None and path != "/robots.txt":
            page = self.fallback(path)
        answer = Answer(b"no", 404) if page is None else page
        if isinstance(answer, str):
            answer = Answer(answer.encode())
        elif isinstance(answer, bytes):
            answer = Answer(answer)
        if self.counts[path] <= len(answer.before):
            answer = answer.before[self.counts[path] - 1]
        if answer.wait:
            self._stopped.wait(answer.wait)
        request.send_response(answer.status)
        if answer.content_type is not None:
            request.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            request.send_header(name, value.replace("{port}", str(self.port)))
        request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        for start in range(0, len(answer.body), 1 if answer.drip else max(1, len(answer.body))):
            request.wfile.write(answer.body[start : start + (1 if answer.drip else len(answer.body))])
            if answer.drip:
                request.wfile.flush()
                if self._stopped.wait(0.2):
                    return


def page(title: str, *links: str, text: str = "", head: str = "") -> str:
    """Return a page with links and its own text."""
    anchors = " ".join(f'<a href="{link}">to {link}</a>' for link in links)
    said = text or f"This page tells of {title} and of nothing else."
    return (
        f"<html><head><title>{title}</title>{head}</head><body><nav>{anchors}</nav>"
        f"<main><h1>{title}</h1><p>{said}</p></main></body></html>"
    )


def bomb(size_bytes: int) -> Answer:
    """Return a page that is small on its way and large when it is unpacked."""
    return Answer(gzip.compress(b"<p>" + b"x" * size_bytes), headers={"Content-Encoding": "gzip"})


def redirect(target: str, status: int = 302) -> Answer:
    return Answer(b"", status, headers={"Location": target})
