"""Bodies of the type multipart/form-data: one file and some fields. The file stays on the disk, whatever its size."""

from __future__ import annotations

import asyncio
import mmap
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from fastapi import Request

from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault

__all__ = ["Form", "FormStalled", "FormTooLarge", "Piece", "form_of"]

_PATIENCE_SECONDS = 60.0
_HEAD_BYTES = 16 << 10
_FIELD_BYTES = 64 << 10
_MOST_PARTS = 50
_AROUND_BYTES = 1 << 20


class FormTooLarge(WarehouseError):
    """The form is larger than {limit_bytes} bytes."""

    code = Code.TOO_LARGE
    hint = "Send a smaller file, or raise {setting}."


class FormStalled(WarehouseError):
    """Nothing of the form arrived for {seconds:g} seconds; what came before was dropped."""

    code = Code.TIMED_OUT
    hint = "Send the form again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a file on this disk: bytes [start, end)."""

    path: Path
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields of a form by name, and its files by name."""

    fields: Mapping[str, str]
    files: Mapping[str, Piece]


@asynccontextmanager
async def form_of(request: Request, folder: Path, *, file_bytes: int, setting: str) -> AsyncIterator[Form]:
    """Receive a form; its files are there until the end of the block.

    Raises:
        Invalid: the body is no such form.
        FormTooLarge: more than `file_bytes` and a little for the fields.
        FormStalled: the sender is silent.
    """
    boundary = _boundary(request.headers.get("content-type", ""))
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "form"
        size_bytes = await _receive(request, path, limit_bytes=file_bytes + _AROUND_BYTES, setting=setting)
        yield await asyncio.to_thread(_parse, path, size_bytes, boundary)


async def _receive(request: Request, path: Path, *, limit_bytes: int, setting: str) -> int:
    size_bytes = 0
    chunks = request.stream()
    with await asyncio.to_thread(path.open, "wb") as stream:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise FormStalled(seconds=_PATIENCE_SECONDS) from error
            if chunk is None:
                return size_bytes
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise FormTooLarge(limit_bytes=limit_bytes, setting=setting)
            await asyncio.to_thread(stream.write, chunk)


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
            end = body.find(b"\r\n" + boundary, start)
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


def _named(head: bytes) -> tuple[str, str | None]:
    headers = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    name = headers.get_param("name", header="content-disposition")
    filename = headers.get_param("filename", header="content-disposition")
    if not isinstance(name, str) or not name:
        raise _malformed("has a part without a name")
    return name, None if filename is None else str(filename)


def _malformed(what: str) -> Invalid:
    return Invalid([field_fault(["body"], f"The form {what}.")])
