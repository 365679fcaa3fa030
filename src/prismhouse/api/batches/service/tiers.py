"""Start a tier: find its sources, drop what need not run, cut the rest into chunks, queue the first few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchRow, BatchStatus
from prismhouse.api.batches.service.finish import end_tier
from prismhouse.api.batches.service.models import check_all_able
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.sources import Origin, load_documents, load_objects
from prismhouse.api.batches.service.submit import job_arguments
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, control, journal, ledger
from prismhouse.api.batches.store import work as costs
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.engine.pipeline.plan import cut_work
from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import NamespaceId
from prismhouse.query.filters import And, matching, parse
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["enqueue_pending", "sources_of", "start_tier"]

_FILTER_AT_ONCE = 1000


async def start_tier(parts: Parts, *, namespace_id: NamespaceId, batch_id: str, tier: int, run: int = 0) -> bool:
    """Start a tier once; return False when the batch is gone. A second delivery of the job does nothing."""
    async with parts.db.write() as unit:
        tx = unit.within(namespace_id)
        batch = await store.lock(tx, batch_id)
        if batch is None:
            return False
        rows = await chunks.tiers(tx, batch_id)
        if batch.status not in ACTIVE or batch.run != run or rows[tier].status != "PENDING":
            return True
        if any(row.completed_at is None for row in rows[:tier]):
            return True
        running = await _running(tx, batch, tier)
        # One that was deleted since an earlier run has nothing to do; the others have.
        known = await parts.collections.resolve_known(tx, list(running))
        await check_all_able(parts, tx, known.values())
        await _announce(parts, tx, batch, tier)
        names = list((batch.dag_tiers or ())[tier])
        before = await parts.collections.document_counts(tx, names)
        await ledger.note_documents_before(tx, batch.batch_id, tier, {name: before.get(name, 0) for name in names})
        work: list[tuple[str, Sequence[str]]] = []
        found: dict[str, Counts] = {}
        for name, collection in known.items():
            had = running[name]
            fed_run = rows[tier].fed_run if had.fetched else None
            ids, counts = await sources_of(parts, tx, batch, collection, fed_run=fed_run)
            await ledger.add_counts(tx, batch.batch_id, tier, name, counts)
            found[name] = counts
            rate = await costs.rate_of(tx, collection.collection_id, collection.extractor_id)
            least = rate.rows_in(parts.worker.call_seconds)
            cut = cut_work(ids, parts.worker.chunk_rows, shares=parts.chunks_in_flight, least=least)
            work += [(name, part) for part in cut]
        await control.fed(tx, batch.batch_id, tier, run=batch.run)
        await _record_start(tx, batch, tier, found, chunks_made=len(work))
        await chunks.insert_chunks(tx, batch.batch_id, tier, work, run=batch.run)
        if not await enqueue_pending(parts, tx, batch, tier, parts.chunks_in_flight):
            await end_tier(parts, tx, batch, tier)
    return True


async def _record_start(
    tx: NamespaceWriter, batch: BatchRow, tier: int, found: Mapping[str, Counts], *, chunks_made: int
) -> None:
    total = Counts.total(found.values())
    by_collection = {
        name: {"fetched": each.fetched, "after_filter": each.after_filter, "submitted": each.submitted}
        for name, each in found.items()
    }
    await journal.record(
        tx,
        batch.batch_id,
        tier=tier,
        level="info",
        event=JournalEvent.TIER_STARTED,
        message=f"{total.submitted} of {total.fetched} rows go to extraction, in {chunks_made} chunks.",
        details={"chunks": chunks_made, "collections": by_collection},
    )


async def enqueue_pending(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int, limit: int) -> int:
    """Queue the next chunks of a tier, until `limit` wait or run; return how many are still to be run."""
    numbers, left = await chunks.take_pending(tx, batch.batch_id, tier, limit)
    jobs = [job_arguments(batch, batch.task_id, tier=tier, chunk=number) for number in numbers]
    await parts.queue.enqueue(tx.unscoped, "batches.run_chunk", jobs, priority=batch.priority)
    return left


async def _announce(parts: Parts, tx: NamespaceWriter, batch: BatchRow, tier: int) -> None:
    row = (await chunks.tiers(tx, batch.batch_id))[tier]
    await chunks.update_tier(tx, batch.batch_id, tier, status="IN_PROGRESS")
    values: dict[str, Any] = {"status": BatchStatus.PROCESSING, "current_tier": tier}
    if batch.started_at is None:
        values["started_at"] = utc_now()
    await store.update(tx, batch.batch_id, **values)
    await store.replaces_from_now(tx, batch.batch_id)
    await parts.tasks.update(tx.unscoped, row.task_id, status="IN_PROGRESS")
    if tier and batch.task_id:
        await parts.tasks.update(tx.unscoped, batch.task_id, additional_data={"current_tier": tier + 1})


async def _running(tx: NamespaceWriter, batch: BatchRow, tier: int) -> dict[str, Counts]:
    """Return the collections of a tier, but for those that were stopped one by one, with what they did so far."""
    rows = (await ledger.counts_of(tx, [batch.batch_id])).get(batch.batch_id, [])
    return {row.collection_id: row.counts for row in rows if row.tier == tier and row.canceled_at is None}


async def sources_of(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, collection: Any, *, fed_run: int | None = None
) -> tuple[list[str], Counts]:
    """Return what a collection would read now, and how many sources were left out on the way; changes nothing."""
    upstream = collection.source_type == "collection"
    if fed_run is not None:
        # It has run before: only what earlier tiers have made since then is new to it.
        names = list(collection.source_ids) if upstream else []
        fetched = await control.new_upstream_documents(tx, batch.batch_id, names, after_run=fed_run)
    elif upstream:
        # What this batch made anew, where it made it; what stands there already, where it starts in the middle.
        names = list(collection.source_ids)
        own_only = batch.dedup_strategy != "skip" and not set(names).isdisjoint(batch.collection_ids)
        kept = [name for number in (batch.dag_tiers or ())[: batch.from_tier] for name in number]
        fetched = await chunks.upstream_documents(tx, batch.batch_id, names, own_only=own_only, kept=kept)
    else:
        fetched = await store.object_ids(tx, batch.batch_id)
    asked = batch.source_filters if collection.collection_id in (batch.requested_collections or ()) else None
    trees = [tree for tree in (collection.source_filters, asked) if tree]
    passed = await _filtered(parts, tx, trees, fetched, upstream=upstream)
    run = passed
    if batch.dedup_strategy == "skip":
        look_up = chunks.upstream_with_documents if upstream else parts.documents.existing_objects
        there = await look_up(tx, collection.collection_id, passed)
        run = [name for name in passed if name not in there]
    counts = Counts(
        fetched=len(fetched), after_filter=len(passed), deduplicated=len(passed) - len(run), submitted=len(run)
    )
    return run, counts


async def _filtered(
    parts: Parts, tx: NamespaceWriter, trees: Sequence[Mapping[str, Any]], ids: Sequence[str], *, upstream: bool
) -> list[str]:
    if not trees:
        return list(ids)
    filters = And(tuple(parse(tree, max_depth=parts.limits.filter_depth, path=["source_filters"]) for tree in trees))
    kept = []
    for part in _cut(ids, _FILTER_AT_ONCE):
        loaded = await (load_documents(parts, tx, part) if upstream else load_objects(parts, tx, part))
        records = {name: _shown(loaded[name]) for name in part if name in loaded}
        passed = dict(zip(records, await matching(filters, list(records.values())), strict=True))
        kept += [name for name in part if passed.get(name, True)]
    return kept


def _shown(origin: Origin) -> dict[str, Any]:
    """Return a row as its filters see it."""
    return {**origin.source.metadata, **origin.source.fields, "metadata": origin.source.metadata}


def _cut(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
