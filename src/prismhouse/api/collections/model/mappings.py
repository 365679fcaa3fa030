"""From what the extractor wants to where the source has it: input mappings and field passthrough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit.errors import Invalid, field_fault

__all__ = [
    "RESERVED_FIELDS",
    "PassthroughField",
    "normalize_passthrough",
    "normalize_path",
    "property_at",
    "resolve_input_mappings",
]

RESERVED_FIELDS = frozenset(
    {
        "_id",
        "_internal",
        "_expanded",
        "_vectors",
        "collection_id",
        "document_blobs",
        "document_id",
        "searchable_at",
        "vector_hydration_incomplete",
    }
)
_WHERE = ("body", "feature_extractor")
_NOT_TEXT = frozenset({"image", "audio", "video", "pdf", "excel", "object", "number", "integer", "float", "boolean"})


class PassthroughField(TypedDict):
    """One field copied from the source to the document."""

    source_path: str
    target_path: str
    default: Any
    required: bool


def normalize_path(path: str) -> str:
    """Return the path without the prefixes of older forms: `$.`, `payload.`, `$.payload.`."""
    return path.removeprefix("$.").removeprefix("payload.")


def property_at(schema: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Return the schema property at a dotted path, or None; an open object has every path below it."""
    found: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for part in path.split("."):
        if found is not None and found.get("type") == "object" and not properties:
            return {"type": "any"}
        found = properties.get(part)
        if found is None:
            return None
        properties = found.get("properties") or (found.get("items") or {}).get("properties") or {}
    return found


def _resolve_path(schema: Mapping[str, Any], path: str) -> tuple[str, Mapping[str, Any]] | None:
    """Return path and property: a declared property, else the same under `metadata`, else `metadata.x` as `x`.

    An object's `metadata` is free-form, so what stands below it needs no declaration.
    """
    for candidate in (path, f"metadata.{path}", path.removeprefix("metadata.")):
        if (found := property_at(schema, candidate)) is not None:
            return candidate, found
    return (path, {"type": "any"}) if path.startswith("metadata.") else None


def _accepts(types: Iterable[str], field: Mapping[str, Any]) -> bool:
    """Whether a field may feed an input: text that may hold a URL fits everything but what it cannot be."""
    accepted = set(types)
    kind = str(field.get("type", "any"))
    if kind == "array":
        kind = str((field.get("items") or {}).get("type", "any"))
    if not accepted or "any" in accepted or "*" in accepted or kind in accepted or kind in {"any", "string"}:
        return True
    if kind in {"text", "date", "datetime"}:
        return bool(accepted & {"text", "string"})
    return kind not in _NOT_TEXT


def resolve_input_mappings(
    record: ExtractorRecord, given: Any, *, schema: Mapping[str, Any]
) -> dict[str, str | list[str]]:
    """Return, per input, the path (or paths) in the source that feeds it.

    Args:
        record: the extractor, which says its inputs and the types they take.
        given: `{input: path | [paths]}`, or a list of `{input_key, path}`; empty: bound by name, then by type.
        schema: the source's fields, `{"properties": {...}}`.

    Raises:
        Invalid: unknown input, path or type; ambiguous or missing binding. The message names what exists.
    """
    mappings = _as_mapping(given)
    if not mappings:
        return dict(_bind(record, schema))
    resolved: dict[str, str | list[str]] = {}
    faults = []
    for name, value in mappings.items():
        where = [*_WHERE, "input_mappings", name]
        if record.input_types and name not in record.input_types:
            faults.append(field_fault(where, f"{record.name} has no input {name!r}. Inputs: {_inputs(record)}."))
            continue
        paths = []
        for path in value if isinstance(value, list) else [value]:
            try:
                paths.append(_checked_path(record, name, path, schema=schema))
            except ValueError as error:
                faults.append(field_fault(where, str(error)))
        resolved[name] = paths if isinstance(value, list) else "".join(paths)
    missing = [name for name in _required(record) if name not in mappings]
    if missing and not faults:
        message = f"{record.name} needs the input {', '.join(missing)}. Map it to one of: {_fields(schema)}."
        faults.append(field_fault([*_WHERE, "input_mappings"], message))
    if faults:
        raise Invalid(faults)
    return resolved


