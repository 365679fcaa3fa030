"""Chunks made smaller: to fit into their time, to find a row that ends its worker, to try some rows again later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

import structlog

from prismhouse.api.batches.model import ACTIVE, BatchRow
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.submit import job_arguments
from prismhouse.api.batches.service.tiers import enqueue_pending
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, journal, work
from prismhouse.api.batches.store.chunks import Chunk
from prismhouse.api.batches.store.journal import JournalEvent
from prismhouse.engine.extractors.port import ErrorType, RowFailure
from prismhouse.engine.pipeline.cost import Rate, fitting
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.jobs.procrastinate import JobAbandoned
from prismhouse.storage.postgres.database import DatabaseUnavailable, NamespaceWriter, StatementTooSlow

__all__ = [
    "KILLED_WORKERS",
    "SUSPECTED",
    "begin",
    "blames_rows",
    "divide",
    "failure_of",
    "go_on",
    "is_guilty",
    "keep_settled",
    "record_isolated",
    "undo_begin",
    "undo_owed",
]

# Deaths of its worker after which a chunk runs without company: those beside it are innocent, and end then.
SUSPECTED = 3
# Deaths over a single row without company, with the database running on, after which it is the cause.
HOPELESS = 3
KILLED_WORKERS = RowFailure(
    stage="load",
    code="worker_killed",
    message="It ended the worker each time it ran, also alone (out of memory, or a crash). Try a smaller file.",
    error_type=ErrorType.RESOURCE,
)
_PARTS = 4
_LONGEST_PAUSE_SECONDS = 300.0
_MOST_OWED = 10_000
_log = structlog.get_logger(__name__)


async def begin(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, chunk: Chunk, *, sizes: Mapping[str, int], rate: Rate
) -> Chunk | None:
    """Count a start, and leave in the chunk what fits into its time; return None when there is nothing to do."""
    alone = chunk.deaths >= SUSPECTED
    begun = await work.begin(tx, batch.batch_id, chunk.tier, chunk.chunk, start=uuid4().hex, alone=alone)
    if begun is None or not begun.source_ids:
        return None
    before, ids = begun.deaths - 1, list(begun.source_ids)
    if before > SUSPECTED and len(ids) > 1:
        pieces, deaths = _parted(ids), SUSPECTED
    else:
        worker = parts.worker
        count = fitting(
            (sizes.get(name, 0) for name in ids),
            rate,
            seconds=worker.chunk_seconds,
            most_bytes=worker.chunk_bytes,
            most_documents=worker.chunk_documents,
        )
        pieces, deaths = [piece for piece in (ids[:count], ids[count:]) if piece], before
    if before and begun.deaths > chunk.deaths:
        await _record_death(tx, batch, begun, pieces)
    if len(pieces) > 1:
        locked = await store.lock(tx, batch.batch_id)
        if locked is None or locked.status not in ACTIVE or locked.run != batch.run:
            return None
        at = (batch.batch_id, chunk.tier, chunk.chunk)
        await work.keep(tx, *at, pieces[0], deaths=deaths + 1)
        for piece in pieces[1:]:
            await work.put_back(tx, *at, piece, deaths=deaths)
        await enqueue_pending(parts, tx, locked, chunk.tier, parts.chunks_in_flight)
    return replace(begun, source_ids=pieces[0], deaths=deaths + 1)


async def undo_begin(parts: Parts, namespace_id: NamespaceId, batch: BatchRow, chunk: Chunk) -> None:
    """Take a start back where the worker lives; later, when no database answers now."""
    if chunk.begun_by is None:
        return
    try:
        async with parts.db.write() as unit:
            await work.undo_begin(unit.within(namespace_id), batch.batch_id, chunk)
    except DatabaseUnavailable:
        if len(parts.owed) < _MOST_OWED:
            parts.owed.append((namespace_id, batch, chunk))


async def undo_owed(parts: Parts) -> None:
    """Take back the starts of this process for which no database answered then."""
    for _ in range(len(parts.owed)):
        await undo_begin(parts, *parts.owed.popleft())


def is_guilty(chunk: Chunk) -> bool:
    """Whether the one row of a chunk is what ends its workers: nothing else was there each time."""
    return len(chunk.source_ids) == 1 and chunk.proofs >= HOPELESS


def blames_rows(error: Exception) -> bool:
    """Whether a chunk may have failed because of one of its rows, not for a reason that is common to all."""
    return not isinstance(error, WarehouseError) or isinstance(error, JobAbandoned | StatementTooSlow)


def failure_of(error: Exception) -> RowFailure:
    """Return what is said of the row that was found guilty."""
    reason = error.message if isinstance(error, WarehouseError) else f"{type(error).__name__}: {error}"
    kind = ErrorType.RESOURCE if isinstance(error, JobAbandoned | StatementTooSlow) else ErrorType.PERMANENT
    message = f"It could not be processed, also not alone: {reason}"
    return RowFailure(stage="write", code="chunk_failed", message=message, error_type=kind)


async def divide(parts: Parts, namespace_id: NamespaceId, batch: BatchRow, chunk: Chunk, error: Exception) -> None:
    """Part a chunk that failed as a whole, so that only the guilty row pays."""
    _log.warning("a chunk failed, it is parted", batch_id=batch.batch_id, chunk=chunk.chunk, exc_info=error)
    at = (batch.batch_id, chunk.tier, chunk.chunk)
    async with parts.db.write() as unit:
        tx = unit.within(namespace_id)
        now = await chunks.lock_chunk(tx, *at)
        locked = await store.lock(tx, batch.batch_id)
        if now is None or not now.is_open or locked is None or locked.status not in ACTIVE or locked.run != batch.run:
            return
        first, *others = _parted(now.source_ids)
        await work.keep(tx, *at, first, state="pending", deaths=0)
        for piece in others:
            await work.put_back(tx, *at, piece)
        await journal.record(
            tx,
            batch.batch_id,
            tier=chunk.tier,
            level="warning",
            event=JournalEvent.ROWS_ISOLATED,
            message=f"{len(now.source_ids)} rows failed together ({type(error).__name__}) and run in smaller parts.",
            details={"chunk": chunk.chunk, "rows": len(now.source_ids), "error": str(error)},
        )
        await enqueue_pending(parts, tx, locked, chunk.tier, parts.chunks_in_flight)


async def keep_settled(tx: NamespaceWriter, batch: BatchRow, chunk: Chunk, settled: Collection[str]) -> Chunk:
    """Leave in a chunk the rows that have ended, and return it."""
    ids = [name for name in chunk.source_ids if name in settled]
    await work.keep(tx, batch.batch_id, chunk.tier, chunk.chunk, ids)
    return replace(chunk, source_ids=ids)


async def go_on(
    parts: Parts, tx: NamespaceWriter, batch: BatchRow, chunk: Chunk, *, again: Sequence[str], left: Sequence[str]
) -> None:
    """Queue the rows of a chunk that have not ended: some after a pause, the others as soon as there is room."""
    at = (batch.batch_id, chunk.tier, chunk.chunk)
    if left:
        await work.put_back(tx, *at, left)
    if not again:
        return
    pause = min(parts.worker.retry_seconds * 4 ** (chunk.attempt - 1), _LONGEST_PAUSE_SECONDS)
    attempt = chunk.attempt + 1
    number = await work.put_back(tx, *at, again, state="queued", attempt=attempt, delay_seconds=pause)
    await parts.queue.enqueue(
        tx.unscoped,
        "batches.run_chunk",
        [job_arguments(batch, batch.task_id, tier=chunk.tier, chunk=number)],
        priority=batch.priority,
        delay_seconds=pause,
    )
    await journal.record(
        tx,
        batch.batch_id,
        tier=chunk.tier,
        level="warning",
        event=JournalEvent.ROWS_RETRIED,
        message=f"{len(again)} rows failed for a passing reason; attempt {attempt} follows in {pause:g} s.",
        details={"chunk": number, "rows": len(again), "attempt": attempt, "pause_seconds": pause},
    )


async def record_isolated(tx: NamespaceWriter, batch: BatchRow, chunk: Chunk, rows: Sequence[str]) -> None:
    """Tell of rows that ended, or held up, the process they ran in."""
    if rows:
        await journal.record(
            tx,
            batch.batch_id,
            tier=chunk.tier,
            level="warning",
            event=JournalEvent.PROCESS_KILLED,
            message=f"{len(rows)} rows failed in a call of their own, apart from their neighbours.",
            details={"chunk": chunk.chunk, "source_ids": list(rows)[:20]},
        )


async def _record_death(tx: NamespaceWriter, batch: BatchRow, chunk: Chunk, pieces: Sequence[Sequence[str]]) -> None:
    number = chunk.deaths - 1
    message = f"A worker died over {len(chunk.source_ids)} rows, for the {_ordinal(number)} time; they run again"
    message += f", the first {len(pieces[0])} of them now." if len(pieces) > 1 else "."
    await journal.record(
        tx,
        batch.batch_id,
        tier=chunk.tier,
        level="warning",
        event=JournalEvent.WORKER_LOST,
        message=message,
        details={"chunk": chunk.chunk, "deaths": number, "infrastructure": "unknown"},
    )


def _ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th') }"


def _parted(ids: Sequence[str]) -> list[Sequence[str]]:
    size = -(-len(ids) // _PARTS)
    return [ids[start : start + size] for start in range(0, len(ids), size)]
