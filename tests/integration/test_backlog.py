"""What /metrics reads in the database, and what it shows without one."""

from __future__ import annotations

import asyncio

from tests.web import add_tenant

from prismhouse.server.metrics import Scrape
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.jobs.worker import run_worker
from prismhouse.storage.postgres.backlog import take_backlog
from prismhouse.storage.postgres.database import Database


async def test_jobs_are_counted_by_name_and_state(dsn: str, db: Database) -> None:
    queue = ProcrastinateQueue(dsn)
    began, go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        await go.wait()

    queue.register("slow", slow)
    async with db.write() as tx:
        await queue.enqueue(tx, "slow", [{}])
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(queue, stop=stop, concurrency=1, stop_timeout_seconds=5))
    async with asyncio.timeout(30):
        await began.wait()
    async with db.write() as tx:
        await queue.enqueue(tx, "slow", [{}, {}])
        await queue.enqueue(tx, "slow", [{}], delay_seconds=3600)
        await tx.execute("UPDATE procrastinate_events SET at = at - interval '90 s' WHERE type = 'deferred'")

    backlog = await take_backlog(db)

    go.set()
    stop.set()
    await worker
    assert backlog.jobs == {("slow", "running"): 1, ("slow", "waiting"): 2, ("slow", "scheduled"): 1}
    assert 90 <= backlog.oldest_seconds["slow"] < 150
    assert backlog.workers >= 1
    assert backlog.batches == {}
    assert backlog.deliveries == 0


async def test_the_look_is_quick_when_the_queue_is_long(dsn: str, db: Database) -> None:
    await add_tenant(db, "one")
    queue = ProcrastinateQueue(dsn)
    async with db.write() as tx:
        await queue.enqueue(tx, "long", [{"number": number} for number in range(5000)])

    async with asyncio.timeout(2):
        backlog = await take_backlog(db)

    assert backlog.jobs == {("long", "waiting"): 5000}


async def test_a_scrape_answers_when_the_database_does_not() -> None:
    gone = Database("host=127.0.0.1 port=1 user=x dbname=x", connect_timeout_seconds=0.5)

    page = (await Scrape(gone).page()).decode()

    assert "prismhouse_database_up 0.0" in page
    assert "prismhouse_jobs" not in page


async def test_many_scrapes_ask_the_database_once(db: Database) -> None:
    scrape = Scrape(db)

    pages = await asyncio.gather(*(scrape.page() for _ in range(20)))

    assert all(b"prismhouse_database_up 1.0" in page for page in pages)
    async with db.read() as tx:
        backends = await tx.fetch_value(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'prismhouse'"
        )
    assert backends <= 3
