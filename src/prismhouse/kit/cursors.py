"""Keyset cursors: opaque text that holds the sort values of the last row and what it was asked for."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["BadCursor", "decode_cursor", "encode_cursor"]


class BadCursor(WarehouseError):
    """The cursor is not one that this list gave out for the same filters and sort."""

    code = Code.BAD_REQUEST
    hint = "Pass `pagination.next_cursor` of the previous answer unchanged, or start again without a cursor."


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
