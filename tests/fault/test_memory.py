"""Memory that a worker and its extraction processes take: bounded by what runs, not by the size of the batch."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.batches import House, open_house
from tests.fault.workers import start_worker

from prismhouse.storage.postgres.database import Database

ROWS = 10_000
ROW_BYTES = 8000
# What docs/execution.md states: the code itself, and the chunks that are on their way.
MOST_WORKER_MB = 250
MOST_PROCESS_MB = 100
DEADLINE_SECONDS = 240


def peak_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def peaks(house: House, batch_id: str, worker: asyncio.subprocess.Process) -> tuple[int, int, int]:
    """Wait for the end of a batch; return documents, and the largest peaks of the worker and of its processes."""
    largest = 0
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (shown := await house.read(batch_id))["status"] in {"QUEUED", "PROCESSING"}:
            largest = max([largest, *(peak_mb(child) for child in children_of(worker.pid))])
            await asyncio.sleep(0.2)
    assert shown["status"] == "COMPLETED", shown
    return int(shown["documents_written"]), peak_mb(worker.pid), largest


async def test_memory_stays_bounded_when_a_batch_has_10_000_rows(dsn: str, db: Database, tmp_path: Path) -> None:
    async with open_house(dsn, db, tmp_path) as house:
        await house.add_bucket()
        await house.add_collection("notes")
        ids = await house.add_objects(*["word " * (ROW_BYTES // 5)] * ROWS)
        batch_id = await house.submit(ids)
        worker = await start_worker(dsn, tmp_path, "{}")
        try:
            documents, of_worker, of_process = await peaks(house, batch_id, worker)
        finally:
            worker.kill()
            await worker.wait()

    print(f"{ROWS} rows of {ROW_BYTES} bytes: worker {of_worker} MB, extraction process {of_process} MB")
    assert documents == ROWS
    assert of_worker < MOST_WORKER_MB
    assert of_process < MOST_PROCESS_MB
