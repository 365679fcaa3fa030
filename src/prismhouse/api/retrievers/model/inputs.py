"""The inputs of a run against the input schema: defaults, types, required ones, and harmless spellings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismhouse.kit import json
from prismhouse.kit.errors import FieldFault, Invalid, field_fault

__all__ = ["CheckedInputs", "check_inputs", "input_fields"]

_TEXTUAL = frozenset("string text date datetime image audio video pdf excel".split())  # noqa: SIM905
_TYPES = _TEXTUAL | {"number", "integer", "float", "boolean", "object", "array", "document_reference"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedInputs:
    """Values to run with; which came from defaults; which the schema does not know."""

    values: Mapping[str, Any]
    inferred: list[str]
    undeclared: list[str]


def input_fields(schema: Any) -> dict[str, dict[str, Any]]:
    """Return name to definition for a map, or a map under `properties`; raise Invalid."""
    if not schema:
        return {}
    properties = schema.get("properties")
    if isinstance(properties, dict) and "type" not in properties:
        required = schema.get("required") if isinstance(schema.get("required"), list) else []
        fields = {
            name: {**field, "required": field.get("required", name in (required or []))}
            for name, field in properties.items()
            if isinstance(field, dict)
        }
    else:
        fields = dict(schema)
    for name, field in fields.items():
        location = ["body", "input_schema", name]
        if not isinstance(field, dict):
            raise Invalid([field_fault(location, "must be an object with a type")])
        if field.get("type") not in _TYPES:
            raise Invalid([field_fault([*location, "type"], f"must be one of {', '.join(sorted(_TYPES))}")])
    return fields


def check_inputs(fields: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> CheckedInputs:
    """Return what to run with; raise Invalid naming every input that is missing or of another type."""
    values, inferred, faults = dict(given), [], list[FieldFault]()
    for name, field in fields.items():
        location = ["body", "inputs", name]
        value = given.get(name)
        if value is None:
            if field.get("default") is not None:
                values[name] = field["default"]
                inferred.append(name)
            elif field.get("required"):
                faults.append(field_fault(location, f"is required ({field['type']})", "missing"))
            continue
        fits, value = _coerced(value, field["type"])
        if not fits:
            faults.append(field_fault(location, f"must be of type {field['type']}", "type_error"))
        elif field.get("enum") and value not in field["enum"]:
            faults.append(field_fault(location, f"must be one of {json.dumps(field['enum']).decode()}", "enum"))
        values[name] = value
    if faults:
        raise Invalid(faults)
    return CheckedInputs(values=values, inferred=inferred, undeclared=[n for n in given if fields and n not in fields])


def _coerced(value: Any, kind: str) -> tuple[bool, Any]:
    """Return whether the value is of the type, after reading numbers and booleans from text."""
    if isinstance(value, str) and kind in {"number", "integer", "float", "boolean", "object", "array"}:
        try:
            value = json.loads(value)
        except ValueError:
            return False, value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "number" | "float":
            return is_number, value
        case "integer":
            return is_number and float(value).is_integer(), int(value) if is_number else value
        case "boolean":
            return isinstance(value, bool), value
        case "object":
            return isinstance(value, dict), value
        case "array":
            return isinstance(value, list), value
        case "document_reference":
            return isinstance(value, dict | str), value
        case "image" | "audio" | "video" | "pdf" | "excel":
            return isinstance(value, str | dict | list), value
    # Texts may also be vectors: a caller can bring his own for an input that is usually embedded.
    return isinstance(value, str | list) or is_number, str(value) if is_number else value
