"""Server-sent events: bounded in number and time, alive by heartbeats, gone with their client or with the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from prismhouse.kit import json
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.telemetry.families import EVENT_STREAMS

__all__ = ["HEARTBEAT_SECONDS", "Event", "EventStreams", "Events", "TooManyStreams", "asks_for_events"]

HEARTBEAT_SECONDS = 15.0
# Then the client comes again, and its key is looked at again.
_LONGEST_SECONDS = 600.0
_FAREWELL_SECONDS = 1.0
_RETRY_MS = 2000
_MEDIA_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}


class TooManyStreams(WarehouseError):
    """{held} event streams are open, which is the most {who} may hold."""

    code = Code.TOO_MANY
    hint = "Close some, ask for the batch itself now and then, or raise PRISMHOUSE_LIMITS__EVENT_STREAMS."


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `event_id` is what a client that comes again says it has seen."""

    name: str
    event_id: str
    data: Mapping[str, Any]

    def encode(self) -> bytes:
        """Return it as it is sent. JSON has no line breaks of its own."""
        return f"event: {self.name}\nid: {self.event_id}\ndata: ".encode() + json.dumps(dict(self.data)) + b"\n\n"


Events = AsyncGenerator[Event | None, None]
"""Events, and None whenever there was nothing to say for `HEARTBEAT_SECONDS`."""


def asks_for_events(request: Request) -> bool:
    """Say whether the client wants events instead of JSON."""
    accepted = request.headers.get("accept", "").lower()
    head = getattr(request.state, "head", False)
    return _MEDIA_TYPE in accepted and "application/json" not in accepted and not head


class EventStreams:
    """All streams of one process. One organization may hold half of them."""

    def __init__(self, *, limit: int, longest_seconds: float = _LONGEST_SECONDS) -> None:
        self._limit = limit
        self._share = max(1, (limit + 1) // 2)
        self._longest_seconds = longest_seconds
        self._held: Counter[str] = Counter()
        self._closing = asyncio.Event()

    @property
    def open(self) -> int:
        """How many are open."""
        return self._held.total()

    def end_all(self) -> None:
        """End every stream now, and each later one at once: the server stops."""
        self._closing.set()

    def answer(self, events: Callable[[], Events], *, organization_id: str) -> Response:
        """Return the answer that sends what `events` yields until it ends, the client goes, or the time is over."""
        return _EventAnswer(self, events, organization_id)

    async def run(self, events: Callable[[], Events], organization_id: str, receive: Receive, send: Send) -> None:
        """Send one stream; raise TooManyStreams before anything is sent."""
        self._enter(organization_id)
        try:
            with anyio.move_on_after(self._longest_seconds):
                async with anyio.create_task_group() as group:
                    for end in (lambda: _gone(receive), self._closing.wait):
                        group.start_soon(_cancel_after, end, group.cancel_scope)
                    await _send_all(events, send)
                    group.cancel_scope.cancel()
            with anyio.move_on_after(_FAREWELL_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._leave(organization_id)

    def _enter(self, organization_id: str) -> None:
        if self.open >= self._limit:
            raise TooManyStreams(held=self.open, who="a server process")
        if self._held[organization_id] >= self._share:
            raise TooManyStreams(held=self._held[organization_id], who="an organization")
        self._held[organization_id] += 1
        EVENT_STREAMS.set(to=self.open)

    def _leave(self, organization_id: str) -> None:
        self._held[organization_id] -= 1
        if not self._held[organization_id]:
            del self._held[organization_id]
        EVENT_STREAMS.set(to=self.open)


class _EventAnswer(Response):
    media_type = _MEDIA_TYPE

    def __init__(self, streams: EventStreams, events: Callable[[], Events], organization_id: str) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._streams = streams
        self._events = events
        self._organization_id = organization_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; the line of the log and the numbers know that its length means nothing."""
        scope.setdefault("state", {})["endless"] = True
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        begun = False

        async def send_after_start(message: Any) -> None:
            nonlocal begun
            if not begun:
                begun = True
                await send(start)
            await send(message)

        await self._streams.run(self._events, self._organization_id, receive, send_after_start)


async def _send_all(events: Callable[[], Events], send: Send) -> None:
    await _send(send, f"retry: {_RETRY_MS}\n\n".encode())
    async with aclosing(events()) as source:
        async for event in source:
            await _send(send, b": still here\n\n" if event is None else event.encode())


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel_after(end: Callable[[], Any], scope: anyio.CancelScope) -> None:
    await end()
    scope.cancel()
