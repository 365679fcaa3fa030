"""A request becomes a draft: everything that can be judged without bytes and without the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from prismhouse.api.buckets.model import FieldType, file_properties
from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects.fields import check_fields, check_required, refuse_reserved, with_defaults
from prismhouse.api.objects.model import RESERVED
from prismhouse.api.objects.schemas import BlobInput, CreateObject
from prismhouse.api.objects.sources import Source, checksum_of, source_of
from prismhouse.api.objects.uniqueness import unique_value_of
from prismhouse.api.web.body import faults_of
from prismhouse.api.web.storable import unstorable
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.kit.ids import BlobId, ObjectId, new_id

__all__ = ["BlobDraft", "Draft", "Filled", "draft_of"]

Path = list[str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobDraft:
    """A blob whose bytes are not there yet."""

    blob_id: BlobId
    property: str
    type: FieldType
    key_prefix: str | None
    metadata: Mapping[str, Any]
    source: Source
    checksum: str | None
    location: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What is known once the bytes were seen; `text` is short text that needs no place in the blob store."""

    sha256: str
    md5: str | None
    size_bytes: int
    mime_type: str
    filename: str | None
    source_url: str | None
    text: str | None


@dataclass(slots=True, kw_only=True)
class Draft:
    """An object on its way in. `fields` has the schema's defaults, `given` has not; `filled` follows `blobs`."""

    index: int
    object_id: ObjectId
    key_prefix: str | None
    fields: dict[str, Any]
    given: dict[str, Any]
    metadata: dict[str, Any] | None
    edges: list[dict[str, Any]] | None
    idempotency_key: str | None
    skip_duplicates: bool
    unique_value: str | None
    blobs: list[BlobDraft]
    filled: list[Filled] = field(default_factory=list)
    content_hash: str | None = None


def draft_of(
    bucket: BucketRow,
    raw: Mapping[str, Any],
    *,
    index: int,
    location: Path,
    max_inline_bytes: int,
    partial: bool = False,
    lone_file: bool = False,
) -> Draft:
    """Return the draft; raise Invalid naming every fault of the object.

    Args:
        bucket: where it goes.
        raw: the object as it was sent.
        index: its place in the request.
        location: where it stands in the request, for messages.
        max_inline_bytes: most bytes of one inline blob.
        partial: an update of an object that is there: nothing is required, no defaults are filled in.
        lone_file: an object of one file, with which no other can come: no other file is required.
    """
    if faults := unstorable(raw, location):
        raise Invalid(faults)
    try:
        request = CreateObject.model_validate(raw)
    except ValidationError as error:
        raise Invalid(_relocated(faults_of(error, CreateObject, "body"), location)) from error
    schema = bucket.bucket_schema
    fields = dict(request.model_extra or {})
    faults = _refuse_auto_process(fields, schema, location) + refuse_reserved(fields, location)
    blobs: list[BlobDraft] = []
    kinds = file_properties(schema)
    for position, blob in enumerate(request.blobs):
        try:
            blobs.append(_blob(blob, kinds, [*location, "blobs", position], max_inline_bytes))
        except Invalid as error:
            faults += error.details["validation_errors"]
    given = _promoted(fields, request, schema)
    fields = given
    files = frozenset(blob.property for blob in blobs)
    if not partial:
        fields = with_defaults(given, schema)
        named = files | {blob.property for blob in request.blobs} | (frozenset(kinds) if lone_file else frozenset())
        faults += check_required(fields, schema, files=named, location=location)
    faults += check_fields(fields, schema, files=files, location=location)
    unique_value = None
    if bucket.unique_key is not None and not faults:
        unique_value = unique_value_of(bucket.unique_key["fields"], fields, location)
    if faults:
        raise Invalid(faults)
    edges = None if request.edges is None else [edge.model_dump(exclude_none=True) for edge in request.edges]
    return Draft(
        index=index,
        object_id=ObjectId(new_id("obj")),
        key_prefix=request.key_prefix,
        fields=fields,
        given=given,
        metadata=request.metadata,
        edges=edges,
        idempotency_key=request.idempotency_key,
        skip_duplicates=request.skip_duplicates,
        unique_value=unique_value,
        blobs=blobs,
    )


def _relocated(error: Invalid, location: Path) -> list[FieldFault]:
    faults: list[FieldFault] = error.details["validation_errors"]
    return [field_fault([*location, *f["location"][1:]], f["message"], f["type"]) for f in faults]


def _refuse_auto_process(fields: Mapping[str, Any], schema: Mapping[str, Any], location: Path) -> list[FieldFault]:
    if "auto_process" not in fields or "auto_process" in schema["properties"]:
        return []
    message = "auto_process is a query parameter: POST .../objects?auto_process=true."
    return [field_fault([*location, "auto_process"], message, "extra_forbidden")]


def _blob(blob: BlobInput, kinds: Mapping[str, FieldType], location: Path, max_inline_bytes: int) -> BlobDraft:
    kind = kinds.get(blob.property)
    if kind is None:
        known = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "none"
        message = f"{blob.property!r} is not a file field of the bucket's schema. File fields: {known}."
        raise Invalid([field_fault([*location, "property"], message)])
    if blob.type.lower() != kind:
        message = f"{blob.property} is of type {kind} in the bucket's schema, not {blob.type}."
        raise Invalid([field_fault([*location, "type"], message)])
    return BlobDraft(
        blob_id=BlobId(new_id("blob")),
        property=blob.property,
        type=kind,
        key_prefix=blob.key_prefix,
        metadata=blob.metadata or {},
        source=source_of(blob, kind, location, max_bytes=max_inline_bytes),
        checksum=checksum_of(blob.checksum, location),
        location=location,
    )


def _promoted(fields: dict[str, Any], request: CreateObject, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Explicit root fields win, then declared names of `metadata`, then the first blob that sets a name."""
    merged = dict(fields)
    for name, value in (request.metadata or {}).items():
        if name in schema["properties"] and name not in RESERVED:
            merged.setdefault(name, value)
    for blob in request.blobs:
        for name, value in (blob.metadata or {}).items():
            if name not in RESERVED:
                merged.setdefault(name, value)
    return merged
