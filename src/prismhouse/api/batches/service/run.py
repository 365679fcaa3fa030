"""Run a chunk: load, extract, and one transaction for everything that came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from prismhouse.api.batches.model import ACTIVE, BatchRow
from prismhouse.api.batches.service.documents import Written, documents_of
from prismhouse.api.batches.service.extract import Extracted, extract
from prismhouse.api.batches.service.finish import end_tier
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.read import GONE, Reading
from prismhouse.api.batches.service.sources import Origin, load_documents, load_objects
from prismhouse.api.batches.service.telling import tell_written
from prismhouse.api.batches.service.tiers import enqueue_pending
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, ledger
from prismhouse.api.batches.store.chunks import Chunk
from prismhouse.api.batches.store.ledger import FailedRow
from prismhouse.engine.extractors.port import ExtractorRecord, Row, RowFailure
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.engine.pipeline.rows import Mapped
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["run_chunk"]


class _Stopped(Exception):
    """The batch was cancelled or failed meanwhile: nothing of this chunk may be written."""


@dataclass(slots=True)
class _Work:
    """A chunk on its way."""

    batch: BatchRow
    chunk: Chunk
    collection: Any
    record: ExtractorRecord
    origins: Mapping[str, Origin]
    written: list[Written] = field(default_factory=list)
    failed: list[FailedRow] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)


async def run_chunk(parts: Parts, *, namespace_id: NamespaceId, batch_id: str, tier: int, chunk: int) -> bool:
    """Run a chunk once; return False when the batch is gone. A second delivery of the job does nothing."""
    async with parts.db.read() as reader:
        tx = reader.within(namespace_id)
        batch = await store.find(tx, batch_id)
        if batch is None:
            return False
        found = await chunks.find_chunk(tx, batch_id, tier, chunk)
        if batch.status not in ACTIVE or found is None or found.state == "done":
            return True
        collection = await parts.collections.resolve(tx, found.collection_id)
        upstream = collection.source_type == "collection"
        ids = found.source_ids
        origins = await (load_documents(parts, tx, ids) if upstream else load_objects(parts, tx, ids))
    record = parts.catalogue.get(collection.extractor_name, collection.extractor_version)
    work = _Work(batch=batch, chunk=found, collection=collection, record=record, origins=origins)
    await _extract(parts, namespace_id, work)
    try:
        async with parts.db.write() as unit:
            await _commit(parts, unit.within(namespace_id), work)
    except _Stopped:
        return True
    return True


async def _extract(parts: Parts, namespace_id: NamespaceId, work: _Work) -> None:
    reading = Reading(parts, namespace_id, collection=work.collection, record=work.record, origins=work.origins)
    async with aclosing(reading.portions(work.chunk.source_ids)) as portions:
        async for mapped in portions:
            rows: list[Row] = [item.row for item in mapped.values() if item.row is not None]
            results = await extract(parts, work.collection.extractor_id, work.collection.parameters, rows)
            await _take(parts, work, mapped, results)


async def _take(parts: Parts, work: _Work, mapped: Mapping[str, Mapped], results: Mapping[str, Extracted]) -> None:
    """Add what came of some rows to the work."""
    processed = skipped = missing = incomplete = failed = documents = 0
    for name, item in mapped.items():
        done = results.get(name)
        failure = item.failure or (done.result.failure if done else None)
        if failure is not None:
            missing += failure.code == "missing_input"
            failed += 1
            work.failed.append(_failed_row(work, name, failure, done))
        elif done is not None and done.result.documents:
            processed += 1
            lost = done.result.partial_failures
            incomplete += any(part.missing_feature is None for part in lost)
            work.failed += [_failed_row(work, name, part, done, part=number) for number, part in enumerate(lost, 1)]
            written = await documents_of(
                parts, work.batch, work.chunk.tier, work.collection, work.origins[name], done.result, item.inherited
            )
            documents += len(written)
            work.written += written
        else:
            skipped += 1
    counts = work.counts
    work.counts = Counts(
        processed=counts.processed + processed,
        skipped=counts.skipped + skipped,
        incomplete=counts.incomplete + incomplete,
        failed=counts.failed + failed,
        missing_inputs=counts.missing_inputs + missing,
        documents_written=counts.documents_written + documents,
    )


def _failed_row(work: _Work, name: str, failure: RowFailure, done: Extracted | None, *, part: int = 0) -> FailedRow:
    origin = work.origins.get(name)
    return FailedRow(
        source_id=name,
        object_id=origin.object_id if origin else name,
        document_id=origin.document_id if origin else None,
        failure=failure,
        attempts=done.attempts if done else 1,
        part=part,
    )


async def _commit(parts: Parts, tx: NamespaceWriter, work: _Work) -> None:
    """Everything that came of a chunk, or nothing: a chunk counts in the transaction that stores its result."""
    batch_id, tier, number = work.batch.batch_id, work.chunk.tier, work.chunk.chunk
    chunk = await chunks.lock_chunk(tx, batch_id, tier, number)
    if chunk is None or chunk.state == "done":
        raise _Stopped
    await _leave_out_deleted(parts, tx, work)
    await parts.documents.write(tx, [item.document for item in work.written])
    await _write_vectors(tx, work)
    written = [item.document.document_id for item in work.written]
    await tell_written(parts, tx, work.batch, work.collection, written)
    await ledger.add_failures(tx, batch_id, tier, work.chunk.collection_id, work.failed)
    await chunks.finish_chunk(tx, batch_id, tier, number)
    # Last, because all chunks of the batch queue here.
    batch = await store.lock(tx, batch_id)
    if batch is None or batch.status not in ACTIVE:
        raise _Stopped
    await ledger.add_counts(tx, batch_id, tier, work.chunk.collection_id, work.counts)
    await enqueue_pending(parts, tx, batch, tier, 1)
    if not await chunks.open_chunks(tx, batch_id, tier):
        await end_tier(parts, tx, batch, tier)


async def _leave_out_deleted(parts: Parts, tx: NamespaceWriter, work: _Work) -> None:
    """What was made of an object must not outlive it: it may have been deleted while it was extracted."""
    made = {str(item.document.root_object_id) for item in work.written if item.document.source_document_id is None}
    gone = made - await parts.objects.hold_visible(tx, sorted(made)) if made else set()
    if not gone:
        return
    work.written = [item for item in work.written if item.document.root_object_id not in gone]
    kept = [row for row in work.failed if row.object_id not in gone]
    work.failed = [*kept, *(_failed_row(work, name, GONE, None) for name in sorted(gone))]
    work.counts = replace(
        work.counts,
        processed=work.counts.processed - len(gone),
        failed=work.counts.failed + len(gone),
        documents_written=len(work.written),
    )


async def _write_vectors(tx: NamespaceWriter, work: _Work) -> None:
    outputs = {output.name: work.record.feature_uri(output) for output in work.record.vector_outputs}
    indexes = await vectors.load(tx, list(outputs.values())) if work.written else {}
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
