"""Rules about what a request may make of a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.api.buckets import store
from prismhouse.api.buckets.model import FILE_TYPES, SCALAR_TYPES, breaking_changes, normalize_schema, type_of
from prismhouse.api.buckets.schemas import ListBuckets, UniqueKey
from prismhouse.api.buckets.store import BucketRow
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["changed_schema", "changed_unique_key", "check_unique_key", "filters_of", "sorts_of"]


def check_unique_key(key: UniqueKey, schema: Mapping[str, Any]) -> None:
    """Raise Invalid unless the key's fields are scalar fields of the schema."""
    faults = []
    for index, name in enumerate(key.fields):
        field = schema["properties"].get(name)
        location: list[str | int] = ["body", "unique_key", "fields", index]
        if field is None:
            known = ", ".join(schema["properties"]) or "none"
            faults.append(field_fault(location, f"{name!r} is not a field of bucket_schema. Fields: {known}."))
        elif type_of(field) not in SCALAR_TYPES:
            kind = "a file" if type_of(field) in FILE_TYPES else f"of type {field['type']}"
            faults.append(field_fault(location, f"{name!r} is {kind}; a unique key needs scalar fields."))
    if len(set(key.fields)) != len(key.fields):
        faults.append(field_fault(["body", "unique_key", "fields"], "A field is named twice."))
    if faults:
        raise Invalid(faults)


def changed_unique_key(row: BucketRow, key: UniqueKey) -> dict[str, Any]:
    """Return the key with its new policy; raise Invalid when the fields differ."""
    location = ["body", "unique_key"]
    if row.unique_key is None:
        raise Invalid([field_fault(location, "A unique key cannot be added later; create a bucket with it.")])
    if set(key.fields) != set(row.unique_key["fields"]):
        kept = ", ".join(row.unique_key["fields"])
        raise Invalid([field_fault([*location, "fields"], f"The fields cannot change; repeat {kept}.")])
    return {**row.unique_key, "default_policy": key.default_policy}


def changed_schema(row: BucketRow, given: Any, *, force: bool) -> dict[str, Any]:
    """Return the new schema; raise Invalid when it breaks objects and that is not forced."""
    schema = normalize_schema(given)
    lost = [name for name in (row.unique_key or {}).get("fields", []) if name not in schema["properties"]]
    if lost:
        raise Invalid([field_fault(["body", "bucket_schema"], f"The unique key needs {', '.join(lost)}.")])
    if not force and (changes := breaking_changes(row.bucket_schema, schema)):
        message = f"Existing objects may not fit: {'; '.join(changes)}. Pass ?force_schema_break=true to change it."
        raise Invalid([field_fault(["body", "bucket_schema"], message, "schema_break")], changes=changes)
    return schema


def filters_of(filters: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the filters of a list; raise Invalid for what is not a column."""
    for name, value in (filters or {}).items():
        if name not in store.FILTER_FIELDS or not isinstance(value, str) or "\x00" in value:
            accepted = ", ".join(store.FILTER_FIELDS)
            raise Invalid([field_fault(["body", "filters", name], f"Filter by text on {accepted}.")])
    return {**(filters or {})}


def sorts_of(request: ListBuckets) -> list[tuple[str, bool]]:
    """Return the sorts of a list as (field, descending); raise Invalid for what is not a column."""
    sorts = request.sorts or ([request.sort] if request.sort else [])
    for sort in sorts:
        if sort.field not in store.SORT_FIELDS:
            accepted = ", ".join(store.SORT_FIELDS)
            raise Invalid([field_fault(["body", "sort", "field"], f"Sort by one of {accepted}.")])
    return [(sort.field, sort.direction == "desc") for sort in sorts]
