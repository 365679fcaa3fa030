"""Requests to one bucket: each with a time limit and few retries, each failure in the warehouse's words."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import structlog

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.blobs.s3.place import Place

if TYPE_CHECKING:
    from obstore.store import S3Store

__all__ = ["Bucket", "Entry", "Gone", "Replaced", "StorageUnavailable"]

PART_BYTES = 8 << 20
_PARTS_AT_A_TIME = 4
_COPY_BYTES = 5 << 30  # the most that one CopyObject takes
_COPY_SECONDS = 900.0
_PROBE_SECONDS = 1.5
_FRESH_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
_RETRIES = 3
_RETRY_SECONDS = 15.0
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
# Where machines, containers and AssumeRole hand out keys: the request did not get as far as the storage.
_KEY_SERVER = re.compile(
    r"Error performing \w+ \S*(?:/latest/|/credentials|//sts\.|//169\.254\.)|container_credentials"
)
_EXPLAINED = {
    "NoSuchBucket": "the bucket does not exist",
    "InvalidAccessKeyId": "the access key is unknown to it",
    "SignatureDoesNotMatch": "the secret access key is wrong",
    "ExpiredToken": "the session token has expired",
    "RequestTimeTooSkewed": "the clock of this machine is off",
    "PermanentRedirect": "the bucket is in another region or at another endpoint",
    "AuthorizationHeaderMalformed": "the bucket is in another region",
}
_log = structlog.get_logger(__name__)


class StorageUnavailable(WarehouseError):
    """The object storage did not do what was asked: {reason}."""

    code = Code.UNAVAILABLE
    hint = "Nothing was lost; try again. GET /v1/health tells when storage works."


class Gone(Exception):
    """Nothing is under the key."""


class Replaced(Exception):
    """Something else is under the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object of the bucket. `etag` is without quotes."""

    key: str
    size_bytes: int
    etag: str
    written_at: datetime
    content_type: str | None = None


class Bucket:
    """The bucket of a place. Keys are complete: the prefix is part of them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._store = _open(place, timeout_seconds=place.timeout_seconds, retries=_RETRIES)
        # A server-side copy answers when it is done, which takes minutes for the largest files.
        self._patient = _open(place, timeout_seconds=_COPY_SECONDS, retries=_RETRIES)
        self._hasty = _open(place, timeout_seconds=_PROBE_SECONDS, retries=0)
        public = replace(place, base=place.public_base)
        self._public = _open(public, timeout_seconds=place.timeout_seconds, retries=_RETRIES)
        self._worked_at = float("-inf")

    def presign(self, method: Literal["GET", "PUT"], key: str, *, expires_in_seconds: int) -> str:
        """Return a URL signed with the keys of the machine; it binds the method, the key and the expiry alone."""
        import obstore

        with self._told():
            return obstore.sign(self._public, method, key, timedelta(seconds=expires_in_seconds))

    async def put(self, key: str, data: bytes, *, content_type: str | None = None) -> None:
        """Store bytes, in parts where there are many; they are durable when this returns."""
        import obstore

        attributes: Any = {"Content-Type": content_type} if content_type else None
        with self._told():
            await obstore.put_async(
                self._store,
                key,
                data,
                attributes=attributes,
                chunk_size=PART_BYTES,
                max_concurrency=_PARTS_AT_A_TIME,
            )

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> str:
        """Store a stream in parts of 8 MiB, all or nothing, and return the ETag (`md5-N`)."""
        import obstore

        with self._told():
            result = await obstore.put_async(
                self._store,
                key,
                chunks,
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=_PARTS_AT_A_TIME,
            )
        return _bare(result["e_tag"])

    async def head(self, key: str) -> Entry:
        """Return what is under the key; raise Gone."""
        import obstore

        with self._told():
            found = await obstore.get_async(self._store, key, options={"head": True})
        return _entry(found.meta, found.attributes.get("Content-Type"))

    async def find(self, key: str) -> Entry | None:
        """Return what is under the key, or None."""
        try:
            return await self.head(key)
        except Gone:
            return None

    async def get_exactly(self, key: str, etag: str) -> bytes:
        """Return all bytes of the object that has this ETag; raise Gone or Replaced."""
        import obstore

        try:
            with self._told(expected=412):
                found = await obstore.get_async(self._store, key, options={"if_match": f'"{etag}"'})
                return bytes(await found.bytes_async())
        except _Expected:
            raise Replaced from None

    async def get_range(self, key: str, start: int, end: int) -> tuple[bytes, int]:
        """Return bytes [start, end), as far as there are any, and the size of all; raise Gone."""
        import obstore

        try:
            with self._told(expected=416):
                found = await obstore.get_async(self._store, key, options={"range": (start, end)})
                return bytes(await found.bytes_async()), int(found.meta["size"])
        except _Expected:
            return b"", (await self.head(key)).size_bytes

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield bytes [start, end) in pieces of at most 8 MiB, the next one fetched meanwhile; raise Gone."""
        if end is not None and end <= start:
            await self.head(key)
            return
        piece, size = await self.get_range(key, start, _least(start + PART_BYTES, end))
        last = _least(size, end)
        while piece:
            start += len(piece)
            if start >= last:
                yield piece
                return
            following = asyncio.create_task(self.get_range(key, start, min(start + PART_BYTES, last)))
            try:
                yield piece
                piece, _ = await following
            finally:
                following.cancel()
        if start < last:
            raise StorageUnavailable(reason="an object ended before its size")

    async def copy(self, source: str, target: str, *, size_bytes: int) -> None:
        """Copy inside the storage, all or nothing; raise Gone. What is too large for that passes through here."""
        import obstore

        if size_bytes > _COPY_BYTES:
            await self.put_stream(target, self.stream(source))
            return
        with self._told():
            await obstore.copy_async(self._patient, source, target)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete; missing ones are no error."""
        import obstore

        for start in range(0, len(keys), 1000):
            some = keys[start : start + 1000]
            with self._told():
                # One by one where there is one: not every server has the bulk operation.
                await obstore.delete_async(self._store, some[0] if len(some) == 1 else list(some))

    async def delete_below(self, prefix: str) -> None:
        """Delete everything whose key begins with the prefix and a slash."""
        async for page in self.pages(prefix):
            await self.delete([entry.key for entry in page])

    async def pages(self, prefix: str) -> AsyncIterator[list[Entry]]:
        """Yield what is below the prefix, up to 1,000 at a time."""
        import obstore

        with self._told():
            async for page in obstore.list(self._store, prefix=prefix, chunk_size=1000):
                yield [_entry(meta) for meta in page]

    async def probe(self, key: str) -> str | None:
        """Say why nothing can be stored now, after trying once; None when it can, or could seconds ago."""
        import obstore

        if time.monotonic() - self._worked_at < _FRESH_SECONDS:
            return None  # health is asked often, and every try is a request that costs
        try:
            with self._told():
                await obstore.put_async(self._hasty, key, b"?", use_multipart=False)
        except Gone:
            return "Files cannot be stored: the bucket does not exist."
        except StorageUnavailable as error:
            return f"Files cannot be stored: {error.details['reason']}."
        self._worked_at = time.monotonic()
        return None

    @contextmanager
    def _told(self, *, expected: int | None = None) -> Iterator[None]:
        try:
            with _explained(expected=expected):
                yield
        except StorageUnavailable:
            self._worked_at = float("-inf")
            raise