def _checked_path(record: ExtractorRecord, name: str, path: Any, *, schema: Mapping[str, Any]) -> str:
    if not isinstance(path, str) or not path:
        raise ValueError("must be a path, or a list of paths, in the source.")
    found = _resolve_path(schema, normalize_path(path))
    if found is None:
        raise ValueError(f"The source has no field {path!r}. It has: {_fields(schema)}.")
    types = record.input_types.get(name, ())
    if not _accepts(types, found[1]):
        kind = found[1].get("type")
        raise ValueError(f"The field {path!r} is of type {kind}; the input takes {', '.join(types)}.")
    return found[0]


def _as_mapping(given: Any) -> dict[str, Any]:
    if given is None or isinstance(given, dict):
        return given or {}
    where = [*_WHERE, "input_mappings"]
    if not isinstance(given, list):
        raise Invalid([field_fault(where, "must be an object {input: path} or a list of mapping objects.")])
    mappings: dict[str, Any] = {}
    for position, entry in enumerate(given):
        key = entry.get("input_key") if isinstance(entry, dict) else None
        path = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(key, str) or not isinstance(path, str):
            raise Invalid([field_fault([*where, position], "must have the texts `input_key` and `path`.")])
        if entry.get("source_type") not in (None, "payload", "blob"):
            raise Invalid([field_fault([*where, position, "source_type"], "payload and blob are supported.")])
        if key in mappings:
            earlier = mappings[key]
            mappings[key] = [*(earlier if isinstance(earlier, list) else [earlier]), path]
        else:
            mappings[key] = path
    return mappings


def _bind(record: ExtractorRecord, schema: Mapping[str, Any]) -> dict[str, str]:
    """Bind each input to the field of its name, else to the only field of the first type that any field has."""
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties") or {}
    required = set(_required(record))
    bound: dict[str, str] = {}
    ambiguous: dict[str, list[str]] = {}
    for name, types in record.input_types.items():
        if name in properties and _accepts(types, properties[name]):
            bound[name] = name
            continue
        for kind in types:
            candidates = [field for field, held in properties.items() if held.get("type") == kind]
            if len(candidates) == 1:
                bound[name] = candidates[0]
            elif candidates:
                ambiguous[name] = candidates
            if candidates:
                break
    missing = [name for name in record.input_types if name not in bound and (name in required or not bound)]
    if not missing:
        return bound
    name = missing[0]
    where = [*_WHERE, "input_mappings", name]
    if name in ambiguous:
        message = f"Several fields fit the input {name!r}: {', '.join(ambiguous[name])}. Map one of them."
    else:
        message = f"No field of the source fits the input {name!r}. The source has: {_fields(schema)}."
    raise Invalid([field_fault(where, message)])


def _required(record: ExtractorRecord) -> list[str]:
    return [name for name in record.input_schema.get("required", ()) if name in record.input_types]


def _inputs(record: ExtractorRecord) -> str:
    return ", ".join(record.input_types)


def _fields(schema: Mapping[str, Any]) -> str:
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties") or {}
    return ", ".join(f"{name} ({held.get('type')})" for name, held in properties.items()) or "no fields"


def normalize_passthrough(
    given: Sequence[str | Mapping[str, Any]], *, where: Sequence[str] = (*_WHERE, "field_passthrough")
) -> list[PassthroughField]:
    """Return entries with all four keys; raise Invalid when two write one target or a target is reserved."""
    entries: list[PassthroughField] = []
    faults = []
    for position, item in enumerate(given):
        entry = {"source_path": item} if isinstance(item, str) else dict(item)
        source = normalize_path(str(entry.get("source_path") or ""))
        target = str(entry.get("target_path") or source.rpartition(".")[2])
        if not source:
            faults.append(field_fault([*where, position], "needs a `source_path`."))
        elif target.partition(".")[0] in RESERVED_FIELDS:
            faults.append(field_fault([*where, position], f"{target!r} is reserved. Choose another `target_path`."))
        elif any(target == earlier["target_path"] for earlier in entries):
            faults.append(field_fault([*where, position], f"Two entries write {target!r}. Set `target_path` of one."))
        entries.append(
            PassthroughField(
                source_path=source,
                target_path=target,
                default=entry.get("default"),
                required=bool(entry.get("required", False)),
            )
        )
    if faults:
        raise Invalid(faults)
    return entries
