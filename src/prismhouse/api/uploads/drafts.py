"""What is checked before a URL is issued: the name, the type, the property, the size, the object's fields."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from prismhouse.api.buckets.model import FILE_TYPES, FieldType, file_properties
from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects.service import judge
from prismhouse.api.uploads.media import fits, is_media_type, kind_of
from prismhouse.api.uploads.schemas import CreateUpload
from prismhouse.api.web.storable import unstorable
from prismhouse.kit.errors import FieldFault, field_fault

__all__ = ["Draft", "draft_of"]

Path = list[str | int]
_PROPERTY = re.compile(r"[a-zA-Z0-9_]+")
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An upload that may be created, with the unique key that its object would have."""

    request: CreateUpload
    metadata: Mapping[str, Any]
    object_metadata: Mapping[str, Any]
    blob_property: str | None
    blob_type: FieldType
    unique_value: str | None


def draft_of(
    bucket: BucketRow,
    request: CreateUpload,
    *,
    metadata: Mapping[str, Any],
    object_metadata: Mapping[str, Any],
    location: Path,
) -> tuple[Draft, list[FieldFault]]:
    """Return the draft, and everything that stands against it.

    Args:
        bucket: where the upload belongs.
        request: what was asked for.
        metadata: its own with the shared one under it.
        object_metadata: likewise.
        location: where the request stands in the body.
    """
    faults = _name_faults(request.filename, [*location, "filename"])
    faults += unstorable(metadata, [*location, "metadata"])
    unkeepable = unstorable(object_metadata, [*location, "object_metadata"])
    faults += unkeepable
    if not is_media_type(request.content_type):
        message = f"{request.content_type[:100]!r} is not a media type such as image/jpeg."
        faults.append(field_fault([*location, "content_type"], message))
    kind = _kind(request, location, faults)
    name = _property(bucket, request, location, faults)
    if name is not None and (wanted := file_properties(bucket.bucket_schema).get(name)) is not None:
        kind = _fitting(request, name, kind, wanted, location, faults)
    unique_value = None
    if request.create_object_on_confirm and not unkeepable:
        files = frozenset() if name is None else frozenset({name})
        judged = judge(bucket, object_metadata, files=files, location=[*location, "object_metadata"])
        # A property that is at fault would be reported once more as missing.
        faults += judged.faults if name is not None else []
        unique_value = judged.unique_value
    draft = Draft(
        request=request,
        metadata=metadata,
        object_metadata=object_metadata,
        blob_property=name,
        blob_type=kind or kind_of(request.content_type),
        unique_value=unique_value,
    )
    return draft, faults


def _name_faults(filename: str, location: Path) -> list[FieldFault]:
    segments = filename.split("/")
    if "\\" in filename or any(part in {"", ".", ".."} for part in segments):
        message = "A file name has no backslash, no empty part, and no `.` or `..` between slashes."
        return [field_fault(location, message, "path_traversal")]
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in filename):
        return [field_fault(location, "A file name has no control characters.", "path_traversal")]
    return []


def _kind(request: CreateUpload, location: Path, faults: list[FieldFault]) -> FieldType | None:
    if request.blob_type is None:
        return None
    name = request.blob_type.lower()
    if name in FILE_TYPES:
        return FieldType(name)
    known = ", ".join(sorted(FILE_TYPES))
    faults.append(field_fault([*location, "blob_type"], f"{request.blob_type[:100]!r} is not one of {known}.", "enum"))
    return None


def _property(bucket: BucketRow, request: CreateUpload, location: Path, faults: list[FieldFault]) -> str | None:
    """Return the property: as asked, else the only one there is, else what the file's name or type leaves."""
    kinds = file_properties(bucket.bucket_schema)
    where = [*location, "blob_property"]
    known = ", ".join(f"{name} ({kind})" for name, kind in [*kinds.items()][:_SHOWN]) or "none"
    name = request.blob_property
    if name is None and len(kinds) == 1:
        return next(iter(kinds))
    if name is None:
        stem = PurePosixPath(request.filename).stem
        if stem in kinds and _PROPERTY.fullmatch(stem):
            return stem
        alike = [name for name, kind in kinds.items() if kind is kind_of(request.content_type)]
        if len(alike) == 1 and request.create_object_on_confirm:
            return alike[0]
        if request.create_object_on_confirm:
            message = f"Name the property: {stem[:100]!r}, from the file's name, is none. File fields: {known}."
            faults.append(field_fault(where, message, "missing"))
        return None
    if name in kinds or not request.create_object_on_confirm:
        return name
    faults.append(field_fault(where, f"{name!r} is not a file field of the bucket's schema. File fields: {known}."))
    return None


def _fitting(
    request: CreateUpload,
    name: str,
    asked: FieldType | None,
    wanted: FieldType,
    location: Path,
    faults: list[FieldFault],
) -> FieldType:
    """Return the property's type; with an object to come, add a fault for what does not fit it."""
    if not request.create_object_on_confirm:
        return asked or wanted
    if asked is not None and asked is not wanted:
        message = f"{name} is of type {wanted} in the bucket's schema, not {asked}."
        faults.append(field_fault([*location, "blob_type"], message))
    elif is_media_type(request.content_type) and not fits(request.content_type, wanted):
        message = f"{name} is of type {wanted} in the bucket's schema; {request.content_type} does not fit it."
        faults.append(field_fault([*location, "content_type"], message, "media_type_mismatch"))
    return wanted
