"""Signed URLs of local storage: PUT a staged file, GET and HEAD a blob. The signature stands for the API key.

Object storage answers such URLs itself; these routes give clients the same manners on one machine.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from prismhouse.api.web.drain import drain
from prismhouse.api.web.errors import envelope
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.server.conditions import RangeNotSatisfiable, condition_of, http_date, range_of
from prismhouse.storage.blobs.disposition import disposition, sendable_type
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.local_staging import FILE_PATH, BodyDiffers, BodyTooLong, LocalStaging, decoded_key
from prismhouse.storage.blobs.signing import LinkTampered, Signer

__all__ = ["LocalFiles", "routes"]

_CHUNK_BYTES = 256 * 1024
# A sender that is silent for so long is gone: its file must not wait in `incoming` for ever.
_PATIENCE_SECONDS = 60.0
# A signed URL carries its own authority, and no cookie adds to it: pages of any origin may use theirs.
_OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*"}
_PREFLIGHT = _OPEN | {
    "Access-Control-Allow-Methods": "GET, HEAD, PUT",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "3600",
}
_SEALED = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'"
# The viewers of browsers do not start in a sandbox; a PDF has no access to our origin, with a sandbox or without.
_SEALED_PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"
_PDF = "application/pdf"


class WrongContentType(WarehouseError):
    """The URL was signed for Content-Type {signed_for!r}; {sent!r} was sent."""

    code = Code.FORBIDDEN
    wire_code = "SignatureDoesNotMatch"
    hint = "Send the header Content-Type with exactly the type that was declared."


class DigestUnreadable(WarehouseError):
    """Content-MD5 is not the base64 form of 16 bytes."""

    code = Code.BAD_REQUEST
    wire_code = "InvalidDigest"
    hint = "Send the base64 of the MD5 itself, not of its hex form, or leave the header out."


class ConditionNotKnown(WarehouseError):
    """PUT knows no condition but If-None-Match: *."""

    code = Code.NOT_IMPLEMENTED
    wire_code = "NotImplemented"
    hint = "Leave If-Match and other values of If-None-Match out."


class BodyStalled(WarehouseError):
    """Nothing of the file arrived for {seconds:g} seconds; what came before was dropped."""

    code = Code.TIMED_OUT
    wire_code = "RequestTimeout"
    hint = "Send the file again."


class NoSuchFile(WarehouseError):
    """The file of this URL is not there any more."""

    code = Code.NOT_FOUND
    wire_code = "NoSuchKey"
    hint = "What it belonged to was deleted; list what is there."


class OtherVersion(WarehouseError):
    """The file is not the one that If-Match or If-Unmodified-Since names."""

    code = Code.PRECONDITION_FAILED
    wire_code = "PreconditionFailed"
    hint = "Read it without the condition to see what is there."


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFiles:
    """What answers signed URLs where files lie on this machine's disk."""

    staging: LocalStaging
    blobs: LocalBlobStore
    signer: Signer

    def opened(self, url: str) -> BinaryIO | None:
        """Return the file of a download link of ours, or None for an address that is not one.

        Raises LinkExpired, LinkForOtherMethod or NoSuchFile.
        """
        try:
            parts = urlsplit(url)
            if not parts.path.endswith(FILE_PATH):
                return None
            signed = self.signer.check("GET", parts.query)
            return self.blobs.local_path(NamespaceId(signed["namespace_id"]), signed["sha256"]).open("rb")
        except (ValueError, LinkTampered):
            return None  # another server of this kind may have signed it: it is fetched like any address
        except FileNotFoundError as error:
            raise NoSuchFile from error


