"""Bodies of the type multipart/form-data: one file and some fields. The file stays on the disk, whatever its size."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect

from prismhouse.api.web.drain import drain
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import OrganizationId
from prismhouse.storage.blobs.disk import full_disk_named

__all__ = ["Form", "FormStalled", "FormTooLarge", "Forms", "FormsFull", "Piece"]

ROOM_SETTING = "PRISMHOUSE_LIMITS__FORM_BYTES"
_PATIENCE_SECONDS = 60.0
_HEAD_BYTES = 16 << 10
_FIELD_BYTES = 64 << 10
_MOST_PARTS = 50
_AROUND_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20


class FormTooLarge(WarehouseError):
    """The form is larger than {limit_bytes} bytes."""

    code = Code.TOO_LARGE
    hint = "Send a smaller file, or raise {setting}."


class FormStalled(WarehouseError):
    """Nothing of the form arrived for {seconds:g} seconds; what came before was dropped."""

    code = Code.TIMED_OUT
    hint = "Send the form again."


class FormsFull(WarehouseError):
    """No room for the form now: all that are received may take {room_bytes} bytes, one organization's half of it."""

    code = Code.TOO_MANY
    hint = "Send the form again when others have come in; the operator of this server can raise {setting}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a file on this disk: bytes [start, end)."""

    path: Path
    start: int
    end: int

    def digest(self) -> str:
        """Return its SHA-256; this reads it whole."""
        digest, left = hashlib.sha256(), self.end - self.start
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            while left and (block := stream.read(min(_BLOCK_BYTES, left))):
                digest.update(block)
                left -= len(block)
        return digest.hexdigest()

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield its bytes."""
        left = self.end - self.start
        with await asyncio.to_thread(self.path.open, "rb") as stream:
            await asyncio.to_thread(stream.seek, self.start)
            while left and (block := await asyncio.to_thread(stream.read, min(_BLOCK_BYTES, left))):
                left -= len(block)
                yield block


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields of a form by name, and its files by name."""

    fields: Mapping[str, str]
    files: Mapping[str, Piece]