class _Expected(Exception):
    """The answer has the status that the caller knows what to do with."""


@contextmanager
def _explained(*, expected: int | None = None) -> Iterator[None]:
    """Turn what obstore raises into Gone or StorageUnavailable, without what the storage says about keys."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StorageUnavailable(reason=_EXPLAINED["NoSuchBucket"]) from None
        raise Gone from None
    except BaseError as error:
        text = str(error)
        status = int(found[1]) if (found := _STATUS.search(text)) else None
        if expected is not None and status == expected:
            raise _Expected from None
        reason = _reason(text, status)
        _log.warning("object storage failed", reason=reason)
        # Without its cause: that quotes the request, and answers that name keys.
        raise StorageUnavailable(reason=reason) from None


def _reason(text: str, status: int | None) -> str:
    if _KEY_SERVER.search(text):
        return "no access key is set, and the machine gives none (PRISMHOUSE_BLOBS__ACCESS_KEY_ID)"
    code = found[1] if (found := _CODE.search(text)) else None
    if code in _EXPLAINED:
        return _EXPLAINED[code]
    if status in {401, 403}:
        return f"it refuses access ({code or status}): check the keys and the bucket's policy"
    if status is not None:
        return f"it answers {status}{f' ({code})' if code else ''}"
    if "kind: Timeout" in text:
        return "it does not answer in time"
    return "it cannot be reached" if "error sending request" in text else "the connection to it broke"


def _open(place: Place, *, timeout_seconds: float, retries: int) -> S3Store:
    from obstore.store import S3Store

    keys = place.credentials
    settings: dict[str, Any] = {
        # The names that win over the environment, and a provider, so that its keys are never mixed with ours.
        "aws_endpoint_url_s3": place.base if not place.path_style else place.base.removesuffix(f"/{place.bucket}"),
        "region": place.region,
        "virtual_hosted_style_request": not place.path_style,
    }
    provided: Any = {}
    if keys is not None:
        held = {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key}
        provided = {"credential_provider": lambda: {**held, "token": keys.session_token, "expires_at": None}}
    return S3Store(
        place.bucket,
        config=settings,  # type: ignore[arg-type]
        client_options={
            "allow_http": place.base.startswith("http://"),
            "timeout": timedelta(seconds=timeout_seconds),
            "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, timeout_seconds)),
        },
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
            "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=3), "base": 2},
        },
        **provided,
    )


def _entry(meta: Any, content_type: Any = None) -> Entry:
    return Entry(
        key=meta["path"],
        size_bytes=meta["size"],
        etag=_bare(meta["e_tag"]),
        written_at=meta["last_modified"],
        content_type=str(content_type) if content_type else None,
    )


def _bare(etag: str | None) -> str:
    return (etag or "").removeprefix("W/").strip('"')


def _least(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)
