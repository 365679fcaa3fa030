"""A worker process of its own, over the house of tests/batches.py."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path

_WORKER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from prismhouse.settings import WorkerSettings
    from prismhouse.storage.jobs.worker import run_worker
    from prismhouse.storage.postgres.database import Database
    from tests.batches import open_house

    async def main():
        db = Database(sys.argv[1], pool_size=8)
        await db.open()
        worker = WorkerSettings.model_validate_json(sys.argv[3])
        async with open_house(sys.argv[1], db, Path(sys.argv[2]), tenant=False, worker=worker) as house:
            await run_worker(house.queue, stop=asyncio.Event(), concurrency=3, stalled_after_seconds=5)

    asyncio.run(main())
    """
)
_SMALL = '{"chunk_rows": 10, "max_attempts": 2, "retry_seconds": 0.05}'


async def start_worker(dsn: str, folder: Path, settings: str = _SMALL) -> asyncio.subprocess.Process:
    """Start it; `settings` are WorkerSettings as JSON."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WORKER, dsn, str(folder), settings, env={"PYTHONPATH": "src:."}
    )
