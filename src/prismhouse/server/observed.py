"""A request, counted and traced: by the template of its route, never by its path, which holds ids."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Protocol

from starlette.datastructures import Headers

from prismhouse.telemetry import traces
from prismhouse.telemetry.families import HTTP_REQUESTS, HTTP_SECONDS

__all__ = ["QUIET_PATHS", "observed"]

QUIET_PATHS = ("/v1/health", "/metrics")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_UNKNOWN = "unknown"
# Also for an answer that was never sent: uvicorn closes the connection, or the client did.
_NO_ANSWER = 499


class _Answered(Protocol):
    @property
    def status(self) -> int: ...


@contextmanager
def observed(scope: MutableMapping[str, Any], headers: Headers, sent: _Answered) -> Iterator[None]:
    """Count what happens inside as one request; an event stream has no duration that means anything."""
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    state: dict[str, Any] = scope["state"]
    quiet = scope["path"].startswith(QUIET_PATHS)
    carried = headers.get("traceparent")
    started = time.perf_counter()
    try:
        if quiet or not traces.tracing():
            yield
        else:
            with traces.span(method, "server", carried=carried, attributes={"http.request.method": method}) as span:
                yield
                _describe(span, method, state, sent.status)
    finally:
        route = state.get("template") or _UNKNOWN
        HTTP_REQUESTS.add(route, method, str(sent.status or _NO_ANSWER))
        if not state.get("endless"):
            HTTP_SECONDS.observe(route, method, seconds=time.perf_counter() - started)


def _describe(span: traces.Span, method: str, state: dict[str, Any], status: int) -> None:
    route = state.get("template")
    if route:
        span.rename(f"{method} {route}")
    who = state.get("log") or {}
    span.note(
        {
            "http.route": route,
            "http.response.status_code": status,
            "prismhouse.request_id": state.get("request_id"),
            "prismhouse.namespace_id": who.get("namespace_id"),
        }
    )
    if status >= 500:
        span.fail(str(status))
