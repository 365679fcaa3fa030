"""Schemas of collections: what comes in, merged over the sources, and what goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from prismhouse.api.collections.model.mappings import PassthroughField, normalize_passthrough, property_at
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["merge_schemas", "output_schema"]

Schema = dict[str, Any]
_MEDIA = frozenset({"image", "audio", "video", "pdf", "excel"})
_SCALARS = frozenset({"string", "number", "integer", "float", "boolean", "date", "datetime", "text"})
_TYPES = _MEDIA | _SCALARS | {"object", "array"}


def merge_schemas(schemas: Mapping[str, Mapping[str, Any]], field_map: Mapping[str, Sequence[Any]]) -> Schema:
    """Return the union of the sources' fields; raise Invalid where one name has two types.

    `field_map` projects the fields of a source before the comparison, so that it can resolve a conflict.
    """
    unknown = sorted(set(field_map) - set(schemas))
    if unknown:
        message = f"names {', '.join(unknown)}, which is not a source. Sources: {', '.join(schemas)}."
        raise Invalid([field_fault(["body", "source", "field_map"], message)])
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source_id, schema in schemas.items():
        properties = schema.get("properties") or {}
        if source_id in field_map:
            properties = _projected(source_id, schema, field_map[source_id])
        for name, held in properties.items():
            if name in merged and merged[name].get("type") != held.get("type"):
                message = (
                    f"Field {name!r} is {merged[name].get('type')} in {origin[name]} and {held.get('type')} in"
                    f" {source_id}. Make the schemas agree, or rename it with `field_map`."
                )
                raise Invalid([field_fault(["body", "source"], message)])
            merged.setdefault(name, deepcopy(held))
            origin.setdefault(name, source_id)
    return {"properties": merged}


def _projected(source_id: str, schema: Mapping[str, Any], entries: Sequence[Any]) -> Schema:
    projected: Schema = {}
    for entry in normalize_passthrough(entries, where=("body", "source", "field_map", source_id)):
        held = property_at(schema, entry["source_path"])
        if held is None:
            message = f"The source has no field {entry['source_path']!r}."
            raise Invalid([field_fault(["body", "source", "field_map", source_id], message)])
        _place(projected, entry["target_path"], deepcopy(dict(held)))
    return projected


def output_schema(
    record: ExtractorRecord,
    passthrough: Sequence[PassthroughField],
    *,
    source: Mapping[str, Any],
    include_all: bool = False,
) -> Schema:
    """Return the fields of the documents: what is passed through, and what the extractor adds."""
    properties: Schema = {}
    if include_all:
        fields = source.get("properties") or {}
        properties |= {name: deepcopy(held) for name, held in fields.items() if held.get("type") not in _MEDIA}
    for entry in passthrough:
        held = property_at(source, entry["source_path"]) or {}
        field = {key: deepcopy(value) for key, value in held.items() if key in {"type", "items", "properties"}}
        if field.get("type") not in _TYPES:
            field["type"] = _type_of(entry["default"])
        _place(properties, entry["target_path"], field)
    for name, described in (record.output_schema.get("properties") or {}).items():
        properties[name] = _field_of(described)
    return {"properties": properties}


def _place(properties: Schema, path: str, field: Schema) -> None:
    *parents, last = path.split(".")
    for part in parents:
        properties = properties.setdefault(part, {"type": "object"}).setdefault("properties", {})
    properties[last] = field


def _type_of(value: Any) -> str:
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "string")


def _field_of(described: Mapping[str, Any]) -> Schema:
    """Turn a JSON Schema node into a bucket-schema field."""
    node = described
    for alternative in described.get("anyOf", ()):
        if alternative.get("type") != "null":
            node = alternative
            break
    kind = node.get("type", "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "string")
    field: Schema = {"type": kind if kind in _TYPES else "string"}
    if text := described.get("description"):
        field["description"] = text
    if kind == "array" and isinstance(node.get("items"), Mapping):
        field["items"] = _field_of(node["items"])
    if kind == "object" and node.get("properties"):
        field["properties"] = {name: _field_of(held) for name, held in node["properties"].items()}
    return field
