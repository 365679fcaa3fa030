"""What a request makes: new objects, or ones it brings again, by idempotency key or by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import Draft
from prismhouse.api.objects.model import ObjectBlob, StoredObject
from prismhouse.kit.ids import ObjectId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["Created", "apart", "created_from", "duplicates", "idempotent", "late_duplicates", "without"]

Replay = Literal["idempotency_key", "skip_duplicates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """An object of a request, new or found again; `processing` is the batch and task of one processed at once."""

    index: int
    object: StoredObject
    replayed_by: Replay | None = None
    processing: tuple[str, str] | None = None


async def idempotent(tx: NamespaceReader, bucket: BucketRow, drafts: Sequence[Draft]) -> list[Created]:
    """Return the objects that the drafts' idempotency keys name."""
    keys = {draft.idempotency_key for draft in drafts if draft.idempotency_key}
    if not keys:
        return []
    found = await store.by_idempotency_key(tx, bucket.bucket_id, keys)
    return await _replayed(
        tx, {draft.index: found[key] for draft in drafts if (key := draft.idempotency_key) in found}, "idempotency_key"
    )


async def duplicates(tx: NamespaceReader, bucket: BucketRow, drafts: Sequence[Draft]) -> list[Created]:
    """Return the objects that have the drafts' contents."""
    found = await store.by_content(tx, bucket.bucket_id, {draft.content_hash for draft in drafts if draft.content_hash})
    return await _replayed(
        tx, {draft.index: found[key] for draft in drafts if (key := draft.content_hash) in found}, "skip_duplicates"
    )


async def late_duplicates(tx: NamespaceWriter, bucket: BucketRow, drafts: Sequence[Draft]) -> list[Created]:
    """Return duplicates that were written since the first look, and keep others from writing more."""
    skipping = [draft for draft in drafts if draft.skip_duplicates and draft.content_hash]
    if not skipping:
        return []
    await store.hold_contents(tx, bucket.bucket_id, {draft.content_hash or "" for draft in skipping})
    return await duplicates(tx, bucket, skipping)


async def _replayed(tx: NamespaceReader, found: Mapping[int, ObjectId], by: Replay) -> list[Created]:
    if not found:
        return []
    objects = await store.load(tx, [*set(found.values())], texts=False)
    return [Created(index=index, object=objects[key], replayed_by=by) for index, key in found.items()]


def apart(drafts: Sequence[Draft]) -> tuple[list[Draft], list[Draft]]:
    """Return the drafts to write, and those that skip duplicates and repeat an earlier one of the same request."""
    seen: set[str] = set()
    first, twins = list[Draft](), list[Draft]()
    for draft in drafts:
        (twins if draft.skip_duplicates and draft.content_hash in seen else first).append(draft)
        if draft.content_hash:
            seen.add(draft.content_hash)
    return first, twins


def without(drafts: list[Draft], replays: Sequence[Created]) -> list[Draft]:
    """Return the drafts that are no replays."""
    known = {item.index for item in replays}
    return [draft for draft in drafts if draft.index not in known]


def created_from(bucket: BucketRow, draft: Draft, row: Mapping[str, Any]) -> Created:
    """Return the object that `draft` became, as it would be loaded, without asking for it."""
    stored = StoredObject(
        object_id=draft.object_id,
        bucket_id=bucket.bucket_id,
        sequence=row["sequence"],
        key_prefix=draft.key_prefix,
        fields=draft.fields,
        metadata=draft.metadata,
        edges=draft.edges,
        source_details=store.source_details(bucket.bucket_id),
        unique_value=draft.unique_value,
        content_hash=draft.content_hash,
        status="PENDING",
        error=None,
        lifecycle_state="active",
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
    blobs = [
        ObjectBlob(
            blob_id=blob.blob_id,
            property=blob.property,
            type=blob.type,
            key_prefix=blob.key_prefix,
            metadata=blob.metadata,
            source_url=filled.source_url,
            text=None,
            sha256=filled.sha256,
            md5=filled.md5,
            size_bytes=filled.size_bytes,
            mime_type=filled.mime_type,
            filename=filled.filename,
            is_text=filled.text is not None,
        )
        for blob, filled in zip(draft.blobs, draft.filled, strict=True)
    ]
    return Created(index=draft.index, object=replace(stored, blobs=blobs))
