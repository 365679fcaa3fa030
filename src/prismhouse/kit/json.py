"""JSON in and out of bytes."""

from __future__ import annotations

from typing import Any

import orjson

from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["dumps", "loads"]

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """Return JSON bytes; times become RFC 3339 with `Z`, NaN and infinities become null.

    Raises Invalid for an integer over 64 bits and for nesting beyond 254 levels: both can come from a client.
    """
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        if any(mark in str(error) for mark in ("64-bit", "ecursion", "surrogates")):
            raise Invalid([field_fault(["body"], f"holds a value that cannot be stored: {error}")]) from error
        raise


def loads(raw: bytes | str) -> Any:
    """Return the value; raise `orjson.JSONDecodeError` (a ValueError) on bad JSON, NaN included."""
    return orjson.loads(raw)
