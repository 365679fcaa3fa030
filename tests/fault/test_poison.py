"""Rows that kill the worker itself: they are found and named, and their neighbours are written once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tests.batches import House, open_house
from tests.fault.workers import start_worker

from prismhouse.storage.postgres.database import Database

DEADLINE_SECONDS = 150


async def test_a_row_that_kills_its_worker_is_found_and_its_neighbours_end(
    dsn: str, db: Database, tmp_path: Path
) -> None:
    async with open_house(dsn, db, tmp_path) as house:
        await house.add_bucket()
        await house.add_collection("notes")
        ids = await house.add_objects(*["a|b"] * 9, "assassin", *["c"] * 10)
        batch_id = await house.submit(ids)
        deaths = await run_until_ended(house, dsn, tmp_path, batch_id)

        shown = await house.read(batch_id)
        assert (shown["status"], shown["documents_written"]) == ("COMPLETED_WITH_ERRORS", 28)
        [failed] = shown["failed_objects"]
        assert (failed["object_id"], failed["error_type"]) == (ids[9], "resource")
        assert "ended the worker" in failed["error"]
        assert 6 <= deaths <= 12
        documents = await house.rows("SELECT root_object_id FROM documents")
        assert Counter(row["root_object_id"] for row in documents)[ids[0]] == 2
        chunks = await house.rows("SELECT source_ids FROM batch_chunks")
        assert Counter(name for chunk in chunks for name in chunk["source_ids"]) == Counter(ids)
        events = {row["event"] for row in await house.rows("SELECT event FROM batch_journal")}
        assert "worker.lost" in events


async def run_until_ended(house: House, dsn: str, folder: Path, batch_id: str) -> int:
    """Start a worker again and again until the batch has ended; return how many died."""
    deaths = 0
    worker = await start_worker(dsn, folder)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await house.read(batch_id))["status"] in {"QUEUED", "PROCESSING"}:
                if worker.returncode is not None:
                    deaths += 1
                    worker = await start_worker(dsn, folder)
                await asyncio.sleep(0.1)
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()
    return deaths
