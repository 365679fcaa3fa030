"""Jobs by turns between namespaces, and lanes that do not wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.jobs.worker import run_worker
from prismhouse.storage.postgres.database import Database

DEADLINE_SECONDS = 30.0


class Began:
    """What began, in order; who waits for more of it is woken."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.go_on = asyncio.Event()
        self._more = asyncio.Condition()

    async def __call__(self, *, name: str, namespace_id: str = "") -> None:
        async with self._more:
            self.names.append(name)
            self._more.notify_all()
        await self.go_on.wait()

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.names) >= count)


@asynccontextmanager
async def working(queue: ProcrastinateQueue, *, concurrency: int) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(queue, stop=stop, concurrency=concurrency, stalled_after_seconds=15))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, DEADLINE_SECONDS)


async def add(db: Database, queue: ProcrastinateQueue, share: str, *names: str, priority: int = 0) -> None:
    async with db.write() as tx:
        jobs = [{"name": name, "namespace_id": share} for name in names]
        await queue.enqueue(tx, "rows", jobs, priority=priority)


async def test_a_small_namespace_is_next_when_a_large_one_has_filled_the_queue(dsn: str, db: Database) -> None:
    queue, began = ProcrastinateQueue(dsn), Began()
    queue.register("rows", began, lane="rows")
    await add(db, queue, "large", *(f"large{number}" for number in range(50)))
    async with working(queue, concurrency=2):
        await began.reach(2)
        # It fills all slots but the one that is kept for others.
        await add(db, queue, "small", "small0", "small1")
        await began.reach(3)
        assert began.names == ["large0", "large1", "small0"]
        began.go_on.set()
        await began.reach(52)

    assert began.names.index("small1") < 12


async def test_namespaces_alternate_when_a_worker_runs_one_job_at_a_time(dsn: str, db: Database) -> None:
    queue, began = ProcrastinateQueue(dsn), Began()
    queue.register("rows", began)
    began.go_on.set()
    await add(db, queue, "a", *(f"a{number}" for number in range(6)))
    await add(db, queue, "b", *(f"b{number}" for number in range(3)))
    await add(db, queue, "a", "urgent", priority=5)
    async with working(queue, concurrency=1):
        await began.reach(10)

    assert began.names[:7] == ["urgent", "b0", "a0", "b1", "a1", "b2", "a2"]


async def test_a_short_job_does_not_wait_when_long_ones_fill_their_lane(dsn: str, db: Database) -> None:
    queue, long, short = ProcrastinateQueue(dsn), Began(), Began()
    queue.register("rows", long, lane="rows")
    queue.register("quick", short, lane="quick")
    short.go_on.set()
    for share in ("a", "b", "c"):
        await add(db, queue, share, *(f"{share}{number}" for number in range(5)))
    async with working(queue, concurrency=2):
        await long.reach(3)
        async with db.write() as tx:
            await queue.enqueue(tx, "quick", [{"name": "short"}])
        await short.reach(1)
        assert len(long.names) == 3
        long.go_on.set()
        await long.reach(15)


async def test_a_slot_is_filled_at_once_when_a_job_ends_without_news(dsn: str, db: Database) -> None:
    queue, began = ProcrastinateQueue(dsn), Began()
    queue.register("rows", began, lane="rows")
    began.go_on.set()
    await add(db, queue, "a", *(f"a{number}" for number in range(40)))
    started = asyncio.get_running_loop().time()
    async with working(queue, concurrency=1):
        await began.reach(40)

    # One look a second would take forty.
    assert asyncio.get_running_loop().time() - started < 20
