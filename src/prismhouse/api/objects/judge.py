"""Fields of an object that does not exist yet, judged before the file that goes with them is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismhouse.api.buckets.model import file_properties
from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects.fields import check_fields, check_required, refuse_reserved, with_defaults
from prismhouse.api.objects.uniqueness import unique_value_of
from prismhouse.kit.errors import FieldFault, Invalid

__all__ = ["Judged", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is wrong with the fields, and the unique key they would have."""

    faults: list[FieldFault]
    unique_value: str | None


def judge(bucket: BucketRow, fields: Mapping[str, Any], *, files: frozenset[str], location: list[str | int]) -> Judged:
    """Check fields as the creation of an object of one file would: no other file is required, since none can come.

    Args:
        bucket: where the object would go.
        fields: custom fields at its root.
        files: properties that will have a blob.
        location: where the fields stand in the request.
    """
    schema = bucket.bucket_schema
    filled = with_defaults(fields, schema)
    faults = refuse_reserved(fields, location) + check_fields(filled, schema, files=files, location=location)
    key = bucket.unique_key
    if key is None or key.get("default_policy") != "update":  # an update names only what it changes
        named = files | frozenset(file_properties(schema))
        faults += check_required(filled, schema, files=named, location=location)
    if key is None or faults:
        return Judged(faults=faults, unique_value=None)
    try:
        return Judged(faults=[], unique_value=unique_value_of(key["fields"], filled, location))
    except Invalid as error:
        return Judged(faults=error.details["validation_errors"], unique_value=None)
