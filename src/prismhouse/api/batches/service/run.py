"""Run a chunk: load, extract, and one transaction for everything that came of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from prismhouse.api.batches.model import ACTIVE, BatchRow
from prismhouse.api.batches.service.cutting import (
    HOPELESS,
    KILLED_WORKERS,
    SUSPECTED,
    begin,
    blames_rows,
    divide,
    failure_of,
    go_on,
    keep_settled,
    record_isolated,
    undo_begin,
)
from prismhouse.api.batches.service.documents import Written, documents_of
from prismhouse.api.batches.service.extract import Extracted, Extraction, is_transient, size_of
from prismhouse.api.batches.service.files import abandon_files, drop_files, keep_files
from prismhouse.api.batches.service.finish import end_tier
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.read import GONE, Reading
from prismhouse.api.batches.service.sources import Origin, load_documents, load_objects
from prismhouse.api.batches.service.stop import while_wanted
from prismhouse.api.batches.service.tally import tally
from prismhouse.api.batches.service.telling import tell_written
from prismhouse.api.batches.service.tiers import enqueue_pending
from prismhouse.api.batches.store import amounts, chunks, ledger
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import work as costs
from prismhouse.api.batches.store.chunks import Chunk, Outcome
from prismhouse.api.batches.store.ledger import FailedRow
from prismhouse.engine.extractors.port import ExtractorRecord, Row, RowFailure
from prismhouse.engine.pipeline.amounts import measured, summed
from prismhouse.engine.pipeline.cost import Rate, fitting
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.engine.pipeline.rows import Mapped
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.settings import WorkerSettings
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["abandon_chunk", "run_chunk"]

# A chunk may take so many times what it was cut for.
_PATIENCE = 2
_CALLS_AT_ONCE = 2


class _ChunkChanged(WarehouseError):
    """The chunk was cut while it was worked on; it is run once more."""

    code = Code.UNAVAILABLE


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
    rate: Rate
    swept: int
    measured: Rate = field(default_factory=Rate)
    settled: set[str] = field(default_factory=set)
    again: list[str] = field(default_factory=list)
    left: Sequence[str] = ()
    isolated: Sequence[str] = ()
    written: list[Written] = field(default_factory=list)
    failed: list[FailedRow] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    amounts: dict[tuple[str, str], float] = field(default_factory=dict)
    began_at: datetime = field(default_factory=utc_now)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each source, as far as they are known."""
        return {
            name: sum(blob.size_bytes or len(blob.text or "") for blob in origin.source.blobs)
            for name, origin in self.origins.items()
        }

    def is_enough(self, worker: WorkerSettings) -> bool:
        """Whether what there is should be stored before more is made: rows were dearer, or gave more, than thought."""
        late = self.measured.seconds > _PATIENCE * worker.chunk_seconds
        return bool(self.settled or self.again) and (late or len(self.written) >= worker.chunk_documents)

    def fail_all(self, failure: RowFailure) -> None:
        """Let every row end in this failure."""
        ids = self.chunk.source_ids
        self.settled = set(ids)
        self.failed = [_failed_row(self, name, failure, None) for name in ids]
        self.counts = Counts(failed=len(ids))
        self.outcomes = dict.fromkeys(ids, Outcome("f"))


async def run_chunk(
    parts: Parts, *, namespace_id: NamespaceId, batch_id: str, tier: int, chunk: int, run: int = 0
) -> bool:
    """Run a chunk once; return False when the batch is gone. A second delivery of the job does nothing."""
    try:
        work = await _open(parts, namespace_id=namespace_id, batch_id=batch_id, tier=tier, chunk=chunk, run=run)
    except _Stopped:
        return True
    if work is None:
        return False
    async with parts.turns.company(alone=work.chunk.deaths >= SUSPECTED):
        try:
            await _run(parts, namespace_id, work)
        except _Stopped:
            return True
        except Exception as error:
            await undo_begin(parts, namespace_id, work.batch, work.chunk)
            if len(work.chunk.source_ids) == 1 or not blames_rows(error):
                raise
            await divide(parts, namespace_id, work.batch, work.chunk, error)
        except BaseException:
            await asyncio.shield(undo_begin(parts, namespace_id, work.batch, work.chunk))
            raise
    return True


