"""POST with limits, to where guard.py lets it. Redirects are answers like any other, never followed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx2

from prismhouse.settings import OutboundSettings
from prismhouse.storage.outbound.addresses import is_open, networks_of
from prismhouse.storage.outbound.guard import Refusal, check, guarded_transport, reason_of

__all__ = ["Posted", "Sender"]

_CONNECTIONS = 128
_KEPT_CONNECTIONS = 64
# Many servers close after 5 s without a word: a request that meets that moment would count as a failed attempt.
_KEPT_SECONDS = 2
# What is left of an answer is read only to use its connection again.
_MOST_ANSWER_BYTES = 65_536
_DRAIN_SECONDS = 1.0
_MOST_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What came of a POST: a status, or why there is none. `retry_after_seconds` is what the receiver asked for."""

    status: int | None
    error: str | None
    duration_ms: float
    retry_after_seconds: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver took it: any 2xx, whatever follows the status."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Posts messages to URLs that users give. One per process; `close` at shutdown."""

    def __init__(self, settings: OutboundSettings, *, allow_http: bool = True) -> None:
        self._settings = settings
        self._networks = networks_of(settings.allow_networks)
        self._allow_http = allow_http
        self._transport: httpx2.AsyncHTTPTransport | None = None

    async def close(self) -> None:
        """Close idle connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    def refusal(self, url: str, *, allow_http: bool | None = None) -> str | None:
        """Return why a URL can never be posted to, as far as it says so itself; None for one that may do."""
        try:
            check(url, self._settings.allow_ports)
            parsed = httpx2.URL(url)
        except Refusal as error:
            return str(error)
        except httpx2.InvalidURL:  # httpx2 refuses more than the standard library: control characters, odd names
            return "it is not a valid URL"
        if parsed.scheme == "http" and not (self._allow_http if allow_http is None else allow_http):
            return "only https is open to webhooks; PRISMHOUSE_WEBHOOKS__ALLOW_HTTP opens http"
        with suppress(ValueError):
            if not is_open(parsed.host, self._networks):
                return "its host is in a private or reserved network"
        return None

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout_seconds: float,
        allow_http: bool | None = None,
    ) -> Posted:
        """Send `body` once. Never raises for what the other side does or is; `allow_http` overrides the setting."""
        started = time.monotonic()
        status: int | None = None
        retry_after: float | None = None
        if refusal := self.refusal(url, allow_http=allow_http):
            return Posted(status=None, error=f"refused: {refusal}", duration_ms=0)
        error: str | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._open().handle_async_request(self._request(url, body, headers, timeout_seconds))
            status, retry_after = response.status_code, _seconds(response.headers.get("retry-after"))
            await _drain(response)
        except Refusal as refused:
            error = f"refused: {refused}"
        except TimeoutError:
            error = f"it did not answer within {timeout_seconds:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as failed:
            error = reason_of(failed)
        return Posted(
            status=status,
            error=error or _fault(status),
            duration_ms=(time.monotonic() - started) * 1000,
            retry_after_seconds=retry_after,
        )

    def _request(self, url: str, body: bytes, headers: Mapping[str, str], total: float) -> httpx2.Request:
        connect = min(self._settings.connect_timeout_seconds, total)
        timeouts = {"connect": connect, "read": total, "write": total, "pool": total}
        return httpx2.Request("POST", url, content=body, headers=dict(headers), extensions={"timeout": timeouts})

    def _open(self) -> httpx2.AsyncHTTPTransport:
        if self._transport is None:
            limits = httpx2.Limits(
                max_connections=_CONNECTIONS,
                max_keepalive_connections=_KEPT_CONNECTIONS,
                keepalive_expiry=_KEPT_SECONDS,
            )
            self._transport = guarded_transport(self._networks, self._settings.allow_ports, limits=limits)
        return self._transport


def _fault(status: int | None) -> str | None:
    if status is not None and 300 <= status < 400:
        return f"it answers {status}; redirects are not followed"
    return None if status is None or 200 <= status < 300 else f"it answers {status}"


async def _drain(response: httpx2.Response) -> None:
    """Read the rest of a small answer, so that its connection can serve again; close it otherwise."""
    try:
        size = 0
        with suppress(httpx2.HTTPError, OSError, TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for piece in response.aiter_raw():
                    size += len(piece)
                    if size > _MOST_ANSWER_BYTES:
                        break
    finally:
        with suppress(httpx2.HTTPError, OSError):
            await response.aclose()


def _seconds(header: str | None) -> float | None:
    """Return what `Retry-After` asks for, given in seconds or as a time."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:_MOST_DIGITS])
    try:
        moment = parsedate_to_datetime(header)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