def routes(files: LocalFiles, *, limit_bytes: int, patience_seconds: float = _PATIENCE_SECONDS) -> APIRouter:
    """Return the route of signed URLs. It is not in the description: nobody makes such a URL by hand."""
    router = APIRouter()
    every = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]

    @router.api_route(FILE_PATH, methods=every, include_in_schema=False)
    async def file(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        body = _Body(request.receive, patience_seconds)
        try:
            parameters = files.signer.check(request.method, request.url.query)
            if request.method == "PUT":
                return await _put(files, Request(request.scope, body.receive), parameters, limit_bytes)
            return await _get(files, request, parameters)
        except WarehouseError as error:
            if not body.ended:
                await drain(request.headers, request.receive, begun=body.begun)
            refusal = envelope(error)
            refusal.headers.update(_OPEN)
            if isinstance(error, RangeNotSatisfiable):
                refusal.headers["Content-Range"] = f"bytes */{error.details['size_bytes']}"
            return refusal

    return router


class _Body:
    """A request's body, which knows whether its sender was asked for it and has sent all of it."""

    def __init__(self, receive: Receive, patience_seconds: float) -> None:
        self._receive = receive
        self._patience_seconds = patience_seconds
        self.begun = self.ended = False

    async def receive(self) -> Message:
        """Return the next message of the request; raise BodyStalled."""
        self.begun = True
        try:
            async with asyncio.timeout(self._patience_seconds):
                message = await self._receive()
        except TimeoutError as error:
            self.ended = True  # as far as anybody can tell
            raise BodyStalled(seconds=self._patience_seconds) from error
        self.ended = not message.get("more_body", False)
        return message


async def _put(files: LocalFiles, request: Request, signed: dict[str, str], limit_bytes: int) -> Response:
    headers = request.headers
    sent_type = headers.get("content-type", "")
    if sent_type != signed["content_type"]:
        raise WrongContentType(signed_for=signed["content_type"], sent=sent_type)
    size_bytes = int(signed["size_bytes"]) if "size_bytes" in signed else None
    if headers.get("content-length", "").isdecimal():
        sent_bytes = int(headers["content-length"])
        if size_bytes is not None and sent_bytes != size_bytes:
            raise BodyDiffers(signed_bytes=size_bytes, sent_bytes=sent_bytes)
        if sent_bytes > limit_bytes:
            raise BodyTooLong(limit_bytes=limit_bytes)
    if "if-match" in headers or headers.get("if-none-match", "*") != "*":
        raise ConditionNotKnown
    staged = await files.staging.receive(
        decoded_key(signed["key"]),
        request.stream(),
        content_type=sent_type,
        limit_bytes=limit_bytes,
        size_bytes=size_bytes,
        md5=_declared_md5(headers.get("content-md5")),
        only_new="if-none-match" in headers,
    )
    return Response(headers=_OPEN | {"ETag": f'"{staged.etag}"'})


def _declared_md5(header: str | None) -> str | None:
    if header is None:
        return None
    try:
        digest = base64.b64decode(header, validate=True)
    except binascii.Error as error:
        raise DigestUnreadable from error
    if len(digest) != 16:
        raise DigestUnreadable
    return digest.hex()


async def _get(files: LocalFiles, request: Request, signed: dict[str, str]) -> Response:
    path = files.blobs.local_path(NamespaceId(signed["namespace_id"]), signed["sha256"])
    try:
        file = await anyio.to_thread.run_sync(lambda: path.open("rb"))
    except FileNotFoundError as error:
        raise NoSuchFile from error
    try:
        return _answer(request, file, signed)
    except BaseException:
        file.close()
        raise


def _answer(request: Request, file: BinaryIO, signed: dict[str, str]) -> Response:
    status = os.fstat(file.fileno())
    size_bytes, modified, etag = status.st_size, status.st_mtime, f'"{signed.get("md5") or signed["sha256"]}"'
    headers = _OPEN | {"ETag": etag, "Last-Modified": http_date(modified), "Cache-Control": "private"}
    condition = condition_of(request.headers, etag=etag, modified=modified)
    if condition == 412:
        raise OtherVersion
    if condition == 304:
        file.close()
        return Response(status_code=304, headers=headers)
    wanted = range_of(request.headers, size_bytes=size_bytes, etag=etag, modified=modified)
    start, end = wanted or (0, size_bytes)
    headers |= _looks(signed.get("content_type"), signed.get("filename"))
    headers |= {"Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    if request.method == "HEAD":
        file.close()
        return Response(status_code=206 if wanted else 200, headers=headers)
    return _FileAnswer(file, start, end, status_code=206 if wanted else 200, headers=headers)


def _looks(content_type: str | None, filename: str | None) -> dict[str, str]:
    """Return the headers by which browsers show a file, or save it, and never let it act as a page of ours."""
    kind = sendable_type(content_type)
    bare = kind.partition(";")[0].strip().lower()
    return {
        "Content-Type": kind,
        "Content-Disposition": disposition(kind, filename),
        "Content-Security-Policy": _SEALED_PDF if bare == _PDF else _SEALED,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
    }


class _FileAnswer(StreamingResponse):
    """Bytes [start, end) of an open file, which goes on being what it was when it is deleted meanwhile."""

    def __init__(self, file: BinaryIO, start: int, end: int, *, status_code: int, headers: dict[str, str]) -> None:
        super().__init__(self._pieces(start, end), status_code, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and close the file however it ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    async def _pieces(self, start: int, end: int) -> AsyncIterator[bytes]:
        await anyio.to_thread.run_sync(self._file.seek, start)
        while start < end:
            piece = await anyio.to_thread.run_sync(self._file.read, min(_CHUNK_BYTES, end - start))
            if not piece:
                return
            start += len(piece)
            yield piece
