"""A worker that is killed at any point of a batch: another one finishes it, and every document stands once."""

from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
from pathlib import Path

from tests.batches import NAMESPACE, House, open_house

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


PICTURES = ("a cat", "a dog", "a cow")
DIES_AFTER_STORING = """
import os, signal
from prismhouse.storage.blobs.local import LocalBlobStore

put = LocalBlobStore.put_all

async def put_and_die(*arguments):
    await put(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

LocalBlobStore.put_all = put_and_die
"""


async def start_worker(dsn: str, folder: Path, program: str = WORKER) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, dsn, str(folder), env={"PYTHONPATH": "src:."}
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


async def stored(house: House, folder: Path) -> set[str]:
    """Return what the files of the blob store hold; three pictures are expected, and nothing else."""
    files = [path for path in (folder / "blobs").rglob("*") if path.is_file()]
    return {text for path in files if (text := path.read_text()).startswith("picture of ")}


async def killed_after_storing(house: House, dsn: str, folder: Path) -> str:
    """Submit a batch whose worker dies between the storage of its files and the commit of their documents."""
    await house.add_bucket()
    await house.add_collection("first")
    batch_id = await house.submit(await house.add_objects(*(f"picture of {name}" for name in PICTURES)))
    worker = await start_worker(dsn, folder, DIES_AFTER_STORING + WORKER)
    async with asyncio.timeout(60):
        assert await worker.wait() == -signal.SIGKILL
    assert await stored(house, folder) == {f"picture of {name}" for name in PICTURES}
    assert await written(house) == 0
    return batch_id


async def test_files_are_named_by_documents_when_another_worker_goes_on_after_their_storage(
    dsn: str, db: Database, tmp_path: Path
) -> None:
    async with open_house(dsn, db, tmp_path) as house:
        batch_id = await killed_after_storing(house, dsn, tmp_path)
        async with house.working():
            assert (await house.ended(batch_id))["status"] == "COMPLETED"
        assert await house.rows("SELECT 1 FROM blob_garbage") == []
        await house.objects.sweep(NAMESPACE)

        assert await written(house) == len(PICTURES)
        assert await stored(house, tmp_path) == {f"picture of {name}" for name in PICTURES}


async def test_files_are_swept_when_nobody_goes_on_after_their_storage(dsn: str, db: Database, tmp_path: Path) -> None:
    async with open_house(dsn, db, tmp_path) as house:
        batch_id = await killed_after_storing(house, dsn, tmp_path)
        await house.call("POST", f"/v1/buckets/{house.bucket_id}/batches/{batch_id}/cancel")
        assert await house.objects.sweep() == 0  # somebody may be about to commit

        async with house.db.write() as tx:
            await tx.execute("UPDATE blob_garbage SET created_at = created_at - interval '1 hour'")

        assert await house.objects.sweep() == len(PICTURES)
        assert await stored(house, tmp_path) == set()
