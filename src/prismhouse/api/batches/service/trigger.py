"""Trigger a collection: batches of everything its sources hold, submitted at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus
from prismhouse.api.batches.schemas import CreateBatch, TriggerCollection
from prismhouse.api.batches.service.create import By, add, insert
from prismhouse.api.batches.service.finish import end_batch
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import TASK_TYPE, plan, submit
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks
from prismhouse.api.collections.model.row import CollectionRow
from prismhouse.engine.pipeline.ledger import FailureCategory
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import NamespaceId, TaskId
from prismhouse.query.filters import parse, refuse_annotations
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["CollectionDisabled", "ReembedNotBuilt", "trigger"]

_MOST_OBJECTS = 1_000_000


class CollectionDisabled(WarehouseError):
    """Collection {collection_id} is disabled."""

    code = Code.BAD_REQUEST
    hint = "Enable it with PATCH /v1/collections/{collection_id} first."


class ReembedNotBuilt(WarehouseError):
    """Computing vectors anew from stored text is not built yet."""

    code = Code.NOT_IMPLEMENTED
    hint = "Trigger the collection with dedup_strategy replace instead."


async def trigger(
    parts: Parts, *, namespace_id: NamespaceId, collection: str, request: TriggerCollection, by: By
) -> dict[str, Any]:
    """Make and submit the batches in one transaction; without a single object, one that has failed and says so."""
    if request.reembed is not None:
        raise ReembedNotBuilt
    path = ("body", "source_filters")
    refuse_annotations(parse(request.source_filters, max_depth=parts.limits.filter_depth, path=path), path)
    async with parts.db.write() as unit:
        tx = unit.within(namespace_id)
        row = await parts.collections.resolve(tx, collection)
        if not row.enabled:
            raise CollectionDisabled(collection_id=row.collection_id)
        sources = _sources(row, request)
        found = await _objects(parts, tx, row, sources, request)
        made = [
            (batch, await submit(parts, tx, batch, force=True))
            for bucket_id, ids in found.items()
            for batch in await _batches(parts, tx, bucket_id, ids, row=row, request=request, by=by)
        ]
        if not made:
            made = [await _nothing(parts, tx, row, sources, by=by)]
        answer = await _answer(parts, tx, row, sources, made)
        for _, task_id in made:
            noted = {"batch_ids": answer["batch_ids"], "object_count": answer["object_count"]}
            await parts.tasks.update(unit, task_id, additional_data={"trigger": noted})
    return answer


def _sources(row: CollectionRow, request: TriggerCollection) -> list[str]:
    key = "include_buckets" if row.source_type == "bucket" else "include_collections"
    other = request.include_collections if row.source_type == "bucket" else request.include_buckets
    included = request.include_buckets if row.source_type == "bucket" else request.include_collections
    if other or (foreign := [name for name in included or () if name not in row.source_ids]):
        names = ", ".join(other or foreign)
        message = f"{names}: not a source of {row.collection_id}, whose sources are {', '.join(row.source_ids)}"
        raise Invalid([field_fault(["body", key], message)])
    return list(included or row.source_ids)


async def _objects(
    parts: Parts, tx: NamespaceWriter, row: CollectionRow, sources: Sequence[str], request: TriggerCollection
) -> dict[str, list[str]]:
    """Return objects by bucket: those asked for, or all that the filters let pass."""
    if row.source_type == "collection":
        found = await chunks.root_objects(tx, sources)
    else:
        # Named objects are filtered with the tier; the others by the database.
        filters = None if request.object_ids else request.source_filters
        found = {
            name: list(await parts.objects.select_ids(tx, name, filters=filters, limit=_MOST_OBJECTS))
            for name in sources
        }
    if request.object_ids is None:
        return {name: ids for name, ids in found.items() if ids}
    wanted = set(request.object_ids)
    if unknown := sorted(wanted.difference(*found.values())):
        message = f"not objects of its sources: {', '.join(unknown[:10])}"
        raise Invalid([field_fault(["body", "object_ids"], message)])
    kept = {name: [item for item in ids if item in wanted] for name, ids in found.items()}
    return {name: ids for name, ids in kept.items() if ids}


async def _batches(
    parts: Parts,
    tx: NamespaceWriter,
    bucket_id: str,
    ids: Sequence[str],
    *,
    row: CollectionRow,
    request: TriggerCollection,
    by: By,
) -> list[BatchRow]:
    bucket = await parts.buckets.resolve(tx, bucket_id)
    asked = CreateBatch(collection_ids=[row.collection_id], dedup_strategy=request.dedup_strategy)
    by_tier = request.source_filters if request.object_ids or row.source_type == "collection" else None
    batches = []
    for start in range(0, len(ids), parts.limits.batch_objects):
        more = {"type": row.source_type.upper(), "source_filters": by_tier}
        batch = await insert(parts, tx, bucket, asked, by=by, **more)
        await add(parts, tx, batch, ids[start : start + parts.limits.batch_objects])
        batches.append(await store.find(tx, batch.batch_id) or batch)
    return batches


async def _nothing(
    parts: Parts, tx: NamespaceWriter, row: CollectionRow, sources: Sequence[str], *, by: By
) -> tuple[BatchRow, TaskId]:
    task_id = await parts.tasks.create(
        tx.unscoped,
        organization_id=by.organization_id,
        namespace_id=tx.namespace_id,
        task_type=TASK_TYPE,
        inputs=[row.collection_id],
        additional_data={"collection_ids": [row.collection_id], "object_count": 0},
        status="FAILED",
    )
    values = {
        "organization_id": by.organization_id,
        "bucket_id": sources[0] if row.source_type == "bucket" else "",
        "type": row.source_type.upper(),
        "requested_collections": [row.collection_id],
        "task_id": task_id,
    }
    batch = await store.insert(tx, store.new_batch_id(), values)
    reason = f"There is nothing to process in {', '.join(sources)}."
    await end_batch(parts, tx, batch, BatchStatus.FAILED, reason=reason, category=FailureCategory.VALIDATION)
    await parts.tasks.update(tx.unscoped, task_id, error=reason, additional_data={"batch_id": batch.batch_id})
    return batch, task_id


async def _answer(
    parts: Parts,
    tx: NamespaceWriter,
    row: CollectionRow,
    sources: Sequence[str],
    made: Sequence[tuple[BatchRow, TaskId]],
) -> dict[str, Any]:
    first = made[0][0]
    count = sum(batch.object_count for batch, _ in made)
    kind: Mapping[str, Any] = {
        "source_bucket_ids": sources if row.source_type == "bucket" else None,
        "source_collection_ids": sources if row.source_type == "collection" else None,
    }
    return {
        "batch_id": first.batch_id,
        "task_id": made[0][1],
        "collection_id": row.collection_id,
        **kind,
        "object_count": count,
        "document_count": None,
        "batch_ids": [batch.batch_id for batch, _ in made],
        "task_ids": [task_id for _, task_id in made],
        "batch_count": len(made),
        "total_tiers": len((await plan(parts, tx, first))[0]) if count else 1,
        "message": f"{count} objects go through {row.name}." if count else "There is nothing to process.",
    }
