"""One GET at a time, for a visitor who decides about each redirect, to where guard.py lets it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx2

from prismhouse.settings import OutboundSettings
from prismhouse.storage.outbound.addresses import networks_of
from prismhouse.storage.outbound.fetcher import decoded
from prismhouse.storage.outbound.guard import (
    Refusal,
    URLRefused,
    URLUnreachable,
    check,
    guarded_transport,
    reason_of,
    without_secrets,
)
from prismhouse.storage.outbound.observed import observed

__all__ = ["Appetite", "Visited", "Visitor"]

Appetite = Callable[[int, httpx2.Headers], int]
"""How many bytes of an answer are wanted, by its status and headers."""

# Many servers close after 5 s without a word: a request that meets that moment would fail.
_KEPT_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """An answer, whatever its status. `is_cut` says that it is longer than was wanted."""

    url: str
    status: int
    headers: httpx2.Headers
    body: bytes
    is_cut: bool
    response: httpx2.Response


class Visitor:
    """Gets pages by URLs that strangers give. Follows no redirect, keeps no cookie; `close` at the end.

    Args:
        settings: which networks and ports are open, and how long a request may take.
        connections: most at once.
    """

    def __init__(self, settings: OutboundSettings, *, connections: int = 4) -> None:
        self._settings = settings
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEPT_SECONDS
        )
        self._transport = guarded_transport(networks_of(settings.allow_networks), settings.allow_ports, limits=limits)

    async def close(self) -> None:
        """Close idle connections."""
        await self._transport.aclose()

    async def get(
        self, url: str, headers: Mapping[str, str], *, appetite: Appetite, timeout_seconds: float | None = None
    ) -> Visited:
        """Return the answer to one GET.

        Args:
            url: where to; checked as every URL that comes from outside.
            headers: sent beside `Accept-Encoding`.
            appetite: how many bytes of the answer are wanted; the rest is left.
            timeout_seconds: longest it may take, never longer than the setting.

        Raises:
            URLRefused: requests do not go there, or the answer is encoded in a way that is not read.
            URLUnreachable: no answer, or not in time.
        """
        limit = min(timeout_seconds or self._settings.timeout_seconds, self._settings.timeout_seconds)
        shown = without_secrets(url)
        with observed(refusal=URLRefused):
            try:
                async with asyncio.timeout(limit):
                    return await self._visited(url, headers, appetite, limit)
            except Refusal as error:
                raise URLRefused(url=shown, reason=str(error)) from error
            except TimeoutError as error:
                raise URLUnreachable(url=shown, reason=f"it took longer than {limit:g} s") from error
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, zlib.error) as error:
                raise URLUnreachable(url=shown, reason=reason_of(error)) from error

    async def _visited(self, url: str, headers: Mapping[str, str], appetite: Appetite, limit: float) -> Visited:
        check(url, self._settings.allow_ports)
        connect = min(self._settings.connect_timeout_seconds, limit)
        timeouts = {"connect": connect, "read": limit, "write": limit, "pool": limit}
        sent = {**headers, "Accept-Encoding": "gzip, identity"}
        request = httpx2.Request("GET", url, headers=sent, extensions={"timeout": timeouts})
        response = await self._transport.handle_async_request(request)
        response.request = request
        try:
            wanted = min(appetite(response.status_code, response.headers), self._settings.max_bytes)
            body, is_cut = await _read(response, wanted) if wanted else (b"", False)
        finally:
            await response.aclose()
        return Visited(
            url=url, status=response.status_code, headers=response.headers, body=body, is_cut=is_cut, response=response
        )


async def _read(response: httpx2.Response, wanted: int) -> tuple[bytes, bool]:
    body = bytearray()
    async for piece in decoded(response):
        body += piece
        if len(body) > wanted:
            return bytes(body[:wanted]), True
    return bytes(body), False