async def abandon_chunk(
    parts: Parts,
    error: Exception,
    *,
    namespace_id: NamespaceId,
    batch_id: str,
    tier: int,
    chunk: int,
    run: int = 0,
) -> None:
    """Give up on the rows of a chunk that failed for the last time: its one row fails, several are parted."""
    try:
        work = await _open(parts, namespace_id=namespace_id, batch_id=batch_id, tier=tier, chunk=chunk, run=run)
        if work is None:
            return
        if len(work.chunk.source_ids) > 1:
            await divide(parts, namespace_id, work.batch, work.chunk, error)
            return
        work.fail_all(failure_of(error))
        async with parts.db.write() as unit:
            await _commit(parts, unit.within(namespace_id), work)
    except _Stopped:
        return


async def _open(
    parts: Parts, *, namespace_id: NamespaceId, batch_id: str, tier: int, chunk: int, run: int
) -> _Work | None:
    """Load a chunk and its sources; return None when the batch is gone, raise _Stopped when nothing is to be done."""
    async with parts.db.read() as reader:
        tx = reader.within(namespace_id)
        batch = await store.find(tx, batch_id)
        if batch is None:
            return None
        found = await chunks.find_chunk(tx, batch_id, tier, chunk)
        if batch.status not in ACTIVE or batch.run != run or found is None or not found.is_open:
            raise _Stopped
        collection = await parts.collections.resolve(tx, found.collection_id)
        upstream = collection.source_type == "collection"
        ids = found.source_ids
        origins = await (load_documents(parts, tx, ids) if upstream else load_objects(parts, tx, ids))
        rate = await costs.rate_of(tx, collection.collection_id, collection.extractor_id)
        swept = await parts.objects.generation(tx)
    known = parts.catalogue.get(collection.extractor_name, collection.extractor_version)
    record = parts.catalogue.configured(known, collection.parameters)
    return _Work(
        batch=batch, chunk=found, collection=collection, record=record, origins=origins, rate=rate, swept=swept
    )


async def _run(parts: Parts, namespace_id: NamespaceId, work: _Work) -> None:
    async with parts.db.write() as unit:
        begun = await begin(parts, unit.within(namespace_id), work.batch, work.chunk, sizes=work.sizes, rate=work.rate)
    if begun is None:
        raise _Stopped
    work.chunk = begun
    try:
        await _work_off(parts, namespace_id, work)
    except Exception:
        await abandon_files(parts, namespace_id, work.written)
        raise
    tally(work.collection.extractor_id, work.counts, work.failed, seconds=(utc_now() - work.began_at).total_seconds())


async def _work_off(parts: Parts, namespace_id: NamespaceId, work: _Work) -> None:
    if len(work.chunk.source_ids) == 1 and work.chunk.deaths > HOPELESS:
        work.fail_all(KILLED_WORKERS)
    elif not await while_wanted(parts, work.batch, work.chunk, _extract(parts, namespace_id, work)):
        raise _Stopped
    async with parts.db.write() as unit:
        await _commit(parts, unit.within(namespace_id), work)


async def _extract(parts: Parts, namespace_id: NamespaceId, work: _Work) -> None:
    """Extract in calls that are short enough for others to have their turn; leave the rest when it is enough."""
    reading = Reading(parts, namespace_id, collection=work.collection, record=work.record, origins=work.origins)
    extraction = Extraction(
        parts=parts, namespace_id=namespace_id, collection=work.collection, attempt=work.chunk.attempt
    )
    async with aclosing(reading.portions(work.chunk.source_ids)) as portions:
        async for mapped in portions:
            await _take(parts, work, {name: item for name, item in mapped.items() if item.row is None}, {})
            # By size, so that models that pad their input waste little.
            rows = sorted((item.row for item in mapped.values() if item.row is not None), key=size_of)
            if await _call(parts, work, extraction, rows, mapped):
                break
    gone = work.settled | set(work.again)
    work.left = [name for name in work.chunk.source_ids if name not in gone]


async def _call(
    parts: Parts, work: _Work, extraction: Extraction, rows: Sequence[Row], mapped: Mapping[str, Mapped]
) -> Sequence[Row]:
    """Extract rows, call by call, and return those for which there was no time.

    The next call waits for its turn while one runs: between them, nobody who has more than we do takes our place.
    """
    calls: deque[tuple[Sequence[Row], asyncio.Task[dict[str, Extracted]]]] = deque()
    try:
        while True:
            while rows and len(calls) < _CALLS_AT_ONCE and not work.is_enough(parts.worker):
                call = rows[: _fitting(parts, work, rows)]
                rows = rows[len(call) :]
                calls.append((call, asyncio.create_task(extraction.run(call))))
            if not calls:
                return rows
            call, task = calls[0]
            results = await task
            calls.popleft()
            took = {("seconds", "extract"): extraction.measured.seconds - work.measured.seconds, ("work", "calls"): 1.0}
            work.amounts = summed([work.amounts, took])
            work.measured, work.isolated = extraction.measured, extraction.isolated
            await _take(parts, work, {row.row_id: mapped[row.row_id] for row in call}, results)
    finally:
        for _, task in calls:
            task.cancel()
        await asyncio.gather(*(task for _, task in calls), return_exceptions=True)


