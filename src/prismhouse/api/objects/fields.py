"""Custom fields against the bucket schema: types, enums, requirements, defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from prismhouse.api.buckets.model import FILE_TYPES, FieldType, type_of
from prismhouse.api.objects.model import RESERVED
from prismhouse.kit.errors import FieldFault, field_fault

__all__ = ["check_fields", "check_required", "refuse_reserved", "with_defaults"]

Path = list[str | int]


def refuse_reserved(names: Mapping[str, Any], location: Path) -> list[FieldFault]:
    """Return a fault for each name that belongs to the API."""
    return [
        field_fault(
            [*location, name],
            "The name is reserved; choose another, or put the value in metadata.",
            "reserved_name",
        )
        for name in names
        if name in RESERVED
    ]


def check_fields(
    fields: Mapping[str, Any], schema: Mapping[str, Any], *, files: frozenset[str], location: Path
) -> list[FieldFault]:
    """Return what does not fit the schema. Undeclared names are free.

    Args:
        fields: custom fields at the object's root.
        schema: normalized bucket schema.
        files: properties that have a blob; a root value beside a blob is the user's own note.
        location: where the fields stand in the request.
    """
    faults: list[FieldFault] = []
    for name, value in fields.items():
        field = schema["properties"].get(name)
        if field is None or value is None:
            continue
        kind = type_of(field)
        if kind in FILE_TYPES and kind not in {FieldType.TEXT, FieldType.JSON} and name not in files:
            example = f'{{"property": "{name}", "type": "{kind}", "url": ...}}'
            faults.append(
                field_fault([*location, name], f"{name} is a file of type {kind}: send it in blobs: {example}.")
            )
        else:
            _check(value, field, [*location, name], faults)
    return faults


def check_required(
    fields: Mapping[str, Any], schema: Mapping[str, Any], *, files: frozenset[str], location: Path
) -> list[FieldFault]:
    """Return one fault for each required field without a value and without a blob."""
    faults = []
    for name, field in schema["properties"].items():
        if field.get("required") and name not in files and fields.get(name) is None:
            where = "blobs" if type_of(field) in FILE_TYPES else "the body's root"
            faults.append(field_fault([*location, name], f"Required ({field['type']}); send it in {where}.", "missing"))
    return faults


def with_defaults(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields plus the schema's defaults for those that are absent."""
    filled = dict(fields)
    for name, field in schema["properties"].items():
        if name not in filled and field.get("default") is not None:
            filled[name] = deepcopy(field["default"])
    return filled


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) == 10 and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _is_datetime(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_url(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: dict[FieldType, tuple[Callable[[Any], bool], str]] = {
    FieldType.STRING: (_is_text, "a string"),
    FieldType.NUMBER: (_is_number, "a number"),
    FieldType.FLOAT: (_is_number, "a number"),
    FieldType.INTEGER: (lambda v: isinstance(v, int) and not isinstance(v, bool), "an integer"),
    FieldType.BOOLEAN: (lambda v: isinstance(v, bool), "true or false"),
    FieldType.OBJECT: (lambda v: isinstance(v, dict), "an object"),
    FieldType.ARRAY: (lambda v: isinstance(v, list), "a list"),
    FieldType.DATE: (_is_date, "a date such as 2026-01-31"),
    FieldType.DATETIME: (_is_datetime, "an ISO 8601 time such as 2026-01-31T12:00:00Z"),
    FieldType.URL: (_is_url, "a URL"),
    FieldType.JSON: (lambda _: True, "JSON"),
}


def _check(value: Any, field: Mapping[str, Any], location: Path, faults: list[FieldFault]) -> None:
    kind = type_of(field)
    fits, wanted = _CHECKS.get(kind, (_is_text, "a string"))
    if not fits(value):
        faults.append(field_fault(location, f"Must be {wanted} ({kind}), not {_name(value)}.", "type_error"))
        return
    if (allowed := field.get("enum")) and value not in allowed:
        shown = ", ".join(str(item) for item in allowed[:20])
        faults.append(field_fault(location, f"Must be one of {shown}.", "enum"))
    if isinstance(value, list) and (item := field.get("items")):
        for index, inner in enumerate(value):
            _check(inner, item, [*location, index], faults)
    if isinstance(value, dict) and (properties := field.get("properties")):
        for name, inner in properties.items():
            if value.get(name) is not None:
                _check(value[name], inner, [*location, name], faults)
            elif inner.get("required"):
                faults.append(field_fault([*location, name], f"Required ({inner['type']}).", "missing"))


def _name(value: Any) -> str:
    names = {
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        dict: "an object",
        list: "a list",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)
