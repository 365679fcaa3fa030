"""Where clients reach this server: what signed URLs begin with. The one place that knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.datastructures import Headers
from starlette.types import Scope

from prismhouse.settings import Settings

__all__ = ["base_url", "reached_at"]

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to
_reached: ContextVar[str | None] = ContextVar("reached", default=None)


@contextmanager
def reached_at(scope: Scope, headers: Headers) -> Iterator[None]:
    """Let `base_url` answer, while a request runs, with the address that its client used."""
    host = headers.get("host", "")
    scheme = scope.get("scheme", "")
    known = _HOST.fullmatch(host) is not None and scheme in {"http", "https"}
    token = _reached.set(f"{scheme}://{host}" if known else None)
    try:
        yield
    finally:
        _reached.reset(token)


def base_url(settings: Settings) -> Callable[[], str]:
    """Return a function that says where the server is: as set, as the running request came, or where it listens."""
    server = settings.server
    host = _EVERYWHERE.get(server.host, server.host)
    public = (server.public_url or "").rstrip("/")
    listening = f"http://{f'[{host}]' if ':' in host else host}:{server.port}"

    def answer() -> str:
        return public or _reached.get() or listening

    return answer
