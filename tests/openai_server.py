"""A server that speaks the OpenAI protocol: real vectors of MiniLM, answers computed from the request, bad days."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM

__all__ = ["Asked", "OpenAIServer", "described", "openai_server", "seen_in"]

Behaviour = Callable[["_Handler", dict[str, Any]], bool]
"""Answers a request in a way of its own and returns True, or leaves it to the server."""


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    path: str
    body: dict[str, Any]
    authorization: str | None


@dataclass
class OpenAIServer:
    """A running server. `behave` may be set at any time; `asked` is everything that came."""

    cache_dir: Path
    asked: list[Asked] = field(default_factory=list, repr=False)
    behave: Behaviour | None = field(default=None, repr=False)
    knows_schema: bool = True
    most_at_once: int = 0
    key: str | None = None
    port: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _web: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its base, as a table of the file of models has it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Listen, on the port it had before."""
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._web = _Web(("127.0.0.1", self.port), handler)
        self.port = self._web.server_port
        self._thread = threading.Thread(target=self._web.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Go away: no connection is answered any more."""
        if self._web is not None and self._thread is not None:
            self._web.shutdown()
            self._web.server_close()
            self._thread.join()
            self._web = None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count who is served at the same time."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def vectors(self, texts: list[str]) -> list[list[float]]:
        """Return what MiniLM makes of the texts."""
        model = loaded(MINILM, threads=1, cache_dir=self.cache_dir)
        return [[float(number) for number in row] for row in model.embed(texts)]


class _Web(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    server_of: OpenAIServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        server = self.server_of
        server.asked.append(Asked(self.path, body, self.headers["authorization"]))
        with server.counted():
            if server.key is not None and self.headers["authorization"] != f"Bearer {server.key}":
                told = f"Incorrect API key provided: {self.headers['authorization']}"
                self.say(401, {"error": {"message": told}})
            elif server.behave is None or not server.behave(self, body):
                self.answer(body)

    def answer(self, body: dict[str, Any]) -> None:
        if self.path == "/v1/embeddings":
            given = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [
                {"object": "embedding", "index": place, "embedding": vector}
                for place, vector in enumerate(self.server_of.vectors(given))
            ]
            # Out of order, as the protocol allows: `index` says which is which.
            self.say(200, {"object": "list", "model": body["model"], "data": data[::-1], "usage": {}})
        elif self.path == "/v1/chat/completions":
            self.chat(body)
        else:
            self.say(404, {"error": {"message": "no such path"}})

    def chat(self, body: dict[str, Any]) -> None:
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema" and not self.server_of.knows_schema:
            self.say(400, {"error": {"message": "response_format of type json_schema is not supported"}})
            return
        self.write(told(body))

    def write(self, text: str, **more: Any) -> None:
        """Answer with a message of the model."""
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
        self.say(200, {"object": "chat.completion", "choices": [choice]})

    def say(self, status: int, body: Any, **headers: str) -> None:
        """Answer with JSON, or with bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", headers.pop("content_type", "application/json"))
        self.send_header("Content-Length", headers.pop("content_length", str(len(content))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def hang(self, seconds: float) -> None:
        """Say nothing for a while."""
        time.sleep(seconds)
        self.close_connection = True

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


def told(body: dict[str, Any]) -> str:
    """Return what the model writes: computed from the last message, its pictures and the schema."""
    content = body["messages"][-1]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = " ".join(part["text"] for part in parts if part["type"] == "text")
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    pictures = [base64.b64decode(url.removeprefix("data:image/jpeg;base64,")) for url in urls]
    wanted = body.get("response_format") or {}
    schema = (wanted.get("json_schema") or {}).get("schema")
    system = body["messages"][0]["content"] if body["messages"][0]["role"] == "system" else ""
    if schema is None and "It follows this JSON schema: " in system:
        schema = json.loads(system.partition("It follows this JSON schema: ")[2])
    if schema is not None:
        return json.dumps({name: _value(child, text, pictures) for name, child in schema["properties"].items()})
    if "JSON object" in system:
        return json.dumps({"word_count": len(text.split()), "pictures": len(pictures)})
    return described(pictures) if pictures else f"A text of {len(text.split())} words."


def _value(schema: dict[str, Any], text: str, pictures: list[bytes]) -> Any:
    kind = schema.get("type")
    if "enum" in schema:
        return schema["enum"][len(text) % len(schema["enum"])]
    if kind in ("integer", "number"):
        return len(text.split())
    if kind == "array":
        return sorted(set(text.lower().split()))[:3]
    if kind == "boolean":
        return bool(pictures)
    return described(pictures) if pictures else hashlib.sha256(text.encode()).hexdigest()[:8]


def described(pictures: list[bytes]) -> str:
    """Return a description that tells pictures apart: how many, their sizes, and the colour of the first."""
    sizes, colour = [], ""
    for picture in pictures:
        with Image.open(io.BytesIO(picture)) as image:
            sizes.append(f"{image.width}x{image.height}")
            colour = colour or seen_in(image)
    return f"{len(pictures)} picture of {colour}, {', '.join(sizes)}"


def seen_in(image: Image.Image) -> str:
    """Return the colour that is strongest in a picture."""
    red, green, blue = image.convert("RGB").resize((1, 1)).getpixel((0, 0))
    return max(("red", red), ("green", green), ("blue", blue), key=lambda one: one[1])[0]


@contextmanager
def openai_server(cache_dir: Path) -> Iterator[OpenAIServer]:
    """Run one."""
    server = OpenAIServer(cache_dir)
    server.start()
    try:
        yield server
    finally:
        server.stop()
