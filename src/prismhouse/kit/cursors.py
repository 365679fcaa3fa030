"""Keyset cursors: opaque text that holds the sort values of the last row and what it was asked for."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["BadCursor", "CursorExpired", "check_age", "decode_cursor", "encode_cursor"]


_CLOCKS_DIFFER_SECONDS = 60


class BadCursor(WarehouseError):
    """The cursor is not one that this list gave out for the same filters and sort."""

    code = Code.BAD_REQUEST
    hint = "Pass `pagination.next_cursor` of the previous answer unchanged, or start again without a cursor."


class CursorExpired(WarehouseError):
    """The cursor was given out {age} ago, and cursors of this list are good for {limit}."""

    code = Code.BAD_REQUEST
    hint = "Start again without a cursor. To have them live longer, set PRISMHOUSE_LIMITS__CURSOR_SECONDS."
    wire_code = "cursor_expired"


def encode_cursor(values: list[Any], fingerprint: str = "") -> str:
    """Return the cursor after the row with these sort values."""
    return base64.urlsafe_b64encode(orjson.dumps([fingerprint, *values])).decode().rstrip("=")


def decode_cursor(cursor: str, *, length: int, fingerprint: str = "") -> list[Any]:
    """Return the sort values; raise BadCursor when it is not ours or belongs to another query."""
    try:
        raw = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadCursor from error
    if not isinstance(raw, list) or len(raw) != length + 1 or raw[0] != fingerprint:
        raise BadCursor
    return raw[1:]


def check_age(issued_at: Any, *, now: float, limit_seconds: float) -> None:
    """Raise CursorExpired for a cursor of more than `limit_seconds`, BadCursor for one from no time or the future.

    Both times are seconds since 1970. Clocks of several servers may differ by a minute.
    """
    if type(issued_at) is not int or issued_at > now + _CLOCKS_DIFFER_SECONDS:
        raise BadCursor
    if now - issued_at > limit_seconds:
        raise CursorExpired(age=_period(now - issued_at), limit=_period(limit_seconds))


def _period(seconds: float) -> str:
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{seconds:g} seconds"
