"""The edge around every request: its id, its path, its size, its log line. Pure ASGI; bodies are never buffered."""

from __future__ import annotations

import re
import time
from collections.abc import Collection

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prismhouse.api.web.drain import drain
from prismhouse.api.web.errors import envelope
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import new_id
from prismhouse.server.address import reached_at
from prismhouse.server.observed import QUIET_PATHS, observed
from prismhouse.storage.postgres.readers import read_as

__all__ = ["BodyTooLarge", "Edge"]

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_WINDOW_SECONDS = 60
# Nothing is limited by rate; clients that read the headers see that there is room.
_REQUESTS_PER_WINDOW = "1000000"
_READ_ENCODINGS = frozenset({"", "identity"})
_log = structlog.get_logger("prismhouse.access")


class BodyTooLarge(WarehouseError):
    """The request body is larger than {limit_bytes} bytes."""

    code = Code.TOO_LARGE
    hint = "Send less at once, give files by URL, or raise PRISMHOUSE_LIMITS__BODY_BYTES."


class Edge:
    """Outermost application.

    `roots` are the first path segments that also work without `/v1` before them; `unlimited` names the methods and
    paths that take bodies of any size and encoding, and see to limits themselves; `forms` matches the paths to which
    such bodies are posted.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_bytes: int,
        roots: frozenset[str],
        unlimited: Collection[tuple[str, str]] = (),
        forms: str = "",
    ) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._roots = roots
        self._unlimited = frozenset(unlimited)
        self._forms = re.compile(forms) if forms else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._canonical_path(scope)
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _SANE_REQUEST_ID.fullmatch(given) else new_id("req", 12)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        sent = _Sent(send, request_id)
        started = time.perf_counter()
        try:
            with observed(scope, headers, sent):
                await self._answer(scope, headers, receive, sent)
        except Exception as error:  # noqa: BLE001 - recorded: here, or by the handler that answered
            # Starlette answers and raises again for the server's log; ours has it already (api/web/errors.py).
            if not sent.started:
                _log.error("request failed before an answer", request_id=request_id, exc_info=error)
                await envelope(_Broken(request_id=request_id))(scope, receive, sent)
        finally:
            read_as(None)
            _write_log(scope, state, sent.status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, sent: _Sent) -> None:
        refusal = self._refusal(scope, headers)
        with reached_at(scope, headers):
            if refusal is not None:
                await drain(headers, receive)
                await envelope(refusal)(scope, receive, sent)
            elif self._streamed(scope):
                await self._app(scope, receive, sent)
            else:
                await self._app(scope, self._counted(headers, receive), sent)

    def _canonical_path(self, scope: Scope) -> None:
        """Give `/api/v1/...` and paths without `/v1` the path they mean, and both spellings of it alike."""
        path: str = scope["path"]
        if path.startswith("/api/v1/"):
            before, after = "/api", ""
        elif not path.startswith("/v1/") and path.partition("/")[2].partition("/")[0] in self._roots:
            before, after = "", "/v1"
        else:
            return
        raw: bytes | None = scope.get("raw_path")
        scope["path"] = after + path.removeprefix(before)
        if raw is not None:
            scope["raw_path"] = after.encode() + raw.removeprefix(before.encode())

    def _streamed(self, scope: Scope) -> bool:
        if (scope["method"], scope["path"]) in self._unlimited:
            return True
        return self._forms is not None and scope["method"] == "POST" and bool(self._forms.fullmatch(scope["path"]))

    def _refusal(self, scope: Scope, headers: Headers) -> WarehouseError | None:
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return Invalid([field_fault(["path"], "must not contain U+0000")])
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in _READ_ENCODINGS and not self._streamed(scope):
            message = f"Bodies encoded as {encoding[:40]} are not read. Send the body itself, without this header."
            return Invalid([field_fault(["header", "Content-Encoding"], message)])
        length = headers.get("content-length", "")
        too_large = length.isdecimal() and int(length[:20]) > self._body_bytes
        if too_large and not self._streamed(scope):
            return BodyTooLarge(limit_bytes=self._body_bytes, setting="PRISMHOUSE_LIMITS__BODY_BYTES")
        return None

    def _counted(self, headers: Headers, receive: Receive) -> Receive:
        """Count the bytes of a body without a declared length, and stop reading at the limit."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._body_bytes:
                    if message.get("more_body", False):
                        await drain(headers, receive, begun=True)
                    raise BodyTooLarge(limit_bytes=self._body_bytes, setting="PRISMHOUSE_LIMITS__BODY_BYTES")
            return message

        return counted


class _Broken(WarehouseError):
    """Something went wrong on our side; the server's log has the cause under request id {request_id}."""


class _Sent:
    """Passes the answer on with the headers every answer has, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    @property
    def started(self) -> bool:
        """Whether the status line is out."""
        return self.status > 0

    async def __call__(self, message: Message) -> None:
        """Send one message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers["X-RateLimit-Limit"] = _REQUESTS_PER_WINDOW
            headers["X-RateLimit-Remaining"] = _REQUESTS_PER_WINDOW
            headers["X-RateLimit-Reset"] = str(int(time.time()) + _WINDOW_SECONDS)
            headers["X-RateLimit-Window"] = str(_WINDOW_SECONDS)
            headers.setdefault("X-Content-Type-Options", "nosniff")
        await self._send(message)


def _write_log(scope: Scope, state: dict[str, object], status: int, seconds: float) -> None:
    who = state.get("log")
    path = state.get("template") or scope["path"]
    write = _log.debug if str(path).startswith(QUIET_PATHS) else _log.info
    write(
        "request",
        method=scope["method"],
        path=path,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        **(who if isinstance(who, dict) else {}),
    )
