"""Run a chunk: load, extract, and one transaction for everything that came of it."""

from __future__ import annotations

import asyncio

from prismhouse.api.batches.model import ACTIVE
from prismhouse.api.batches.service.commit import commit
from prismhouse.api.batches.service.compute import extract
from prismhouse.api.batches.service.cutting import (
    KILLED_WORKERS,
    SUSPECTED,
    begin,
    blames_rows,
    divide,
    failure_of,
    is_guilty,
    undo_begin,
    undo_owed,
)
from prismhouse.api.batches.service.files import abandon_files, settle_files
from prismhouse.api.batches.service.models import check_able, indexes_of, lent_to
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.sources import load_documents, load_objects
from prismhouse.api.batches.service.stop import while_wanted
from prismhouse.api.batches.service.tally import tally
from prismhouse.api.batches.service.work import Dropped, Work
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks
from prismhouse.api.batches.store import work as costs
from prismhouse.engine.inference.lent import lending
from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import NamespaceId

__all__ = ["abandon_chunk", "run_chunk"]


async def run_chunk(
    parts: Parts, *, namespace_id: NamespaceId, batch_id: str, tier: int, chunk: int, run: int = 0
) -> bool:
    """Run a chunk once; return False when the batch is gone. A second delivery of the job does nothing."""
    try:
        work = await _open(parts, namespace_id=namespace_id, batch_id=batch_id, tier=tier, chunk=chunk, run=run)
    except Dropped:
        return True
    if work is None:
        return False
    async with parts.turns.company(alone=work.chunk.deaths >= SUSPECTED):
        try:
            await _run(parts, namespace_id, work)
        except Dropped:
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
            await commit(parts, unit.within(namespace_id), work)
    except Dropped:
        return


async def _open(
    parts: Parts, *, namespace_id: NamespaceId, batch_id: str, tier: int, chunk: int, run: int
) -> Work | None:
    """Load a chunk and its sources; return None when the batch is gone, raise Dropped when nothing is to be done."""
    async with parts.db.read() as reader:
        tx = reader.within(namespace_id)
        batch = await store.find(tx, batch_id)
        if batch is None:
            return None
        found = await chunks.find_chunk(tx, batch_id, tier, chunk)
        if batch.status not in ACTIVE or batch.run != run or found is None or not found.is_open:
            raise Dropped
        collection = await parts.collections.resolve(tx, found.collection_id)
        upstream = collection.source_type == "collection"
        ids = found.source_ids
        origins = await (load_documents(parts, tx, ids) if upstream else load_objects(parts, tx, ids))
        rate = await costs.rate_of(tx, collection.collection_id, collection.extractor_id)
        swept = await parts.objects.generation(tx)
        lent = await lent_to(parts, tx, collection)
        indexes = await indexes_of(tx, collection)
    known = parts.catalogue.get(collection.extractor_name, collection.extractor_version)
    with lending(lent):
        record = parts.catalogue.configured(known, collection.parameters)
    return Work(
        batch=batch,
        chunk=found,
        collection=collection,
        record=record,
        origins=origins,
        rate=rate,
        swept=swept,
        indexes=indexes,
        lent=lent,
    )


async def _run(parts: Parts, namespace_id: NamespaceId, work: Work) -> None:
    await undo_owed(parts)
    async with parts.db.write() as unit:
        begun = await begin(parts, unit.within(namespace_id), work.batch, work.chunk, sizes=work.sizes, rate=work.rate)
    if begun is None:
        raise Dropped
    work.chunk = begun
    try:
        await _work_off(parts, namespace_id, work)
    except Exception:
        await abandon_files(parts, namespace_id, work.written)
        raise
    tally(work.collection.extractor_id, work.counts, work.failed, seconds=(utc_now() - work.began_at).total_seconds())
    await settle_files(parts, namespace_id, work.written)


async def _work_off(parts: Parts, namespace_id: NamespaceId, work: Work) -> None:
    check_able(parts, work.collection, lent=work.lent, indexes=work.indexes)
    if is_guilty(work.chunk):
        work.fail_all(KILLED_WORKERS)
    elif not await while_wanted(parts, work.batch, work.chunk, extract(parts, namespace_id, work)):
        raise Dropped
    async with parts.db.write() as unit:
        await commit(parts, unit.within(namespace_id), work)
