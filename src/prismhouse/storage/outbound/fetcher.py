"""GET with limits, to where guard.py lets it."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO
from urllib.parse import unquote, urljoin, urlsplit

import httpx2

from prismhouse.settings import OutboundSettings
from prismhouse.storage.outbound.addresses import networks_of
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

__all__ = ["Fetched", "Fetcher", "URLRefused", "URLUnreachable", "decoded"]

_CHUNK_BYTES = 1 << 18
_MEMORY_BYTES = 1 << 20
_HEAD_BYTES = 8192
_GZIP = 31  # zlib's window size for a stream with a gzip header
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": "prismhouse", "Accept": "*/*", "Accept-Encoding": "gzip, identity"}
_FILENAME = re.compile(r"filename\*=(?:UTF-8|utf-8)''([^;]+)|filename=\"([^\"]*)\"|filename=([^;\s]+)")


@dataclass(slots=True, kw_only=True)
class Fetched:
    """An answer, complete. Bytes over 1 MiB lie in a temporary file that `close` removes."""

    file: IO[bytes]
    head: bytes
    size_bytes: int
    sha256: str
    content_type: str | None
    charset: str | None
    final_url: str
    filename: str | None

    async def read(self) -> bytes:
        """Return all bytes."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes from the beginning, 256 KiB at a time."""
        await asyncio.to_thread(self.file.seek, 0)
        while chunk := await asyncio.to_thread(self.file.read, _CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        """Remove the temporary file."""
        self.file.close()


class Fetcher:
    """Fetches URLs that users give. One per process; `close` at shutdown."""

    def __init__(self, settings: OutboundSettings) -> None:
        self._settings = settings
        self._networks = networks_of(settings.allow_networks)
        self._transport: httpx2.AsyncHTTPTransport | None = None

    async def close(self) -> None:
        """Close idle connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def fetch(self, url: str, *, max_bytes: int | None = None) -> Fetched:
        """Return the whole answer of a GET.

        Raises:
            URLRefused: the URL or a redirect leads where fetches do not go, or the answer is over the limit.
            URLUnreachable: no answer, not in time, or not a 200.
        """
        limit = min(max_bytes or self._settings.max_bytes, self._settings.max_bytes)
        with observed(refusal=URLRefused):
            return await self._fetched(url, limit)

    async def _fetched(self, url: str, limit: int) -> Fetched:
        shown = without_secrets(url)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await self._follow(url, limit)
        except Refusal as error:
            raise URLRefused(url=shown, reason=str(error)) from error
        except TimeoutError as error:
            seconds = f"{self._settings.timeout_seconds:g}"
            raise URLUnreachable(url=shown, reason=f"it took longer than {seconds} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, zlib.error) as error:
            raise URLUnreachable(url=shown, reason=reason_of(error)) from error

    async def _follow(self, url: str, limit: int) -> Fetched:
        for _ in range(self._settings.max_redirects + 1):
            check(url, self._settings.allow_ports)
            request = httpx2.Request("GET", url, headers=_HEADERS, extensions={"timeout": self._timeouts()})
            response = await self._open().handle_async_request(request)
            try:
                location = response.headers.get("location")
                if response.status_code in _REDIRECTS and location:
                    url = urljoin(url, location)
                    continue
                if response.status_code != 200:
                    raise URLUnreachable(url=without_secrets(url), reason=f"it answers {response.status_code}")
                return await _receive(response, url, limit)
            finally:
                await response.aclose()
        raise Refusal(f"it redirects more than {self._settings.max_redirects} times")

    def _open(self) -> httpx2.AsyncHTTPTransport:
        if self._transport is None:
            limits = httpx2.Limits(max_connections=64, max_keepalive_connections=8, keepalive_expiry=5)
            self._transport = guarded_transport(self._networks, self._settings.allow_ports, limits=limits)
        return self._transport

    def _timeouts(self) -> dict[str, float]:
        total = self._settings.timeout_seconds
        return {"connect": self._settings.connect_timeout_seconds, "read": total, "write": total, "pool": total}


async def _receive(response: httpx2.Response, url: str, limit: int) -> Fetched:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise Refusal(f"the answer has {declared} bytes; at most {limit} are accepted")
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - closed by the receiver
    size, head, sha256 = 0, b"", hashlib.sha256()
    try:
        async for piece in decoded(response):
            size += len(piece)
            _check_size(size, limit)
            sha256.update(piece)
            if len(head) < _HEAD_BYTES:
                head += piece[: _HEAD_BYTES - len(head)]
            await asyncio.to_thread(file.write, piece)
    except BaseException:
        file.close()
        raise
    content_type, _, rest = response.headers.get("content-type", "").partition(";")
    charset = re.search(r"charset=\"?([\w.:-]+)", rest)
    return Fetched(
        file=file,
        head=head,
        size_bytes=size,
        sha256=sha256.hexdigest(),
        content_type=content_type.strip().lower() or None,
        charset=charset[1].lower() if charset else None,
        final_url=without_secrets(url),
        filename=_filename(response.headers.get("content-disposition", ""), url),
    )


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Refusal(f"the answer has more than {limit} bytes")


async def decoded(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Yield decoded bytes in pieces of at most 256 KiB, so that the caller counts a bomb before it unfolds."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        async for raw in response.aiter_raw(_CHUNK_BYTES):
            yield raw
        return
    if encoding not in {"gzip", "x-gzip"}:
        raise Refusal(f"the answer is encoded as {encoding}; accepted are gzip and none")
    inflater = zlib.decompressobj(wbits=_GZIP)
    async for raw in response.aiter_raw(_CHUNK_BYTES):
        left = raw
        while left:
            yield inflater.decompress(left, _CHUNK_BYTES)
            left = inflater.unconsumed_tail
            if inflater.eof and (left := inflater.unused_data.lstrip(b"\0")):
                inflater = zlib.decompressobj(wbits=_GZIP)  # a gzip file is a series of members (RFC 1952)
    while not inflater.eof:
        piece = inflater.decompress(b"", _CHUNK_BYTES)
        if not piece and not inflater.eof:
            raise zlib.error("incomplete")
        yield piece


def _filename(disposition: str, url: str) -> str | None:
    match = _FILENAME.search(disposition)
    named = unquote(next(group for group in match.groups() if group is not None)) if match else ""
    name = re.split(r"[\\/]", named or unquote(urlsplit(url).path))[-1]
    return "".join(character for character in name if character.isprintable())[:255] or None
