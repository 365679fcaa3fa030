"""Which job a worker takes next: lanes keep short jobs from waiting for long ones, turns keep namespaces fair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.jobs.queue import Lane

if TYPE_CHECKING:
    from procrastinate import App
    from procrastinate.jobs import Job
    from procrastinate.worker import Worker

__all__ = ["LANES", "lane_workers", "slots_of"]

LANES: tuple[Lane, ...] = ("usual", "quick", "rows")
_QUICK_SLOTS = 2
# One namespace fills all slots of a lane but one, so that whoever comes next finds a free one.
_SPARE = 1

# The usual lane takes what is not in `names`, also jobs that this process does not know: they fail once, and a process
# that knows them revives them.
_FETCH = """
WITH busy AS (
  SELECT coalesce(args ->> 'namespace_id', '') AS share,
    count(*) AS running, count(*) FILTER (WHERE worker_id = %(worker_id)s) AS here
  FROM procrastinate_jobs WHERE status = 'doing' AND (task_name = ANY(%(names)s)) <> %(usual)s GROUP BY 1
), candidate AS (
  SELECT jobs.id FROM procrastinate_jobs AS jobs
    LEFT JOIN busy ON busy.share = coalesce(jobs.args ->> 'namespace_id', '')
    LEFT JOIN job_turns AS turns ON turns.share = coalesce(jobs.args ->> 'namespace_id', '')
  WHERE jobs.status = 'todo' AND (jobs.scheduled_at IS NULL OR jobs.scheduled_at <= now())
    AND (jobs.task_name = ANY(%(names)s)) <> %(usual)s AND coalesce(busy.here, 0) < %(most)s
    AND (jobs.lock IS NULL OR NOT EXISTS (
      SELECT 1 FROM procrastinate_jobs AS others WHERE others.lock = jobs.lock AND (others.status = 'doing'
        OR (others.status = 'todo' AND (others.priority > jobs.priority
          OR (others.priority = jobs.priority AND others.id < jobs.id))))))
  ORDER BY coalesce(busy.running, 0), coalesce(turns.turn, 0), jobs.priority DESC, jobs.id
  LIMIT 1 FOR UPDATE OF jobs SKIP LOCKED
), taken AS (
  UPDATE procrastinate_jobs SET status = 'doing', worker_id = %(worker_id)s
  FROM candidate WHERE procrastinate_jobs.id = candidate.id RETURNING procrastinate_jobs.*
), served AS (
  INSERT INTO job_turns SELECT coalesce(args ->> 'namespace_id', ''), nextval('job_turn') FROM taken
  ON CONFLICT (share) DO UPDATE SET turn = excluded.turn
)
SELECT id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
FROM taken
"""


def slots_of(concurrency: int) -> dict[Lane, int]:
    """Return how many jobs of each lane a worker runs at once."""
    return {"usual": concurrency, "quick": _QUICK_SLOTS, "rows": concurrency + _SPARE}


def lane_workers(app: App, queue: ProcrastinateQueue, slots: Mapping[Lane, int], **options: Any) -> list[Worker]:
    """Return a worker of the app for each lane; all of them take jobs by turns."""
    from procrastinate.worker import Worker as Base

    elsewhere = [name for lane in LANES if lane != "usual" for name in queue.in_lane(lane)]
    workers = {lane: Base(app=app, name=lane, concurrency=slots[lane], **options) for lane in LANES}
    manager: Any = app.job_manager
    finish, retry = manager.finish_job, manager.retry_job

    def wake(job: Job) -> None:
        # A namespace's share of the slots is free again: who found nothing to run within it looks once more.
        for worker in workers.values():
            if worker.worker_id == job.worker_id:
                worker._new_job_event.set()  # noqa: SLF001 - what a notification does

    async def finished(*, job: Job, **arguments: Any) -> None:
        await finish(job=job, **arguments)
        wake(job)

    async def retried(*, job: Job, **arguments: Any) -> None:
        await retry(job=job, **arguments)
        wake(job)

    async def fetch(*, worker_id: int, **_: Any) -> Job | None:
        lane = next(name for name, worker in workers.items() if worker.worker_id == worker_id)
        return await _fetch(
            app,
            worker_id=worker_id,
            usual=lane == "usual",
            names=elsewhere if lane == "usual" else queue.in_lane(lane),
            most=max(1, slots[lane] - _SPARE),
        )

    manager.finish_job, manager.retry_job, manager.fetch_job = finished, retried, fetch
    return list(workers.values())


async def _fetch(app: App, **parameters: Any) -> Job | None:
    from procrastinate.jobs import Job

    rows = await app.connector.execute_query_all_async(query=_FETCH, **parameters)
    return Job.from_row(rows[0]) if rows else None
