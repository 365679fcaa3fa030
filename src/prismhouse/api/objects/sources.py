"""Where a blob's bytes come from: inline text, inline bytes, a URL, or an upload. One source, said without guessing."""

from __future__ import annotations

import base64
import binascii
import json as stdlib_json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from prismhouse.api.buckets.model import FieldType
from prismhouse.api.objects.schemas import BlobInput
from prismhouse.kit import json
from prismhouse.kit.errors import FieldFault, Invalid, field_fault

__all__ = ["InlineBytes", "InlineText", "Remote", "Source", "Uploaded", "checksum_of", "source_of"]

_URL = re.compile(r"(?i)(https?|s3|gs|file)://\S+")
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,(.*)", re.DOTALL)
_CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_OBJECT_FORMS = {
    "base64": {"base64", "mime_type", "filename"},
    "url": {"url", "filename"},
    "text": {"text", "filename"},
}
_OBJECT_SOURCES = frozenset(_OBJECT_FORMS)
_ENCODED_TYPES = "a URL, a data URI, {base64, mime_type, filename?} or {url}"
Path = list[str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineText:
    """Text as it was sent."""

    text: str
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineBytes:
    """Decoded bytes and what the sender says they are."""

    data: bytes
    mime_type: str | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """An address to fetch once."""

    url: str
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A file that its client put into storage."""

    upload_id: str


Source = InlineText | InlineBytes | Remote | Uploaded


def checksum_of(given: str | None, location: Path) -> str | None:
    """Return 64 lower-case hex digits; raise Invalid when malformed."""
    if given is None:
        return None
    match = _CHECKSUM.fullmatch(given.strip())
    if match is None:
        raise _invalid([*location, "checksum"], "Must be `sha256:` and 64 hex digits, or the digits alone.")
    return match[1].lower()


def source_of(blob: BlobInput, kind: FieldType, location: Path, *, max_bytes: int) -> Source:
    """Return the one source of a blob; raise Invalid saying what is accepted."""
    given = [name for name in ("data", "url", "content", "upload_id") if getattr(blob, name) is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)} are given" if given else "none is given"
        raise _invalid(location, f"Exactly one of data, url, content, upload_id says where the file is; {found}.")
    if blob.upload_id is not None:
        return Uploaded(upload_id=blob.upload_id)
    if blob.url is not None:
        return _remote(blob.url, [*location, "url"])
    if blob.content is not None:
        return _limited(_content(blob.content, kind, [*location, "content"]), [*location, "content"], max_bytes)
    return _limited(_data(blob.data, kind, [*location, "data"]), [*location, "data"], max_bytes)


def _limited(source: Source, location: Path, max_bytes: int) -> Source:
    size_bytes = 0
    if isinstance(source, InlineText):
        size_bytes = len(source.text.encode())
    elif isinstance(source, InlineBytes):
        size_bytes = len(source.data)
    if size_bytes > max_bytes:
        message = f"{size_bytes} bytes inline; at most {max_bytes} are accepted. Send a url instead."
        raise Invalid([field_fault(location, message, "too_large")], limit_bytes=max_bytes, size_bytes=size_bytes)
    if isinstance(source, InlineBytes) and not source.data:
        raise _invalid(location, "The file is empty.")
    return source


def _remote(url: str, location: Path, filename: str | None = None) -> Remote:
    scheme = url.partition("://")[0].lower()
    if scheme not in {"http", "https"}:
        named = f"{scheme}:// addresses are" if "://" in url else "This is"
        raise _invalid(location, f"{named} not fetched; accepted are http:// and https:// URLs.")
    return Remote(url=url, filename=filename)


def _content(content: Any, kind: FieldType, location: Path) -> Source:
    """`content` is the thing itself: text is never looked at as an address."""
    if kind is FieldType.TEXT and isinstance(content, str):
        return InlineText(text=content)
    return _data(content, kind, location, addresses=False)


def _data(data: Any, kind: FieldType, location: Path, *, addresses: bool = True) -> Source:
    if isinstance(data, dict) and (form := _object_form(data, kind, location)) is not None:
        return form
    if isinstance(data, str):
        if addresses and _URL.fullmatch(data):
            return _remote(data, location)
        if data.startswith("data:") and (match := _DATA_URI.fullmatch(data)) is not None:
            return _from_data_uri(match, location)
        if kind is FieldType.TEXT:
            return InlineText(text=data)
    if kind is FieldType.JSON:
        return InlineText(text=_json_text(data, location))
    if isinstance(data, str):
        raise _invalid(location, f"A bare string is not accepted for {kind}; send {_ENCODED_TYPES}.")
    wanted = f"text, {_ENCODED_TYPES}" if kind is FieldType.TEXT else _ENCODED_TYPES
    raise _invalid(location, f"Must be {wanted}.")


def _object_form(data: dict[str, Any], kind: FieldType, location: Path) -> Source | None:
    given = _OBJECT_SOURCES & set(data)
    if not given:
        return None
    if len(given) != 1 or not set(data) <= _OBJECT_FORMS[next(iter(given))]:
        if kind is FieldType.JSON:
            return None
        raise _invalid(
            location, "Must have exactly one of the keys base64 (with mime_type?), url, text; and filename?."
        )
    for key, value in data.items():
        if not isinstance(value, str):
            if kind is FieldType.JSON:
                return None
            raise _invalid([*location, key], "Must be a string.")
    filename = data.get("filename")
    if "url" in data:
        return _remote(data["url"], [*location, "url"], filename)
    if "base64" in data:
        raw = _decode(data["base64"], [*location, "base64"])
        return InlineBytes(data=raw, mime_type=data.get("mime_type"), filename=filename)
    if kind not in {FieldType.TEXT, FieldType.JSON}:
        raise _invalid([*location, "text"], f"Text is not accepted for {kind}; send {_ENCODED_TYPES}.")
    return InlineText(text=data["text"], filename=filename)


def _from_data_uri(match: re.Match[str], location: Path) -> InlineBytes:
    mime_type, _, is_base64, payload = match.groups()
    data = _decode(payload, location) if is_base64 else unquote_to_bytes(payload)
    return InlineBytes(data=data, mime_type=mime_type or "text/plain")


def _decode(text: str, location: Path) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(location, "Not valid base64 (standard alphabet, with padding).") from error


def _json_text(data: Any, location: Path) -> str:
    if not isinstance(data, str):
        return json.dumps(data).decode()
    try:
        stdlib_json.loads(data)
    except ValueError as error:
        raise _invalid(location, f"Not valid JSON: {error}.") from error
    return data


def _invalid(location: Path, message: str) -> Invalid:
    faults: list[FieldFault] = [field_fault(location, message)]
    return Invalid(faults)
