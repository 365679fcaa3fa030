"""Conditions and ranges of requests for a file, as RFC 9110 sections 13 and 14 have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import Literal

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["RangeNotSatisfiable", "condition_of", "http_date", "range_of"]

_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*")


class RangeNotSatisfiable(WarehouseError):
    """No byte of the file is in the range that was asked for; it has {size_bytes} bytes."""

    code = Code.RANGE_INVALID
    wire_code = "InvalidRange"
    hint = "Ask for a range that begins before the end."


def http_date(seconds: float) -> str:
    """Return a time as headers have it."""
    return formatdate(int(seconds), usegmt=True)


def condition_of(headers: Mapping[str, str], *, etag: str, modified: float) -> Literal[200, 304, 412]:
    """Return what the conditions of a GET or HEAD leave: 200 go on, 304 the client has it, 412 it wants another."""
    if (wanted := headers.get("if-match")) is not None:
        if not _names(wanted, etag, weakly=False):
            return 412
    elif (seconds := _seconds(headers.get("if-unmodified-since"))) is not None and int(modified) > seconds:
        return 412
    if (known := headers.get("if-none-match")) is not None:
        return 304 if _names(known, etag, weakly=True) else 200
    seconds = _seconds(headers.get("if-modified-since"))
    return 304 if seconds is not None and int(modified) <= seconds else 200


def range_of(headers: Mapping[str, str], *, size_bytes: int, etag: str, modified: float) -> tuple[int, int] | None:
    """Return the bytes asked for, end exclusive, or None for all of them.

    A range that cannot be read, several ranges, and a range of another version mean the whole file. Raises
    RangeNotSatisfiable.
    """
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or not any(found.groups()) or not _same_version(headers.get("if-range"), etag, modified):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        if last and int(last) < int(first):
            return None
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    if start >= end:
        raise RangeNotSatisfiable(size_bytes=size_bytes)
    return start, end


def _same_version(if_range: str | None, etag: str, modified: float) -> bool:
    if if_range is None:
        return True
    if if_range.startswith(('"', "W/")):
        return if_range == etag
    return _seconds(if_range) == int(modified)


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    named = [name.strip() for name in header.split(",")]
    if weakly:
        named = [name.removeprefix("W/") for name in named]
    return "*" in named or etag in named


def _seconds(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
