"""A receiver of webhooks that can be asked to fail, to hang, to redirect and to lie."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Message:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    content: dict[str, Any]
    number: int

    @property
    def event_id(self) -> str:
        """What a receiver knows repetitions by."""
        return self.headers["webhook-id"]

    @property
    def subject(self) -> str:
        """What the event is about."""
        return str(self.content["subject"]["id"])

    def verify(self, secret: str) -> None:
        """Raise unless it was signed with the secret, as the public library for Standard Webhooks says."""
        Webhook(secret).verify(self.body, self.headers)


Behaviour = Callable[[Message], str]
"""A status ("200", "503"), or hang, redirect, close, short, huge, drip or trickle."""


def fine(_: Message) -> str:
    """Take everything."""
    return "200"


@dataclass
class Receiver:
    """A web server in a thread. `behave` says what becomes of a message; messages taken with a 2xx are in `taken`."""

    behave: Behaviour = fine
    port: int = 0
    messages: list[Message] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> Receiver:
        """Listen; on the same port as before when it was stopped."""
        ready = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(self._loop)
            self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
            self.port = self._server.sockets[0].getsockname()[1]
            ready.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def stop(self) -> None:
        """Close all connections and refuse new ones."""
        if self._thread is None or self._server is None:
            return
        server = self._server

        async def end() -> None:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._thread, self._loop = None, asyncio.new_event_loop()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._loop.close()

    def by_subject(self) -> dict[str, list[Message]]:
        """Return what was taken, by what it is about, without repetitions."""
        found: dict[str, dict[str, Message]] = defaultdict(dict)
        for message in list(self.taken):
            found[message.subject].setdefault(message.event_id, message)
        return {subject: list(messages.values()) for subject, messages in found.items()}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._answer(reader, writer):
                    pass
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:]) if name}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        message = Message(head[0].split()[1], headers, body, json.loads(body or b"{}"), len(self.messages))
        self.messages.append(message)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._behave(message, writer)
        finally:
            self.at_once -= 1

    async def _behave(self, message: Message, writer: asyncio.StreamWriter) -> bool:
        kind = self.behave(message)
        if kind == "close":
            return False
        if kind == "hang":
            await asyncio.sleep(3600)
        elif kind == "trickle":  # the head of an answer that never ends
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"x-slow: 1\r\n")
                await writer.drain()
                await asyncio.sleep(0.1)
        elif kind == "redirect":
            writer.write(f"HTTP/1.1 307 Go\r\nlocation: {self.url}/elsewhere\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
            return True
        elif kind in {"short", "huge", "drip"}:
            self.taken.append(message)
            return await self._lie(kind, writer)
        if kind.startswith("2"):
            self.taken.append(message)
        writer.write(f"HTTP/1.1 {kind} Well\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        return True

    async def _lie(self, kind: str, writer: asyncio.StreamWriter) -> bool:
        """Take the message, and then answer as nobody should."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        if kind == "huge":
            for _ in range(200):
                writer.write(b"x" * 1_000_000)
                await writer.drain()
        while kind == "drip":
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)
        return False
