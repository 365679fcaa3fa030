"""Chunks cut by cost, tried again, parted: every row stands in one chunk, and ends once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.batches import NAMESPACE, SMALL, House, open_house

from prismhouse.api.batches.service.tiers import start_tier
from prismhouse.settings import LimitSettings, WorkerSettings
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.postgres.database import Database

WIDE = SMALL.model_copy(update={"chunk_rows": 64})
Opening = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def opening(dsn: str, db: Database, tmp_path: Path) -> Opening:
    return partial(open_house, dsn, db, tmp_path)


async def prepared(house: House, *texts: str) -> list[str]:
    await house.add_bucket()
    await house.add_collection("notes")
    return await house.add_objects(*texts)


async def chunks_of(house: House, batch_id: str) -> list[dict[str, Any]]:
    return await house.rows("SELECT * FROM batch_chunks WHERE batch_id = %(b)s ORDER BY chunk", b=batch_id)


async def assert_each_row_stands_once(house: House, batch_id: str, ids: list[str]) -> list[dict[str, Any]]:
    chunks = await chunks_of(house, batch_id)
    assert Counter(name for chunk in chunks for name in chunk["source_ids"]) == Counter(ids)
    audit = await house.call("GET", f"/v1/buckets/{house.bucket_id}/batches/{batch_id}/audit")
    assert audit["all_balanced"] is True
    assert (audit["tiers"][0]["submitted"], audit["tiers"][0]["lost"]) == (len(ids), 0)
    return chunks


async def set_rate(house: House, *, seconds: float, rows: float, documents: float = 1) -> None:
    collection_id = house.collections["notes"]
    async with house.db.write() as tx:
        await tx.execute(
            "INSERT INTO extraction_rates VALUES (%(n)s, %(c)s, 'text_extractor_v1', %(s)s, %(r)s, %(r)s, %(d)s)",
            {"n": NAMESPACE, "c": collection_id, "s": seconds, "r": rows, "d": documents},
        )


async def make_due(house: House) -> None:
    async with house.db.write() as tx:
        await tx.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'")


async def test_chunks_grow_when_rows_turn_out_to_be_cheap(opening: Opening) -> None:
    async with opening(worker=WIDE) as house:
        ids = await prepared(house, *["a"] * 200)
        shown = await house.run(ids)
        again = await house.run(await house.add_objects(*["a"] * 200))

        assert shown["status"] == again["status"] == "COMPLETED"
        first = await assert_each_row_stands_once(house, shown["batch_id"], ids)
        sizes = sorted(len(chunk["source_ids"]) for chunk in first)
        assert sizes[0] <= 4
        assert sizes[-1] >= 32
        assert len(await chunks_of(house, again["batch_id"])) < len(first)
        [rate] = await house.rows("SELECT * FROM extraction_rates")
        assert rate["collection_id"] == house.collections["notes"]
        assert rate["rows"] > 10
        assert rate["seconds"] / rate["rows"] < 0.1


async def test_a_chunk_keeps_what_fits_when_rows_are_dear(opening: Opening) -> None:
    async with opening(worker=WIDE) as house:
        ids = await prepared(house, *["a"] * 60)
        await set_rate(house, seconds=30, rows=12)

        shown = await house.run(ids)

        assert shown["status"] == "COMPLETED"
        chunks = await assert_each_row_stands_once(house, shown["batch_id"], ids)
        assert any(len(chunk["source_ids"]) == 2 for chunk in chunks)


@pytest.mark.parametrize(
    "bounds",
    [{"chunk_bytes": 300}, {"chunk_documents": 10}, {"chunk_seconds": 0.2, "call_seconds": 0.1}],
    ids=["bytes", "documents", "seconds"],
)
async def test_a_chunk_leaves_rows_to_others_when_it_meets_a_bound(opening: Opening, bounds: dict[str, float]) -> None:
    async with opening(worker=WIDE.model_copy(update=bounds)) as house:
        ids = await prepared(house, *["slow 0.02 a|b|c|d|e"] * 40)
        await set_rate(house, seconds=0.001, rows=100, documents=1)

        shown = await house.run(ids)

        assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 200)
        chunks = await assert_each_row_stands_once(house, shown["batch_id"], ids)
        assert len(chunks) >= 3
        assert max(len(chunk["source_ids"]) for chunk in chunks) < 40


async def test_a_row_fails_by_name_when_it_gives_too_many_documents(opening: Opening) -> None:
    async with opening(limits=LimitSettings(row_documents=1000)) as house:
        ids = await prepared(house, "many 1001", "many 900", "a")

        shown = await house.run(ids)

        assert (shown["status"], shown["documents_written"]) == ("COMPLETED_WITH_ERRORS", 901)
        [failed] = shown["failed_objects"]
        assert failed["object_id"] == ids[0]
        assert "PRISMHOUSE_LIMITS__ROW_DOCUMENTS" in failed["error"]


async def test_passing_failures_wait_in_a_chunk_of_their_own_and_hold_no_slot(opening: Opening) -> None:
    patient = SMALL.model_copy(update={"max_attempts": 3, "retry_seconds": 3600})
    async with opening(worker=patient) as house:
        ids = await prepared(house, "a", "busy", "once", "b")
        batch_id = await house.submit(ids)
        async with house.working():
            await house.until(lambda shown: shown["documents_written"] == 2, batch_id)
            await house.idle()
            other = await house.ended(await house.submit(await house.add_objects("c")))
        assert other["status"] == "COMPLETED"
        [waiting] = [chunk for chunk in await chunks_of(house, batch_id) if chunk["state"] == "queued"]
        assert (waiting["attempt"], sorted(waiting["source_ids"])) == (2, sorted(ids[1:3]))
        [job] = await house.rows("SELECT * FROM procrastinate_jobs WHERE status = 'todo'")
        assert abs((job["scheduled_at"] - waiting["not_before"]).total_seconds()) < 5

        async with house.working():
            await make_due(house)
            await house.until(lambda shown: shown["documents_written"] == 3, batch_id)
            await house.idle()
            await make_due(house)
            shown = await house.ended(batch_id)

        assert shown["status"] == "COMPLETED_WITH_ERRORS"
        rows = await house.rows("SELECT source_id, attempts, code FROM row_failures")
        assert rows == [{"source_id": ids[1], "attempts": 3, "code": "busy"}]
        await assert_each_row_stands_once(house, batch_id, ids)
        events = [row["event"] for row in await house.rows("SELECT event FROM batch_journal ORDER BY entry")]
        assert events.count("rows.retried") == 2


async def test_permanent_failures_are_not_tried_again(opening: Opening) -> None:
    async with opening(worker=SMALL.model_copy(update={"max_attempts": 3})) as house:
        shown = await house.run(await prepared(house, "bad", "a"))

        assert shown["status"] == "COMPLETED_WITH_ERRORS"
        assert await house.rows("SELECT attempts FROM row_failures") == [{"attempts": 1}]
        assert len(await chunks_of(house, shown["batch_id"])) == 1


@pytest.mark.parametrize(
    ("word", "code", "options"),
    [
        ("kill", "process_killed", {}),
        ("hang", "timeout", {"call_timeout_seconds": 6.0}),
        ("hungry", "out_of_memory", {"memory_bytes": 2 << 30}),
        ("raise", "extractor_error", {}),
    ],
)
async def test_a_row_pays_alone_when_it_ends_its_process(
    opening: Opening, tmp_path: Path, word: str, code: str, options: dict[str, Any]
) -> None:
    async with opening(worker=WIDE, compute=LocalCompute(2, **options)) as house:
        texts = ["count"] * 30
        ids = await prepared(house, *texts[:11], word, *texts[11:])
        await set_rate(house, seconds=0.001, rows=100)

        shown = await house.run(ids)

        assert (shown["status"], shown["documents_written"]) == ("COMPLETED_WITH_ERRORS", 30)
        assert [item["object_id"] for item in shown["failed_objects"]] == [ids[11]]
        assert await house.rows("SELECT code FROM row_failures") == [{"code": code}]
        await assert_each_row_stands_once(house, shown["batch_id"], ids)
        # Those beside it ran with it and once more alone, not again and again.
        runs = Counter((tmp_path / "runs").read_text().split())
        assert max(runs[name] for name in ids if name != ids[11]) <= 2


async def test_a_row_is_not_blamed_when_its_process_was_killed_once_in_company_and_once_alone(opening: Opening) -> None:
    async with opening(worker=WIDE) as house:
        ids = await prepared(house, "good", "frail", "good")
        await set_rate(house, seconds=0.001, rows=100)

        shown = await house.run(ids)

        assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 3)
        await assert_each_row_stands_once(house, shown["batch_id"], ids)


async def test_a_suspected_chunk_runs_in_parts(opening: Opening) -> None:
    async with opening(worker=WIDE) as house:
        ids = await prepared(house, *["a"] * 16)
        batch_id = await house.submit(ids)
        await start_tier(house.parts, namespace_id=NAMESPACE, batch_id=batch_id, tier=0)
        async with house.db.write() as tx:
            await tx.execute("UPDATE batch_chunks SET deaths = 4")
        async with house.working():
            shown = await house.ended(batch_id)

        assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 16)
        chunks = await assert_each_row_stands_once(house, batch_id, ids)
        assert max(len(chunk["source_ids"]) for chunk in chunks) == 4


async def test_a_start_is_no_death_when_the_worker_lives(opening: Opening) -> None:
    async with opening() as house:
        batch_id = await house.submit(await prepared(house, "missing"))
        async with house.working():
            shown = await house.ended(batch_id)

        assert shown["status"] == "FAILED"
        assert [chunk["deaths"] for chunk in await chunks_of(house, batch_id)] == [0]


def test_the_bounds_are_settings() -> None:
    worker = WorkerSettings()

    assert worker.max_attempts == 3
    assert worker.chunk_seconds >= worker.call_seconds
