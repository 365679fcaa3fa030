"""The worker's loop: runs jobs until it is told to stop, and outlives the database's restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import structlog

from prismhouse.storage.jobs.lanes import lane_workers, slots_of
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue

__all__ = ["run_worker"]

_POLL_SECONDS = 1.0
_RESCUE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 5.0
_KEEP_FAILED_DAYS = 14

# A worker holds a lock on its id while it lives: PostgreSQL drops it the moment the process is gone.
_LOCKS = 0x70726973
_LIVE = "SELECT pg_advisory_lock(%(locks)s, %(worker)s)"
# A job stays `doing` under the worker that took it; one whose worker is gone or silent is given back.
_RESCUE = """
WITH silent AS (
  DELETE FROM procrastinate_workers WHERE last_heartbeat < now() - make_interval(secs => %(seconds)s) RETURNING id
), stalled AS (
  SELECT id FROM procrastinate_jobs jobs
  WHERE status = 'doing' AND (worker_id IS NULL OR worker_id IN (SELECT id FROM silent) OR NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint = %(locks)s AND objid::bigint = jobs.worker_id AND objsubid = 2 AND granted))
  FOR UPDATE SKIP LOCKED
)
SELECT count(*), count(procrastinate_retry_job_v2(stalled.id, now(), NULL, NULL, NULL)::text) FROM stalled
"""
# A job that met a worker too old to know its name has failed once; a worker that knows it takes it up.
_REVIVE = """
SELECT count(procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL)::text) FROM procrastinate_jobs
WHERE status = 'failed' AND attempts < %(max_attempts)s AND task_name = ANY(%(names)s)
"""
_FORGET = """
DELETE FROM procrastinate_jobs jobs WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted')
AND NOT EXISTS (
  SELECT 1 FROM procrastinate_events events
  WHERE events.job_id = jobs.id AND events.at > now() - make_interval(days => %(days)s)
)
"""

_log = structlog.get_logger(__name__)


async def run_worker(
    queue: ProcrastinateQueue,
    *,
    stop: asyncio.Event,
    concurrency: int = 4,
    stalled_after_seconds: float = 15,
    stop_timeout_seconds: float = 15,
) -> None:
    """Run jobs, `concurrency` at a time in each lane, until `stop` is set.

    On stop, running jobs get `stop_timeout_seconds` to finish; what still runs then is cancelled and given back.
    A lost database ends one round, and the next begins when it answers again: this returns only on `stop`.
    """
    pause = 0.1
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        try:
            await _round(
                queue,
                stop=stop,
                concurrency=concurrency,
                stalled_after_seconds=stalled_after_seconds,
                stop_timeout_seconds=stop_timeout_seconds,
            )
        except Exception:  # noqa: BLE001 - recorded, and tried again
            _log.exception("worker's round ended, the next one begins", pause_seconds=pause)
        if asyncio.get_running_loop().time() - started > _LONGEST_PAUSE_SECONDS:
            pause = 0.1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def _round(
    queue: ProcrastinateQueue,
    *,
    stop: asyncio.Event,
    concurrency: int,
    stalled_after_seconds: float,
    stop_timeout_seconds: float,
) -> None:
    async with await psycopg.AsyncConnection.connect(queue.dsn, autocommit=True, connect_timeout=10) as life:
        await life.execute("SET statement_timeout = '30s'")

        app, broken = queue.app(), asyncio.Event()
        _watch(app.job_manager, life, broken)
        async with app.open_async():
            await _rescue(life, stalled_after_seconds)
            await _tidy(life, queue)
            workers = [
                asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
                for worker in lane_workers(
                    app,
                    queue,
                    slots_of(concurrency),
                    fetch_job_polling_interval=_POLL_SECONDS,
                    shutdown_graceful_timeout=stop_timeout_seconds,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                    update_heartbeat_interval=stalled_after_seconds / 3,
                    stalled_worker_timeout=stalled_after_seconds,
                )
            ]
            side = [
                asyncio.create_task(stop.wait()),
                asyncio.create_task(broken.wait()),
                asyncio.create_task(_repeat(_RESCUE_SECONDS, lambda: _rescue(life, stalled_after_seconds))),
                asyncio.create_task(_repeat(stalled_after_seconds / 2, lambda: _tidy(life, queue))),
            ]
            try:
                await asyncio.wait([*workers, *side], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(*workers, *side)


def _watch(manager: Any, life: psycopg.AsyncConnection[Any], broken: asyncio.Event) -> None:
    """Lock the worker's id before it takes a job, and end the round when the end of a job cannot be recorded.

    Such a job would stay `doing` under a worker that lives, and nobody would ever take it over.
    """
    register = manager.register_worker

    async def registered() -> int:
        worker_id: int = await register()
        await life.execute(_LIVE, {"locks": _LOCKS, "worker": worker_id})
        return worker_id

    def watched(record: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def recorded(**arguments: Any) -> None:
            try:
                await record(**arguments)
            except Exception:
                broken.set()
                raise

        return recorded

    manager.register_worker = registered
    manager.finish_job, manager.retry_job = watched(manager.finish_job), watched(manager.retry_job)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _repeat(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    """Act again and again; what it raises ends the round, as a lost connection must, since the lock went with it."""
    while True:
        await asyncio.sleep(seconds)
        await act()


async def _rescue(life: psycopg.AsyncConnection[Any], stalled_after_seconds: float) -> None:
    """Give back the jobs of workers that are gone or silent."""
    cursor = await life.execute(_RESCUE, {"seconds": stalled_after_seconds, "locks": _LOCKS})
    row = await cursor.fetchone()
    if row is not None and row[0]:
        _log.warning("jobs of dead or silent workers were given back", jobs=row[0])


async def _tidy(life: psycopg.AsyncConnection[Any], queue: ProcrastinateQueue) -> None:
    """Take up the jobs that nobody knew, delete those that ended long ago."""
    await life.execute(_REVIVE, {"max_attempts": queue.max_attempts, "names": queue.names})
    await life.execute(_FORGET, {"days": _KEEP_FAILED_DAYS})
