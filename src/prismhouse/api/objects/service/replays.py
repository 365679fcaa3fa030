"""Objects that a request brings again: by idempotency key, or by content when duplicates are to be skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import Draft
from prismhouse.api.objects.model import StoredObject
from prismhouse.kit.ids import ObjectId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["Created", "apart", "duplicates", "idempotent", "late_duplicates", "without"]

Replay = Literal["idempotency_key", "skip_duplicates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """An object of a request, new or found again."""

    index: int
    object: StoredObject
    replayed_by: Replay | None = None


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
