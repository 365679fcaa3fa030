"""Files that a request brings: bytes in base64, an address that is fetched, or a signed link of our own storage."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from prismhouse.api.inference.errors import FileRejected
from prismhouse.api.inference.model import File
from prismhouse.api.inference.service.room import Call
from prismhouse.storage.outbound import Fetcher

__all__ = ["OwnLinks", "Sent", "Sources"]

_DATA_URI = re.compile(r"data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)
_HEAD_CHARS = 1_000
_SPACES = b" \t\r\n\f\v"


class OwnLinks(Protocol):
    """Knows the signed links of this server's own storage, which a fetch would not reach."""

    def opened(self, url: str) -> IO[bytes] | None:
        """Return the file of a link that is good now, or None for any other address; raise what is wrong with it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file on disk, for as long as the block that gave it."""

    path: Path
    size_bytes: int
    filename: str | None = None

    async def read(self) -> bytes:
        """Return its bytes."""
        return await asyncio.to_thread(self.path.read_bytes)

    async def sha256(self) -> str:
        """Return the digest of its bytes, which are not held in memory."""
        return await asyncio.to_thread(_sha256, self.path)


class Sources:
    """Takes files in, within limits.

    Args:
        fetcher: guarded; it never reaches the networks that the server stands in.
        own: links of our own storage; None where object storage answers them.
        file_bytes: largest file.
    """

    def __init__(self, fetcher: Fetcher, *, own: OwnLinks | None, file_bytes: int) -> None:
        self._fetcher = fetcher
        self._own = own
        self._file_bytes = file_bytes

    def of(self, file: File, call: Call) -> AbstractAsyncContextManager[Sent]:
        """Give the file that a request names or holds; see `of_url` and `of_base64`."""
        if file.is_url:
            return self.of_url(file.value, key=file.key, call=call)
        return self.of_base64(file.value, key=file.key)

    @asynccontextmanager
    async def of_base64(self, value: str, *, key: str) -> AsyncIterator[Sent]:
        """Give the file of a text in base64, which may be a data URI; raise FileRejected.

        The text is part of the request, whose call holds room for it.
        """
        head = _DATA_URI.match(value, 0, _HEAD_CHARS)
        text = value[head.end() :] if head else value
        if len(text) // 4 * 3 > self._file_bytes + 3:
            raise FileRejected(key=key, reason=f"it is larger than {self._file_bytes} bytes.")
        try:
            data = await asyncio.to_thread(_decoded, text)
        except (binascii.Error, ValueError) as error:
            raise FileRejected(key=key, reason=f"it is not base64 ({error}).") from error
        if not data:
            raise FileRejected(key=key, reason="it is empty.")
        with tempfile.NamedTemporaryFile(prefix="prismhouse-") as file:
            await asyncio.to_thread(_fill, file, data)
            del data
            yield Sent(path=Path(file.name), size_bytes=os.fstat(file.fileno()).st_size)

    @asynccontextmanager
    async def of_url(self, url: str, *, key: str, call: Call) -> AsyncIterator[Sent]:
        """Give the file at an address.

        Raises:
            URLRefused, URLUnreachable: it is not fetched, or not to be had.
            LinkTampered, LinkExpired: it is a link of ours, and no longer good.
            FileRejected: it is larger than may be.
            InferenceBusy: too much is held already.
        """
        own = await asyncio.to_thread(self._own.opened, url) if self._own is not None else None
        if own is not None:
            with own:
                size = os.fstat(own.fileno()).st_size
                if size > self._file_bytes:
                    raise FileRejected(key=key, reason=f"it is larger than {self._file_bytes} bytes.")
                yield Sent(path=Path(own.name), size_bytes=size)
            return
        fetched = await self._fetcher.fetch(url, max_bytes=self._file_bytes)
        try:
            with (
                call.hold(fetched.size_bytes),
                tempfile.NamedTemporaryFile(prefix="prismhouse-") as file,
            ):
                async for piece in fetched.chunks():
                    await asyncio.to_thread(file.write, piece)
                await asyncio.to_thread(file.flush)
                yield Sent(path=Path(file.name), size_bytes=fetched.size_bytes, filename=fetched.filename)
        finally:
            fetched.close()


def _decoded(text: str) -> bytes:
    # Split at spaces, a text of two letters a line would become millions of texts.
    return base64.b64decode(text.encode("ascii").translate(None, _SPACES), validate=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
