"""A worker that is killed at any point of a batch: another one finishes it, and every document stands once."""

from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
from pathlib import Path

from tests.batches import House, open_house

from prismhouse.storage.postgres.database import Database

WORKER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from prismhouse.storage.jobs.worker import run_worker
    from prismhouse.storage.postgres.database import Database
    from tests.batches import open_house

    async def main():
        db = Database(sys.argv[1], pool_size=4)
        await db.open()
        async with open_house(sys.argv[1], db, Path(sys.argv[2]), tenant=False) as house:
            await run_worker(house.queue, stop=asyncio.Event(), concurrency=3, stalled_after_seconds=1)

    asyncio.run(main())
    """
)


async def start_worker(dsn: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, dsn, str(folder), env={"PYTHONPATH": "src:."}
    )


async def written(house: House) -> int:
    return int((await house.rows("SELECT count(*) AS n FROM documents"))[0]["n"])


async def test_every_document_stands_once_when_workers_are_killed_again_and_again(
    dsn: str, db: Database, tmp_path: Path
) -> None:
    async with open_house(dsn, db, tmp_path) as house:
        await house.add_bucket()
        first = await house.add_collection("first")
        await house.add_collection("second", source=first)
        ids = await house.add_objects(*["slow 0.02 a|b"] * 60, "bad", "kill")
        batch_id = await house.submit(ids)
        for goal in (1, 60, 150):
            worker = await start_worker(dsn, tmp_path)
            async with asyncio.timeout(60):
                while await written(house) < goal:
                    await asyncio.sleep(0.01)
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
        async with house.working():
            shown = await house.ended(batch_id)

        assert shown["status"] == "COMPLETED_WITH_ERRORS"
        assert shown["failed_object_count"] == 2
        assert await written(house) == shown["documents_written"] == 60 * 2 + 60 * 2
        audit = await house.call("GET", f"/v1/buckets/{house.bucket_id}/batches/{batch_id}/audit")
        assert audit["all_balanced"] is True
        assert [(tier["submitted"], tier["failed"]) for tier in audit["tiers"]] == [(62, 2), (120, 0)]
        [index] = await house.rows("SELECT table_name FROM vector_indexes")
        assert (await house.rows(f"SELECT count(*) AS n FROM {index['table_name']}"))[0]["n"] == 240
        assert len(await house.rows("SELECT 1 FROM events WHERE event_type = 'batch.completed'")) == 1
