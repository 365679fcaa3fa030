"""Submit: a draft becomes a plan, a task and the first job, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus
from prismhouse.api.batches.service.models import check_models, indexes_of
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, journal, ledger
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.engine.inference.lent import lending
from prismhouse.engine.pipeline.plan import Node, downstream_of, plan_tiers
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import TaskId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = [
    "TASK_TYPE",
    "BatchIsEmpty",
    "BatchNotDraft",
    "BatchRunsAlready",
    "ModelGone",
    "NothingToProcess",
    "check_served",
    "create_tasks",
    "job_arguments",
    "job_id",
    "plan",
    "refuse_overlap",
    "submit",
]

TASK_TYPE = "api_buckets_batches_process"
TIER_TASK_TYPE = "engine_feature_extractor_run"
_SAMPLE = 5


class BatchNotDraft(WarehouseError):
    """Batch {batch_id} is {status}; only a DRAFT can be {verb}."""

    code = Code.BAD_REQUEST
    hint = "Create another batch."


class BatchIsEmpty(WarehouseError):
    """Batch {batch_id} has no objects: there is nothing to process."""

    code = Code.BAD_REQUEST
    hint = "Add objects with POST /v1/buckets/{bucket_id}/batches/{batch_id}/objects first."


class NothingToProcess(WarehouseError):
    """No enabled collection reads bucket {bucket_id}: there is nothing to process."""

    code = Code.BAD_REQUEST
    hint = "Create a collection whose source names this bucket, then submit again."


class BatchRunsAlready(WarehouseError):
    """Batch {other} is sending some of the same objects to the same collections."""

    code = Code.CONFLICT
    hint = "Wait until it has ended, or submit with ?force=true."


class ModelGone(WarehouseError):
    """The collection {collection_id} cannot run any more: {reason}"""

    code = Code.INFERENCE_UNAVAILABLE
    hint = "Bring it back, or disable the collection; then submit the batch again."
    wire_code = "model_missing"


async def feeding(parts: Parts, tx: NamespaceReader, sources: Sequence[str]) -> dict[str, Any]:
    """Return the enabled collections that `sources` feed, directly or not, by id."""
    found: dict[str, Any] = {}
    ask = list(sources)
    while ask:
        rows = [row for row in await parts.collections.fed_by(tx, ask) if row.enabled]
        ask = [row.collection_id for row in rows if row.collection_id not in found]
        found.update({row.collection_id: row for row in rows})
    return found


async def plan(parts: Parts, tx: NamespaceReader, batch: BatchRow) -> tuple[list[list[str]], dict[str, Any]]:
    """Return the tiers of a batch and its collections; raise NothingToProcess."""
    rows = await feeding(parts, tx, [batch.bucket_id])
    nodes = [Node(collection_id=row.collection_id, source_ids=tuple(row.source_ids)) for row in rows.values()]
    if batch.requested_collections is not None:
        nodes = downstream_of([name for name in batch.requested_collections if name in rows], nodes)
    if not nodes:
        raise NothingToProcess(bucket_id=batch.bucket_id)
    if not batch.from_tier:
        return plan_tiers(nodes), rows
    kept = [list(tier) for tier in (batch.dag_tiers or ())[: batch.from_tier]]
    done = {name for tier in kept for name in tier}
    rest = plan_tiers([node for node in nodes if node.collection_id not in done])
    if not rest:
        raise NothingToProcess(bucket_id=batch.bucket_id)
    return kept + rest, rows


async def submit(
    parts: Parts,
    tx: NamespaceWriter,
    batch: BatchRow,
    *,
    collection_ids: Sequence[str] | None = None,
    force: bool = False,
    values: dict[str, Any] | None = None,
) -> TaskId:
    """Plan and enqueue a batch that `tx` has locked; return the task of the whole run."""
    if batch.status is not BatchStatus.DRAFT:
        raise BatchNotDraft(batch_id=batch.batch_id, status=batch.status.value, verb="submitted")
    if not batch.object_count:
        raise BatchIsEmpty(batch_id=batch.batch_id, bucket_id=batch.bucket_id)
    tiers, rows = await plan(parts, tx, batch)
    if collection_ids is not None:
        await _check_scope(parts, tx, collection_ids, tiers)
    names = [name for tier in tiers for name in tier]
    given = [rows[name] for name in names if name in rows]
    # What is gone is told as gone (503), not as a wrong request, before what has changed.
    await check_served(parts, tx, given)
    check_models(await indexes_of(tx, given))
    await refuse_overlap(tx, batch, names, force=force)
    first = batch.from_tier
    task_ids = await create_tasks(parts, tx, batch, tiers, range(first, len(tiers)))
    await chunks.insert_tiers(tx, batch.batch_id, task_ids, first=first)
    await ledger.insert_counts(
        tx,
        batch.batch_id,
        [
            (number, name, rows[name].extractor_id)
            for number, tier in enumerate(tiers)
            for name in tier
            if number >= first
        ],
    )
    await store.update(
        tx,
        batch.batch_id,
        **(values or {}),
        status=BatchStatus.QUEUED,
        dag_tiers=tiers,
        task_id=task_ids[0],
        queued_at=utc_now(),
    )
    await journal.record(
        tx,
        batch.batch_id,
        tier=None,
        level="info",
        event=JournalEvent.BATCH_SUBMITTED,
        message=f"{batch.object_count} objects were queued for {len(names)} collections in {len(tiers)} tiers.",
        details={"dag_tiers": tiers, "dedup_strategy": batch.dedup_strategy, "force": force},
    )
    await parts.queue.enqueue(tx.unscoped, "batches.start_tier", [job_arguments(batch, task_ids[0], tier=first)])
    return task_ids[0]


async def check_served(parts: Parts, tx: NamespaceReader, collections: Iterable[Any]) -> None:
    """Raise ModelGone for a collection whose extractor, or a model of it, is not here any more."""
    for one in collections:
        try:
            lent = await parts.models.named(tx, one.parameters) if parts.models else ()
            with lending(lent):
                parts.catalogue.check(one.extractor_id, one.parameters)
        except WarehouseError as error:
            raise ModelGone(collection_id=one.collection_id, reason=error.message) from error


async def refuse_overlap(tx: NamespaceWriter, batch: BatchRow, collection_ids: Sequence[str], *, force: bool) -> None:
    """Raise BatchRunsAlready when an active batch does some of the same work; two that ask at once are told apart."""
    if force:
        return
    await store.hold_submissions(tx, batch.bucket_id)
    if other := await store.conflicting(tx, batch, collection_ids):
        raise BatchRunsAlready(other=other)


def job_arguments(batch: BatchRow, task_id: TaskId | None, **more: int) -> dict[str, Any]:
    """Return what every job of a batch carries: enough to end its task even when the batch is gone."""
    known = {"namespace_id": batch.namespace_id, "batch_id": batch.batch_id, "task_id": task_id}
    return {**known, "run": batch.run, **more}


def job_id(batch_id: str, tier: int, collection_id: str) -> str:
    """Return the name of one collection's extraction in a tier: what `extractor_jobs` shows as `ray_job_id`."""
    return f"{batch_id}-{tier}-{collection_id}"


