"""JSON in and out of bytes."""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["dumps", "loads"]

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """Return JSON bytes; times become RFC 3339 with `Z`, NaN and infinities become null."""
    return orjson.dumps(value, option=_OPTIONS)


def loads(raw: bytes | str) -> Any:
    """Return the value; raise `orjson.JSONDecodeError` (a ValueError) on bad JSON, NaN included."""
    return orjson.loads(raw)