class Forms:
    """Receives forms of one process, within a bound on the disk that they take together until they are done with.

    One organization may take half of it. A single form always finds room, whatever its size, if nothing else is there.

    Args:
        folder: holds them while they are used.
        file_bytes: largest file in a form, which `setting` says.
        room_bytes: the bound.
    """

    def __init__(self, folder: Path, *, file_bytes: int, setting: str, room_bytes: int) -> None:
        self._folder = folder
        self._setting = setting
        self._form_bytes = file_bytes + _AROUND_BYTES
        self._room_bytes = max(room_bytes, self._form_bytes)
        self._share_bytes = max(room_bytes // 2, self._form_bytes)
        self._taken: Counter[OrganizationId] = Counter()

    @asynccontextmanager
    async def received(self, request: Request, organization_id: OrganizationId) -> AsyncIterator[Form]:
        """Receive a form; its files are there until the end of the block.

        Raises:
            Invalid: the body is no such form.
            FormTooLarge: it has more than a file of the largest size, and a little for the fields.
            FormsFull: there is no room for it beside the others.
            FormStalled: the sender is silent.
            StorageFull: the disk is full.
        """
        boundary = _boundary(request.headers.get("content-type", ""))
        declared = request.headers.get("content-length", "")
        try:
            if declared.isdecimal():  # what cannot come in whole is refused before it is read
                self._check(organization_id, 0, int(declared[:20]))
        except WarehouseError:
            await drain(request.headers, request.receive)
            raise
        with full_disk_named():
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            place = await asyncio.to_thread(tempfile.TemporaryDirectory, dir=self._folder)
        with place as folder, self._counted(organization_id) as grow:
            path = Path(folder) / "form"
            size_bytes = await _receive(request, path, grow)
            yield await asyncio.to_thread(_parse, path, size_bytes, boundary)

    @contextmanager
    def _counted(self, organization_id: OrganizationId) -> Iterator[Callable[[int], None]]:
        """Give what counts the bytes of one form; they are free again at the end of the block."""
        size_bytes = 0

        def grow(more_bytes: int) -> None:
            nonlocal size_bytes
            self._check(organization_id, size_bytes, more_bytes)
            size_bytes += more_bytes
            self._taken[organization_id] += more_bytes

        try:
            yield grow
        finally:
            self._taken[organization_id] -= size_bytes
            if not self._taken[organization_id]:
                del self._taken[organization_id]

    def _check(self, organization_id: OrganizationId, size_bytes: int, more_bytes: int) -> None:
        if size_bytes + more_bytes > self._form_bytes:
            raise FormTooLarge(limit_bytes=self._form_bytes, setting=self._setting)
        own, all_bytes = self._taken[organization_id], self._taken.total()
        if own + more_bytes > self._share_bytes or all_bytes + more_bytes > self._room_bytes:
            raise FormsFull(room_bytes=self._room_bytes, setting=ROOM_SETTING)


async def _receive(request: Request, path: Path, grow: Callable[[int], None]) -> int:
    size_bytes, more = 0, True
    with full_disk_named(), await asyncio.to_thread(path.open, "wb") as stream:  # closing writes what is left
        while more:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    message = await request.receive()
            except TimeoutError as error:
                raise FormStalled(seconds=_PATIENCE_SECONDS) from error
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            try:
                grow(len(chunk))
                with full_disk_named():
                    await asyncio.to_thread(stream.write, chunk)
            except WarehouseError:
                if more:
                    await drain(request.headers, request.receive, begun=True)
                raise
            size_bytes += len(chunk)
    return size_bytes


def _boundary(header: str) -> bytes:
    message = Message()
    message["content-type"] = header.encode("ascii", "replace").decode()
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise Invalid([field_fault(["header", "Content-Type"], "must be multipart/form-data with a boundary")])
    return b"--" + boundary.encode()


def _parse(path: Path, size_bytes: int, boundary: bytes) -> Form:
    """Read a form as RFC 2046 has it: parts between lines of the boundary, each with headers of its own."""
    fields: dict[str, str] = {}
    files: dict[str, Piece] = {}
    if not size_bytes:
        raise _malformed("is empty")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as body:
        if body[: len(boundary)] != boundary:
            raise _malformed("does not begin with its boundary")
        at = len(boundary)
        for _ in range(_MOST_PARTS):
            if body[at : at + 2] == b"--":
                return Form(fields=fields, files=files)
            start = body.find(b"\r\n\r\n", at, at + _HEAD_BYTES)
            end = _found(body, b"\r\n" + boundary, start)
            if body[at : at + 2] != b"\r\n" or start < 0 or end < start + 2:
                raise _malformed("is cut off, or a part has no headers")
            name, filename = _named(body[at + 2 : start])
            # An empty part shares the line break that ends its headers.
            start = min(start + 4, end)
            if filename is not None:
                files[name] = Piece(path=path, start=start, end=end)
            elif end - start > _FIELD_BYTES:
                raise _malformed(f"has a field {name} of more than {_FIELD_BYTES} bytes")
            else:
                fields[name] = body[start:end].decode("utf-8", "replace")
            at = end + 2 + len(boundary)
    raise _malformed(f"has more than {_MOST_PARTS} parts")


def _found(body: mmap.mmap, needle: bytes, start: int) -> int:
    """Return the place of `needle`, or -1. Block by block: a search of gigabytes would keep every thread waiting."""
    for at in range(max(0, start), len(body), _BLOCK_BYTES):
        if (found := body.find(needle, at, at + _BLOCK_BYTES + len(needle))) >= 0:
            return found
    return -1


def _named(head: bytes) -> tuple[str, str | None]:
    headers = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    name = headers.get_param("name", header="content-disposition")
    filename = headers.get_param("filename", header="content-disposition")
    if not isinstance(name, str) or not name:
        raise _malformed("has a part without a name")
    return name, None if filename is None else str(filename)


def _malformed(what: str) -> Invalid:
    return Invalid([field_fault(["body"], f"The form {what}.")])
