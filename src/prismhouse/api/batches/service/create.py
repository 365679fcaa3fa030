"""Create: which objects, which collections, and a draft that waits to be submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.batches.model import BatchRow
from prismhouse.api.batches.schemas import CreateBatch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import plan
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import journal
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.api.buckets.service import BucketRow
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import BatchId, KeyId, OrganizationId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["By", "add", "check_objects", "chosen_objects", "expire_later", "insert"]

_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Whose batch it is, and with which key it was made."""

    organization_id: OrganizationId
    key_id: KeyId | None = None
    key_prefix: str | None = None


async def chosen_objects(
    parts: Parts, tx: NamespaceReader, bucket_id: str, request: CreateBatch, *, check: bool
) -> list[str]:
    """Return the objects that a request names, by id or by filter."""
    limit = parts.limits.batch_objects
    if request.filters is not None or request.limit is not None:
        asked = min(request.limit or limit, limit)
        return list(await parts.objects.select_ids(tx, bucket_id, filters=request.filters, limit=asked))
    ids = list(dict.fromkeys(request.object_ids or ()))
    if check:
        await check_objects(parts, tx, bucket_id, ids)
    return ids


async def check_objects(parts: Parts, tx: NamespaceReader, bucket_id: str, ids: Sequence[str]) -> None:
    """Raise Invalid, naming up to ten, when some ids are no objects of the bucket."""
    missing = list(await parts.objects.missing(tx, bucket_id, ids)) if ids else []
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        message = f"not objects of bucket {bucket_id}: {', '.join(missing[:_NAMED])}{more}"
        raise Invalid([field_fault(["body", "object_ids"], message)])


async def insert(
    parts: Parts, tx: NamespaceWriter, bucket: BucketRow, request: CreateBatch, *, by: By, **more: Any
) -> BatchRow:
    """Insert a draft without objects; `more` are further columns."""
    requested = None
    if request.collection_ids:
        rows = [await parts.collections.resolve(tx, name) for name in request.collection_ids]
        requested = list(dict.fromkeys(row.collection_id for row in rows))
    dedup = request.dedup_strategy or "skip"
    values = {
        "organization_id": by.organization_id,
        "bucket_id": bucket.bucket_id,
        "batch_name": request.batch_name,
        "metadata": request.metadata.model_dump(exclude_none=True) if request.metadata else {},
        "dedup_strategy": dedup,
        "salted": dedup == "force" and not bucket.unique_key,
        "requested_collections": requested,
        "submitted_by_key_id": by.key_id,
        "submitted_by_key_prefix": by.key_prefix,
        **more,
    }
    batch = await store.insert(tx, store.new_batch_id(), values)
    message = f"A draft with dedup_strategy {dedup} was made."
    await journal.record(tx, batch.batch_id, tier=None, level="info", event=JournalEvent.BATCH_CREATED, message=message)
    if requested is not None:
        await plan(parts, tx, batch)
    return batch


async def add(parts: Parts, tx: NamespaceWriter, batch: BatchRow, ids: Sequence[str]) -> None:
    """Add objects; raise Invalid when there are more than a batch holds."""
    if ids and await store.add_objects(tx, batch.batch_id, ids) > parts.limits.batch_objects:
        message = f"a batch holds at most {parts.limits.batch_objects} objects; make several"
        raise Invalid([field_fault(["body", "object_ids"], message)])


async def expire_later(parts: Parts, tx: NamespaceWriter, batch_id: BatchId, *, seconds: float) -> None:
    """Look after the draft when that time has passed."""
    arguments = {"namespace_id": tx.namespace_id, "batch_id": batch_id}
    await parts.queue.enqueue(tx.unscoped, "batches.expire_draft", [arguments], delay_seconds=seconds)
