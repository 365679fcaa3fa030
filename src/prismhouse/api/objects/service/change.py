"""Changing custom fields of objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from prismhouse.api.buckets.service import BucketRow, Buckets
from prismhouse.api.objects import store
from prismhouse.api.objects.errors import ObjectNotFound
from prismhouse.api.objects.fields import check_fields, refuse_reserved
from prismhouse.api.objects.model import RESERVED, StoredObject
from prismhouse.api.objects.ports import EventLog
from prismhouse.api.objects.schemas import PatchObject, UpdateObject
from prismhouse.api.objects.uniqueness import ObjectExists, unique_value_of
from prismhouse.api.web.body import faults_of
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.storable import unstorable
from prismhouse.kit.errors import FieldFault, Invalid, field_fault
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["Change"]

Model = TypeVar("Model", bound=PatchObject)


class Change:
    """Merges new values over an object; never touches its blobs, never starts processing."""

    def __init__(self, db: Database, *, buckets: Buckets, events: EventLog) -> None:
        self._db = db
        self._buckets = buckets
        self._events = events

    async def patch(self, scope: Scope, identifier: str, object_id: str, raw: Mapping[str, Any]) -> StoredObject:
        """Set flat custom fields."""
        request = _parsed(PatchObject, raw)
        return await self._merge(scope, identifier, object_id, request, metadata={})

    async def put(self, scope: Scope, identifier: str, object_id: str, raw: Mapping[str, Any]) -> StoredObject:
        """Set custom fields, flat or in `metadata`; unspecified ones stay."""
        request = _parsed(UpdateObject, raw)
        return await self._merge(scope, identifier, object_id, request, metadata=request.metadata or {})

    async def _merge(
        self, scope: Scope, identifier: str, object_id: str, request: PatchObject, *, metadata: Mapping[str, Any]
    ) -> StoredObject:
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = await self._buckets.resolve(scoped, identifier)
            if "\x00" in object_id or not await store.hold(scoped, bucket.bucket_id, object_id):
                raise ObjectNotFound(resource="object", id=object_id)
            before = (await store.load(scoped, [object_id], texts=False))[object_id]
            given, nested = _placed(before, bucket, request.model_extra or {}, metadata)
            _check(bucket, before, given)
            fields = {**before.fields, **given}
            values = {
                "fields": fields,
                "metadata": nested,
                "edges": before.edges,
                "key_prefix": request.key_prefix if "key_prefix" in request.model_fields_set else before.key_prefix,
                "content_hash": before.content_hash,
                "unique_value": await _unique_value(scoped, bucket, before, fields),
            }
            await store.replace(scoped, object_id, values)
            await self._events.emit(
                tx,
                organization_id=scope.organization_id,
                namespace_id=scope.namespace_id,
                event_type="object.updated",
                resource_id=object_id,
                payload={"bucket_id": bucket.bucket_id, "object_id": object_id},
            )
            return (await store.load(scoped, [object_id], texts=False))[object_id]


def _parsed(model: type[Model], raw: Mapping[str, Any]) -> Model:
    if faults := unstorable(raw, ["body"]):
        raise Invalid(faults)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise faults_of(error, model) from error


def _placed(
    before: StoredObject, bucket: BucketRow, flat: Mapping[str, Any], metadata: Mapping[str, Any]
) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """Return root fields and nested metadata after the change: metadata goes where the object keeps its own."""
    given = dict(flat)
    if before.metadata is None:
        return {**metadata, **given}, None
    declared = bucket.bucket_schema["properties"]
    given = {**{name: value for name, value in metadata.items() if name in declared and name not in RESERVED}, **given}
    return given, {**before.metadata, **metadata}


def _check(bucket: BucketRow, before: StoredObject, given: Mapping[str, Any]) -> None:
    schema = bucket.bucket_schema
    files = frozenset(blob.property for blob in before.blobs)
    faults: list[FieldFault] = refuse_reserved(given, ["body"])
    faults += check_fields(given, schema, files=files, location=["body"])
    faults += [
        field_fault(["body", name], "Required; it cannot be null.", "missing")
        for name, value in given.items()
        if value is None and (schema["properties"].get(name) or {}).get("required") and name not in files
    ]
    if faults:
        raise Invalid(faults)


async def _unique_value(
    tx: NamespaceWriter, bucket: BucketRow, before: StoredObject, fields: Mapping[str, Any]
) -> str | None:
    if bucket.unique_key is None:
        return before.unique_value
    value = unique_value_of(bucket.unique_key["fields"], fields, ["body"])
    if value != before.unique_value and await store.by_unique_value(tx, bucket.bucket_id, value) is not None:
        raise ObjectExists(unique_key=value, bucket_id=bucket.bucket_id)
    return value
