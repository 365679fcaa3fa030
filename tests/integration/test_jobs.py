"""The queue and its workers over a real PostgreSQL, with workers killed in the middle."""

from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.jobs.worker import run_worker
from prismhouse.storage.postgres.database import Database

DEADLINE_SECONDS = 30.0


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def working(queue: ProcrastinateQueue, **options: Any) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(queue, stop=stop, **{"stalled_after_seconds": 1.0, **options}))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, DEADLINE_SECONDS)


async def enqueue(db: Database, queue: ProcrastinateQueue, name: str, *arguments: dict[str, Any]) -> None:
    async with db.write() as tx:
        await queue.enqueue(tx, name, arguments)


async def statuses(db: Database) -> list[str]:
    async with db.read() as tx:
        return [row["status"] for row in await tx.fetch_all("SELECT status FROM procrastinate_jobs ORDER BY id")]


async def test_jobs_run_when_their_transaction_commits(dsn: str, db: Database) -> None:
    queue = ProcrastinateQueue(dsn)
    seen: list[int] = []

    async def handler(number: int) -> None:
        seen.append(number)

    queue.register("count", handler)
    async with working(queue):
        with pytest.raises(RuntimeError):
            async with db.write() as tx:
                await queue.enqueue(tx, "count", [{"number": 9}])
                raise RuntimeError
        await enqueue(db, queue, "count", {"number": 1}, {"number": 2})
        await until(lambda: len(seen) == 2)

    assert sorted(seen) == [1, 2]
    assert await statuses(db) == []


async def test_a_failing_job_is_tried_again_and_then_its_owner_is_told(dsn: str, db: Database) -> None:
    queue = ProcrastinateQueue(dsn, max_attempts=2)
    calls: list[str] = []
    told: list[tuple[str, str]] = []

    async def handler(name: str) -> None:
        calls.append(name)
        raise ValueError(name)

    async def on_give_up(error: Exception, *, name: str) -> None:
        told.append((str(error), name))

    queue.register("fail", handler, on_give_up=on_give_up)
    async with working(queue):
        await enqueue(db, queue, "fail", {"name": "a"})
        await until(lambda: bool(told))

    assert calls == ["a", "a"]
    assert told == [("a", "a")]
    assert await statuses(db) == ["failed"]


async def test_an_unknown_job_waits_for_a_worker_that_knows_it(dsn: str, db: Database) -> None:
    old, new = ProcrastinateQueue(dsn), ProcrastinateQueue(dsn)
    seen: list[int] = []

    async def handler(number: int) -> None:
        seen.append(number)

    new.register("new", handler)
    async with working(old):
        await enqueue(db, new, "new", {"number": 1})

        async def failed() -> bool:
            return await statuses(db) == ["failed"]

        await until(failed)
    async with working(new):
        await until(lambda: seen == [1])


async def test_running_jobs_are_given_back_when_the_worker_stops_and_they_take_too_long(dsn: str, db: Database) -> None:
    queue = ProcrastinateQueue(dsn)
    running = asyncio.Event()

    async def handler() -> None:
        running.set()
        await asyncio.sleep(3600)

    queue.register("long", handler)
    async with working(queue, stop_timeout_seconds=0.2):
        await enqueue(db, queue, "long", {})
        await asyncio.wait_for(running.wait(), DEADLINE_SECONDS)

    assert await statuses(db) == ["todo"]


async def test_the_worker_goes_on_when_its_connections_are_killed(dsn: str, db: Database) -> None:
    queue = ProcrastinateQueue(dsn)
    seen: list[int] = []

    async def handler(number: int) -> None:
        seen.append(number)

    queue.register("count", handler)
    async with working(queue):
        await enqueue(db, queue, "count", {"number": 1})
        await until(lambda: seen == [1])
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'prismhouse-jobs'"
                " AND datname = current_database()"
            )
        await enqueue(db, queue, "count", {"number": 2})
        await until(lambda: seen == [1, 2])


async def test_a_job_is_taken_over_at_once_when_its_worker_is_killed(dsn: str, db: Database) -> None:
    program = textwrap.dedent(
        """
        import asyncio, sys
        from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
        from prismhouse.storage.jobs.worker import run_worker
        async def handler():
            print("running", flush=True)
            await asyncio.sleep(3600)
        queue = ProcrastinateQueue(sys.argv[1])
        queue.register("long", handler)
        asyncio.run(run_worker(queue, stop=asyncio.Event(), stalled_after_seconds=3600))
        """
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, dsn, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": "src"}
    )
    assert process.stdout is not None
    queue = ProcrastinateQueue(dsn)
    done = asyncio.Event()

    async def handler() -> None:
        done.set()

    queue.register("long", handler)
    try:
        await enqueue(db, queue, "long", {})
        assert await asyncio.wait_for(process.stdout.readline(), DEADLINE_SECONDS) == b"running\n"
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with working(queue, stalled_after_seconds=3600):
        await asyncio.wait_for(done.wait(), DEADLINE_SECONDS)


async def test_a_job_stays_with_its_worker_when_another_one_comes(dsn: str, db: Database) -> None:
    started: list[str] = []
    end = asyncio.Event()

    async def long() -> None:
        started.append("long")
        await end.wait()

    async def short() -> None:
        started.append("short")

    first, second = ProcrastinateQueue(dsn), ProcrastinateQueue(dsn)
    for queue in (first, second):
        queue.register("long", long)
    second.register("short", short)
    async with working(first, concurrency=1):
        await enqueue(db, first, "long", {})
        await until(lambda: started == ["long"])
        async with working(second):
            await enqueue(db, second, "short", {})
            await until(lambda: started == ["long", "short"])
            end.set()


async def test_a_job_runs_again_when_its_end_could_not_be_recorded(dsn: str, db: Database) -> None:
    queue = ProcrastinateQueue(dsn)
    ran: list[int] = []

    async def handler() -> None:
        ran.append(1)

    queue.register("once more", handler)
    async with db.write() as tx:
        await tx.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$"
        )
        await tx.execute(
            "CREATE TRIGGER refuse BEFORE DELETE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    async with working(queue, stalled_after_seconds=3600):
        await enqueue(db, queue, "once more", {})
        await until(lambda: len(ran) >= 2)
        async with db.write() as tx:
            await tx.execute("DROP TRIGGER refuse ON procrastinate_jobs")

        async def gone() -> bool:
            return not await statuses(db)

        await until(gone)


async def test_a_periodic_job_runs_once_when_two_workers_know_it(dsn: str, db: Database) -> None:
    ran: list[str] = []

    async def tick() -> None:
        ran.append("tick")

    queues = [ProcrastinateQueue(dsn), ProcrastinateQueue(dsn)]
    for queue in queues:
        queue.register("tick", tick, cron="* * * * *")
    async with working(queues[0]), working(queues[1]):
        await until(lambda: bool(ran))
    async with db.read() as tx:
        [row] = await tx.fetch_all("SELECT count(*) AS n FROM procrastinate_periodic_defers WHERE task_name = 'tick'")

    assert row["n"] == 1
    assert len(ran) <= 2, "more than one in the minute, or two when it turned"
