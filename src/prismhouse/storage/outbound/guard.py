"""What every outgoing request passes: which URLs, which ports, which addresses; and what failures are called.

The guard sits where sockets are opened, so a name is resolved once and connected as checked.
"""

from __future__ import annotations

import contextlib
import ssl
import zlib
from collections.abc import Iterable
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

import httpcore2
import httpx2

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.outbound.addresses import Network, is_open
from prismhouse.storage.outbound.resolver import Resolver

__all__ = ["Refusal", "URLRefused", "URLUnreachable", "check", "guarded_transport", "reason_of", "without_secrets"]


class URLRefused(WarehouseError):
    """{url} is not fetched: {reason}."""

    code = Code.UNREACHABLE_URL
    hint = "Use a public http(s) URL, or send the bytes as data."


class URLUnreachable(WarehouseError):
    """{url} could not be fetched: {reason}."""

    code = Code.UNREACHABLE_URL
    hint = "Check that the URL answers without credentials, or send the bytes as data."


class _GuardedNetwork(httpcore2.AsyncNetworkBackend):  # type: ignore[misc, unused-ignore]
    """Opens sockets to checked addresses only."""

    def __init__(
        self, inner: httpcore2.AsyncNetworkBackend, networks: tuple[Network, ...], ports: tuple[int, ...]
    ) -> None:
        self._inner = inner
        self._networks = networks
        self._ports = ports
        self._resolver = Resolver()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        if self._ports and port not in self._ports:
            raise Refusal(f"port {port} is not open to fetches")
        addresses = await self._resolve(host, port)
        if not all(is_open(address, self._networks) for address in addresses):
            # The address is left out on purpose: answers must not map the inside of a network.
            raise Refusal("its host is in a private or reserved network")
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _resolve(self, host: str, port: int) -> list[str]:
        try:
            return await self._resolver.addresses(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("the host name does not resolve") from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 - the signature is the library's
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        raise Refusal(f"sockets such as {path} are never opened")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Refusal(Exception):
    """The guard said no."""


def guarded_transport(
    networks: tuple[Network, ...], ports: tuple[int, ...], *, limits: httpx2.Limits
) -> httpx2.AsyncHTTPTransport:
    """Return a transport that opens sockets to checked addresses only.

    The transport itself, not a client: no cookies between users, no proxies, no redirects of its own.
    """
    transport = httpx2.AsyncHTTPTransport(verify=_trusted(), retries=0, trust_env=False, limits=limits)
    pool: Any = transport._pool  # noqa: SLF001 - the one place to guard sockets; the version is pinned
    pool._network_backend = _GuardedNetwork(pool._network_backend, networks, ports)  # noqa: SLF001
    return transport


@cache
def _trusted() -> ssl.SSLContext:
    """Return the authorities of this machine. Reading them takes 25 ms, and each crawl has a transport of its own."""
    return httpx2.create_ssl_context(trust_env=False)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Refusal("it is not a valid URL") from error
    return parts


def check(url: str, ports: tuple[int, ...]) -> None:
    parts = _split(url)
    if parts.scheme not in {"http", "https"}:
        raise Refusal(f"only http and https are fetched, not {parts.scheme or 'a URL without a scheme'}")
    if parts.username is not None or parts.password is not None:
        raise Refusal("it carries a user name or password")
    if not parts.hostname:
        raise Refusal("it names no host")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if ports and port not in ports:
        raise Refusal(f"port {port} is not open to fetches")


def without_secrets(url: str) -> str:
    """Return the URL without user, password, query and fragment, and no longer than a line."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))[:500]
    except ValueError:
        return "The URL"


def reason_of(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException | httpcore2.TimeoutException):
        return "it did not answer in time"
    if isinstance(error, httpx2.ConnectError):
        return str(error) if "resolve" in str(error) else "the connection failed"
    if isinstance(error, httpx2.InvalidURL):
        return "it is not a valid URL"
    if isinstance(error, zlib.error):
        return "the answer is not valid gzip"
    return "the connection broke or the answer was not HTTP"
