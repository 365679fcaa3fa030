"""The worker's loop: runs jobs until it is told to stop, and outlives the database's restarts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psycopg
import structlog

from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue

__all__ = ["run_worker"]

_POLL_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 5.0
_KEEP_FAILED_DAYS = 14

# A job stays `doing` under the worker that took it; one whose worker is gone or silent is given back.
_RESCUE = """
WITH silent AS (
  DELETE FROM procrastinate_workers WHERE last_heartbeat < now() - make_interval(secs => %(seconds)s) RETURNING id
), stalled AS (
  SELECT id FROM procrastinate_jobs
  WHERE status = 'doing' AND (worker_id IS NULL OR worker_id IN (SELECT id FROM silent))
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
    """Run jobs, `concurrency` at a time, until `stop` is set.

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
    app = queue.app()
    async with app.open_async():
        await _maintain(queue, stalled_after_seconds)
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                shutdown_graceful_timeout=stop_timeout_seconds,
                delete_jobs="successful",
                install_signal_handlers=False,
                update_heartbeat_interval=stalled_after_seconds / 3,
                stalled_worker_timeout=stalled_after_seconds,
            )
        )
        side = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(_maintain_for_ever(queue, stalled_after_seconds)),
        ]
        try:
            await asyncio.wait([worker, *side], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(worker, *side)


async def _end(worker: asyncio.Task[None], *side: asyncio.Task[object]) -> None:
    for task in (worker, *side):
        task.cancel()
    outcomes = await asyncio.gather(worker, *side, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _maintain_for_ever(queue: ProcrastinateQueue, stalled_after_seconds: float) -> None:
    while True:
        await asyncio.sleep(stalled_after_seconds / 2)
        await _maintain(queue, stalled_after_seconds)


async def _maintain(queue: ProcrastinateQueue, stalled_after_seconds: float) -> None:
    """Give back the jobs of dead workers, take up those nobody knew, delete those that ended long ago."""
    async with await psycopg.AsyncConnection.connect(queue.dsn, autocommit=True, connect_timeout=10) as connection:
        await connection.execute("SET statement_timeout = '30s'")
        cursor = await connection.execute(_RESCUE, {"seconds": stalled_after_seconds})
        row = await cursor.fetchone()
        if row is not None and row[0]:
            _log.warning("jobs of silent workers were given back", jobs=row[0])
        await connection.execute(_REVIVE, {"max_attempts": queue.max_attempts, "names": queue.names})
        await connection.execute(_FORGET, {"days": _KEEP_FAILED_DAYS})
