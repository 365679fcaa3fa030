"""The schema of a bucket: field types, what a well-formed schema is, and which changes break objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from prismhouse.kit.errors import FieldFault, Invalid, field_fault

__all__ = ["FILE_TYPES", "FieldType", "breaking_changes", "file_properties", "normalize_schema", "type_of"]

_MAX_DEPTH = 10
_MAX_NAME_CHARACTERS = 100


class FieldType(StrEnum):
    """Every type a field may have; the last group holds files."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"
    DATE = "date"
    DATETIME = "datetime"
    URL = "url"
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    PDF = "pdf"
    EXCEL = "excel"
    JSON = "json"
    BINARY = "binary"
    DOCUMENT = "document"


FILE_TYPES = frozenset(
    {
        FieldType.TEXT,
        FieldType.IMAGE,
        FieldType.AUDIO,
        FieldType.VIDEO,
        FieldType.PDF,
        FieldType.EXCEL,
        FieldType.JSON,
        FieldType.BINARY,
        FieldType.DOCUMENT,
    }
)
_TYPE_NAMES = ", ".join(FieldType)
SCALAR_TYPES = frozenset(FieldType) - FILE_TYPES - {FieldType.OBJECT, FieldType.ARRAY}


def type_of(field: Mapping[str, Any]) -> FieldType:
    """Return the type of a field of a normalized schema."""
    return FieldType(field["type"])


def file_properties(schema: Mapping[str, Any]) -> dict[str, FieldType]:
    """Return name and type of the fields that hold files."""
    return {name: kind for name, field in schema["properties"].items() if (kind := type_of(field)) in FILE_TYPES}


def normalize_schema(schema: Any, location: Sequence[str | int] = ("body", "bucket_schema")) -> dict[str, Any]:
    """Return the schema with lower-case types; raise Invalid naming every field that is not well formed."""
    faults: list[FieldFault] = []
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        raise Invalid([field_fault(location, 'Must be an object of the form {"properties": {name: {"type": ...}}}.')])
    properties = _properties(schema["properties"], [*location, "properties"], faults, _MAX_DEPTH)
    if faults:
        raise Invalid(faults, accepted_types=list(FieldType))
    return {**schema, "properties": properties}


def _properties(
    given: Mapping[str, Any], location: list[str | int], faults: list[FieldFault], depth: int
) -> dict[str, Any]:
    faults += [
        field_fault([*location, name], f"Field names have 1 to {_MAX_NAME_CHARACTERS} characters.")
        for name in given
        if not 0 < len(name) <= _MAX_NAME_CHARACTERS
    ]
    return {name: _field(field, [*location, name], faults, depth) for name, field in given.items()}


def _field(given: Any, location: list[str | int], faults: list[FieldFault], depth: int) -> dict[str, Any]:
    if depth == 0:
        faults.append(field_fault(location, f"Fields nest at most {_MAX_DEPTH} levels."))
        return {}
    if not isinstance(given, dict):
        faults.append(field_fault(location, 'A field is an object with a "type".'))
        return {}
    field = {**given, "type": _type(given.get("type"), [*location, "type"], faults)}
    if not isinstance(given.get("required", False), bool | None):
        faults.append(field_fault([*location, "required"], "Must be true or false."))
    faults += [
        field_fault([*location, key], "Must be a list.")
        for key in ("enum", "examples")
        if not isinstance(given.get(key), list | None)
    ]
    if given.get("items") is not None:
        field["items"] = _field(given["items"], [*location, "items"], faults, depth - 1)
    if (inner := given.get("properties")) is not None:
        if isinstance(inner, dict):
            field["properties"] = _properties(inner, [*location, "properties"], faults, depth - 1)
        else:
            faults.append(field_fault([*location, "properties"], "Must map field names to fields."))
    return field


def _type(given: Any, location: list[str | int], faults: list[FieldFault]) -> str | None:
    name = given.lower() if isinstance(given, str) else ""
    if name in FieldType.__members__.values():
        return name
    if given is None:
        message = f"The type is missing. Types: {_TYPE_NAMES}."
    else:
        close = get_close_matches(name, list(FieldType), n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        message = f"{given!r} is not a field type.{meant} Types: {_TYPE_NAMES}."
    faults.append(field_fault(location, message, "enum"))
    return None


def breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what in `new` existing objects may not satisfy: removed fields, changed types, new requirements."""
    changes = []
    for name, field in old["properties"].items():
        after = new["properties"].get(name)
        if after is None:
            changes.append(f"{name} is removed")
        elif after["type"] != field["type"]:
            changes.append(f"{name} changes from {field['type']} to {after['type']}")
    for name, field in new["properties"].items():
        if field.get("required") and not (old["properties"].get(name) or {}).get("required"):
            changes.append(f"{name} becomes required")
    return changes
