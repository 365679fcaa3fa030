"""What came of a chunk, stored in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prismhouse.api.batches.model import ACTIVE
from prismhouse.api.batches.service.cutting import go_on, keep_settled, record_isolated
from prismhouse.api.batches.service.documents import Written
from prismhouse.api.batches.service.files import drop_files, keep_files
from prismhouse.api.batches.service.finish import end_tier
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.read import GONE
from prismhouse.api.batches.service.telling import tell_written
from prismhouse.api.batches.service.tiers import enqueue_pending
from prismhouse.api.batches.service.work import Dropped, Work, failed_row
from prismhouse.api.batches.store import amounts, chunks, ledger
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import work as costs
from prismhouse.api.batches.store.chunks import Outcome
from prismhouse.engine.pipeline.amounts import summed
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["commit"]


class _ChunkChanged(WarehouseError):
    """The chunk was cut while it was worked on; it is run once more."""

    code = Code.UNAVAILABLE


async def commit(parts: Parts, tx: NamespaceWriter, work: Work) -> None:
    """Everything that came of a chunk, or nothing: a chunk counts in the transaction that stores its result."""
    await keep_files(parts, tx, work.written, since=work.swept)
    batch_id, tier, number = work.batch.batch_id, work.chunk.tier, work.chunk.chunk
    chunk = await chunks.lock_chunk(tx, batch_id, tier, number)
    if chunk is None or not chunk.is_open:
        raise Dropped
    if chunk.source_ids != work.chunk.source_ids:
        raise _ChunkChanged
    if work.left or work.again:
        work.chunk = chunk = await keep_settled(tx, work.batch, chunk, work.settled)
    await _leave_out_deleted(parts, tx, work)
    await _count_replaced(parts, tx, work)
    await _take_failures(tx, work)
    await parts.documents.write(tx, [item.document for item in work.written])
    await _write_vectors(tx, work)
    written = [item.document.document_id for item in work.written]
    await tell_written(parts, tx, work.batch, work.collection, written)
    await ledger.add_failures(tx, batch_id, tier, work.chunk.collection_id, work.failed)
    await chunks.finish_chunk(tx, batch_id, tier, number, [work.outcomes.get(name) for name in chunk.source_ids])
    # Last, because all chunks of the batch queue here.
    batch = await store.lock(tx, batch_id)
    if batch is None or batch.status not in ACTIVE or batch.run != work.batch.run:
        raise Dropped
    await ledger.add_counts(tx, batch_id, tier, work.chunk.collection_id, work.counts, began_at=work.began_at)
    await amounts.add(tx, batch_id, tier, work.chunk.collection_id, work.amounts)
    await go_on(parts, tx, batch, work.chunk, again=work.again, left=work.left)
    await record_isolated(tx, batch, work.chunk, work.isolated)
    left = await enqueue_pending(parts, tx, batch, tier, parts.chunks_in_flight)
    await costs.learn(tx, work.collection.collection_id, work.collection.extractor_id, work.measured)
    if not left:
        await end_tier(parts, tx, batch, tier)


async def _take_failures(tx: NamespaceWriter, work: Work) -> None:
    """Rows that failed in an earlier run are counted by how they ended this time."""
    chunk, earlier = work.chunk, {}
    if chunk.retry:
        ids = chunk.source_ids
        earlier = await ledger.take_failures(tx, work.batch.batch_id, chunk.tier, chunk.collection_id, ids)
    if not earlier:
        return
    work.failed = [
        replace(
            row,
            attempts=row.attempts + earlier[row.source_id]["attempts"],
            retry_count=earlier[row.source_id]["retry_count"] + 1,
        )
        if row.part == 0 and row.source_id in earlier
        else row
        for row in work.failed
    ]
    work.counts = replace(
        work.counts,
        failed=work.counts.failed - len(earlier),
        missing_inputs=work.counts.missing_inputs - sum(row["code"] == "missing_input" for row in earlier.values()),
    )


async def _leave_out_deleted(parts: Parts, tx: NamespaceWriter, work: Work) -> None:
    """What was made of an object must not outlive it: it may have been deleted while it was extracted."""
    made = {str(item.document.root_object_id) for item in work.written if item.document.source_document_id is None}
    gone = made - await parts.objects.hold_visible(tx, sorted(made)) if made else set()
    if not gone:
        return
    await drop_files(parts, tx, [item for item in work.written if item.document.root_object_id in gone])
    work.written = [item for item in work.written if item.document.root_object_id not in gone]
    kept = [row for row in work.failed if row.object_id not in gone]
    work.failed = [*kept, *(failed_row(work, name, GONE, None) for name in sorted(gone))]
    work.outcomes |= {name: Outcome("f") for name in gone}
    work.counts = replace(
        work.counts,
        processed=work.counts.processed - len(gone),
        failed=work.counts.failed + len(gone),
        documents_written=len(work.written),
    )


async def _count_replaced(parts: Parts, tx: NamespaceWriter, work: Work) -> None:
    """Count, before they are written, the documents that take the place of earlier ones of the same source."""
    if work.batch.dedup_strategy != "replace" or not work.written:
        return
    upstream = work.collection.source_type == "collection"
    look_up = chunks.upstream_with_documents if upstream else parts.documents.existing_objects
    sources = [item.document.source_document_id or str(item.document.root_object_id) for item in work.written]
    had = await look_up(tx, work.collection.collection_id, sorted(set(sources)))
    if number := sum(name in had for name in sources):
        work.amounts = summed([work.amounts, {("documents", "replaced"): number}])


async def _write_vectors(tx: NamespaceWriter, work: Work) -> None:
    outputs = {output.name: work.record.feature_uri(output) for output in work.record.vector_outputs}
    indexes = await vectors.load(tx, list(outputs.values())) if outputs and work.written else {}
    for name, uri in outputs.items():
        given: Sequence[Written] = [item for item in work.written if name in item.vectors]
        if given:
            await vectors.write(
                tx,
                indexes[uri],
                collection_id=work.collection.collection_id,
                document_ids=[item.document.document_id for item in given],
                vectors=np.stack([item.vectors[name] for item in given]),
            )