async def _check_scope(
    parts: Parts, tx: NamespaceReader, collection_ids: Sequence[str], tiers: list[list[str]]
) -> None:
    given = {(await parts.collections.resolve(tx, name)).collection_id for name in collection_ids}
    everything = {name for tier in tiers for name in tier}
    if given not in (set(tiers[0]), everything):
        message = (
            f"must be what the batch runs ({', '.join(tiers[0])}); leave it out, or create a batch with this scope"
        )
        raise Invalid([field_fault(["body", "collection_ids"], message)])


async def create_tasks(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, tiers: Sequence[Sequence[str]], numbers: Sequence[int]
) -> list[TaskId]:
    """Return a new task for each of these tiers; the first one stands for the whole run."""
    sample = await store.object_ids(tx, batch.batch_id, limit=_SAMPLE)
    return [
        await parts.tasks.create(
            tx.unscoped,
            organization_id=batch.organization_id,
            namespace_id=batch.namespace_id,
            task_type=TASK_TYPE if number == numbers[0] else TIER_TASK_TYPE,
            description=f"Batch of {batch.object_count} objects, tier {number + 1} of {len(tiers)}",
            inputs=[batch.batch_id],
            additional_data={
                "batch_id": batch.batch_id,
                "bucket_id": batch.bucket_id,
                "namespace_id": batch.namespace_id,
                "collection_ids": [name for tier in tiers for name in tier],
                "object_count": batch.object_count,
                "current_tier": number + 1,
                "total_tiers": len(tiers),
                "sample_object_ids": sample,
                "job_id": f"{batch.batch_id}-{number}",
            },
        )
        for number in numbers
    ]
