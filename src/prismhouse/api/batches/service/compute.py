"""The rows of a chunk through extraction, call by call, and what came of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from prismhouse.api.batches.service.documents import documents_of
from prismhouse.api.batches.service.extract import Extracted, Extraction, is_transient, size_of
from prismhouse.api.batches.service.files import store_files
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.read import Reading
from prismhouse.api.batches.service.work import Work, failed_row
from prismhouse.api.batches.store.chunks import Outcome
from prismhouse.engine.extractors.port import Row
from prismhouse.engine.pipeline.amounts import measured, summed
from prismhouse.engine.pipeline.cost import fitting
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.engine.pipeline.rows import Mapped
from prismhouse.kit.ids import NamespaceId

__all__ = ["extract"]

_CALLS_AT_ONCE = 2


async def extract(parts: Parts, namespace_id: NamespaceId, work: Work) -> None:
    """Extract in calls that are short enough for others to have their turn; leave the rest when it is enough."""
    reading = Reading(parts, namespace_id, collection=work.collection, record=work.record, origins=work.origins)
    async with (
        parts.lent(namespace_id, work.collection.parameters) as lent,
        aclosing(reading.portions(work.chunk.source_ids)) as portions,
    ):
        extraction = Extraction(
            parts=parts,
            namespace_id=namespace_id,
            collection=work.collection,
            record=work.record,
            attempt=work.chunk.attempt,
            lent=lent,
        )
        async for mapped in portions:
            await _take(parts, work, {name: item for name, item in mapped.items() if item.row is None}, {})
            # By size, so that models that pad their input waste little.
            rows = sorted((item.row for item in mapped.values() if item.row is not None), key=size_of)
            if await _call(parts, work, extraction, rows, mapped):
                break
    gone = work.settled | set(work.again)
    work.left = [name for name in work.chunk.source_ids if name not in gone]


async def _call(
    parts: Parts, work: Work, extraction: Extraction, rows: Sequence[Row], mapped: Mapping[str, Mapped]
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


def _fitting(parts: Parts, work: Work, rows: Sequence[Row]) -> int:
    worker = parts.worker
    return fitting(
        map(size_of, rows),
        work.rate.then(work.measured),
        seconds=worker.call_seconds,
        most_bytes=worker.chunk_bytes,
        most_documents=worker.chunk_documents,
    )


async def _take(parts: Parts, work: Work, mapped: Mapping[str, Mapped], results: Mapping[str, Extracted]) -> None:
    """Add what came of some rows to the work."""
    processed = skipped = missing = incomplete = failed = documents = 0
    again = {name for name in mapped if _goes_again(parts, results.get(name))}
    work.again += [name for name in mapped if name in again]
    final = [one.result for name, one in results.items() if name not in again]
    stored = await store_files(parts, work.batch.namespace_id, final)
    for name, item in mapped.items():
        done = results.get(name)
        if name in again:
            continue
        work.settled.add(name)
        failure = item.failure or (done.result.failure if done else None)
        if failure is not None:
            missing += failure.code == "missing_input"
            failed += 1
            work.outcomes[name] = Outcome("f")
            work.failed.append(failed_row(work, name, failure, done))
        elif done is not None and done.result.documents:
            processed += 1
            lost = done.result.partial_failures
            incomplete += any(part.missing_feature is None for part in lost)
            work.failed += [failed_row(work, name, part, done, part=number) for number, part in enumerate(lost, 1)]
            written = documents_of(
                work.batch,
                work.chunk.tier,
                work.collection,
                work.origins[name],
                done.result,
                item.inherited,
                stored=stored,
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


def _goes_again(parts: Parts, done: Extracted | None) -> bool:
    return done is not None and is_transient(done.result) and done.attempts < parts.worker.max_attempts
