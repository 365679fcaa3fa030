"""Unique keys: the text under which an object's key values are unique in its bucket, and write policies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.kit import json
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault

__all__ = ["ObjectExists", "PolicyMissing", "UniqueKeyUnknown", "unique_value_of"]

_MAX_VALUE_CHARACTERS = 255
_MAX_READABLE_BYTES = 500


class ObjectExists(WarehouseError):
    """An object with the unique key {unique_key} exists in bucket {bucket_id}."""

    code = Code.ALREADY_EXISTS
    hint = "Pass ?policy=upsert to change it, or use other values."
    wire_code = "unique_key_exists"


class UniqueKeyUnknown(WarehouseError):
    """No object with the unique key {unique_key} exists in bucket {bucket_id}."""

    code = Code.NOT_FOUND
    hint = "Pass ?policy=upsert to create it."


class PolicyMissing(WarehouseError):
    """Bucket {bucket_id} has a unique key and no default policy."""

    code = Code.BAD_REQUEST
    hint = "Pass ?policy=insert, update or upsert, or set unique_key.default_policy of the bucket."


def unique_value_of(names: Sequence[str], fields: Mapping[str, Any], location: Sequence[str | int]) -> str:
    """Return the same text for the same values, whatever the order of the key's fields; raise Invalid."""
    values = {}
    faults = []
    for name in sorted(names):
        value = fields.get(name)
        text = "" if value is None else json.dumps(value).decode() if isinstance(value, bool) else str(value)
        if value is None or not text:
            faults.append(field_fault([*location, name], "Part of the unique key: a value is required.", "missing"))
        elif len(text) > _MAX_VALUE_CHARACTERS:
            faults.append(
                field_fault([*location, name], f"A unique key has at most {_MAX_VALUE_CHARACTERS} characters.")
            )
        values[name] = text
    if faults:
        raise Invalid(faults)
    raw = json.dumps(values)
    # An index entry has room for some 2,700 bytes; a long compound key is known by its hash.
    return raw.decode() if len(raw) <= _MAX_READABLE_BYTES else f"sha256:{hashlib.sha256(raw).hexdigest()}"