def _fitting(parts: Parts, work: _Work, rows: Sequence[Row]) -> int:
    worker = parts.worker
    return fitting(
        map(size_of, rows),
        work.rate.then(work.measured),
        seconds=worker.call_seconds,
        most_bytes=worker.chunk_bytes,
        most_documents=worker.chunk_documents,
    )


async def _take(parts: Parts, work: _Work, mapped: Mapping[str, Mapped], results: Mapping[str, Extracted]) -> None:
    """Add what came of some rows to the work."""
    processed = skipped = missing = incomplete = failed = documents = 0
    for name, item in mapped.items():
        done = results.get(name)
        if done is not None and is_transient(done.result) and done.attempts < parts.worker.max_attempts:
            work.again.append(name)
            continue
        work.settled.add(name)
        failure = item.failure or (done.result.failure if done else None)
        if failure is not None:
            missing += failure.code == "missing_input"
            failed += 1
            work.outcomes[name] = Outcome("f")
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
            work.outcomes[name] = Outcome("p", written[0].document.document_id)
            if item.row is not None:
                amount = measured(work.record, work.collection.parameters, item.row, done.result)
                work.amounts = summed([work.amounts, amount])
        else:
            skipped += 1
            work.outcomes[name] = Outcome("s")
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
        attempts=done.attempts if done else work.chunk.attempt,
        part=part,
    )


async def _commit(parts: Parts, tx: NamespaceWriter, work: _Work) -> None:
    """Everything that came of a chunk, or nothing: a chunk counts in the transaction that stores its result."""
    await keep_files(parts, tx, work.written, since=work.swept)
    batch_id, tier, number = work.batch.batch_id, work.chunk.tier, work.chunk.chunk
    chunk = await chunks.lock_chunk(tx, batch_id, tier, number)
    if chunk is None or not chunk.is_open:
        raise _Stopped
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
        raise _Stopped
    await ledger.add_counts(tx, batch_id, tier, work.chunk.collection_id, work.counts, began_at=work.began_at)
    await amounts.add(tx, batch_id, tier, work.chunk.collection_id, work.amounts)
    await go_on(parts, tx, batch, work.chunk, again=work.again, left=work.left)
    await record_isolated(tx, batch, work.chunk, work.isolated)
    await enqueue_pending(parts, tx, batch, tier, parts.chunks_in_flight)
    await costs.learn(tx, work.collection.collection_id, work.collection.extractor_id, work.measured)
    if not await chunks.open_chunks(tx, batch_id, tier):
        await end_tier(parts, tx, batch, tier)


async def _take_failures(tx: NamespaceWriter, work: _Work) -> None:
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


async def _leave_out_deleted(parts: Parts, tx: NamespaceWriter, work: _Work) -> None:
    """What was made of an object must not outlive it: it may have been deleted while it was extracted."""
    made = {str(item.document.root_object_id) for item in work.written if item.document.source_document_id is None}
    gone = made - await parts.objects.hold_visible(tx, sorted(made)) if made else set()
    if not gone:
        return
    await drop_files(parts, tx, [item for item in work.written if item.document.root_object_id in gone])
    work.written = [item for item in work.written if item.document.root_object_id not in gone]
    kept = [row for row in work.failed if row.object_id not in gone]
    work.failed = [*kept, *(_failed_row(work, name, GONE, None) for name in sorted(gone))]
    work.outcomes |= {name: Outcome("f") for name in gone}
    work.counts = replace(
        work.counts,
        processed=work.counts.processed - len(gone),
        failed=work.counts.failed + len(gone),
        documents_written=len(work.written),
    )


async def _count_replaced(parts: Parts, tx: NamespaceWriter, work: _Work) -> None:
    """Count, before they are written, the documents that take the place of earlier ones of the same source."""
    if work.batch.dedup_strategy != "replace" or not work.written:
        return
    upstream = work.collection.source_type == "collection"
    look_up = chunks.upstream_with_documents if upstream else parts.documents.existing_objects
    sources = [item.document.source_document_id or str(item.document.root_object_id) for item in work.written]
    had = await look_up(tx, work.collection.collection_id, sorted(set(sources)))
    if number := sum(name in had for name in sources):
        work.amounts = summed([work.amounts, {("documents", "replaced"): number}])


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
