"""The job queue over Procrastinate's tables: enqueued with our connection, run by its worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from psycopg.types.json import Jsonb

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.jobs.observed import carrying, observed
from prismhouse.storage.jobs.queue import GiveUpHandler, JobHandler, Lane, QueuedJob
from prismhouse.storage.postgres.database import DatabaseUnavailable, Reader, Writer

if TYPE_CHECKING:
    from procrastinate import App
    from procrastinate.job_context import JobContext
    from procrastinate.jobs import Job

__all__ = ["JobAbandoned", "ProcrastinateQueue"]

_QUEUE = "prismhouse"
_LONGEST_BACKOFF_SECONDS = 60
_PATIENCE = 3
_ENQUEUE = """
SELECT procrastinate_defer_jobs_v1(array_agg(
  ROW(%(queue)s, %(name)s, %(priority)s, %(lock)s, NULL, arguments, %(scheduled_at)s)::procrastinate_job_to_defer_v1
  ORDER BY ordinal))
FROM unnest(%(arguments)b::jsonb[]) WITH ORDINALITY AS jobs (arguments, ordinal)
"""
_FIND = """
SELECT id AS job_id, task_name AS name, args AS arguments, status = 'doing' AS running FROM procrastinate_jobs
WHERE queue_name = %(queue)s AND task_name = ANY(%(names)b) AND status IN ('todo', 'doing') AND args @> %(holding)s
ORDER BY id
"""
_WITHDRAW = """
SELECT procrastinate_cancel_job_v1(id, false, true) AS job_id FROM unnest(%(job_ids)b::bigint[]) AS id ORDER BY id
"""

_log = structlog.get_logger(__name__)


class JobAbandoned(WarehouseError):
    """The job {name} was started {attempts} times and its worker died each time."""

    code = Code.INTERNAL
    hint = "Look for out-of-memory kills in the system's log, then try again."


class _GaveUp(Exception):
    """The last attempt failed, and the job's owner was told."""


@dataclass(frozen=True, slots=True)
class _Registered:
    handler: JobHandler
    on_give_up: GiveUpHandler | None
    cron: str | None
    lane: Lane


class ProcrastinateQueue:
    """Implements `JobQueue`; `app()` is what a worker runs.

    Args:
        dsn: the database; workers connect to it directly, since LISTEN does not pass a transaction pooler.
        max_attempts: starts of a job before its owner is told that it failed. Attempts that met an unreachable
            database or lost their worker have three times the patience.
    """

    def __init__(self, dsn: str, *, max_attempts: int = 5) -> None:
        self.dsn = dsn
        self.max_attempts = max_attempts
        self._registered: dict[str, _Registered] = {}

    @property
    def names(self) -> list[str]:
        """What this process can run."""
        return sorted(self._registered)

    def in_lane(self, lane: Lane) -> list[str]:
        """What this process can run in a lane."""
        return sorted(name for name, registered in self._registered.items() if registered.lane == lane)

    def register(
        self,
        name: str,
        handler: JobHandler,
        *,
        on_give_up: GiveUpHandler | None = None,
        cron: str | None = None,
        lane: Lane = "usual",
    ) -> None:
        """See `JobQueue.register`."""
        if name in self._registered:
            raise ValueError(f"the job {name} is registered already")
        self._registered[name] = _Registered(handler, on_give_up, cron, lane)

    async def enqueue(
        self,
        tx: Writer,
        name: str,
        arguments: Sequence[Mapping[str, Any]],
        *,
        priority: int = 0,
        lock: str | None = None,
        delay_seconds: float = 0,
    ) -> None:
        """See `JobQueue.enqueue`. The insert also notifies idle workers, when the transaction commits."""
        if not arguments:
            return
        await tx.execute(
            _ENQUEUE,
            {
                "queue": _QUEUE,
                "name": name,
                "priority": priority,
                "lock": lock,
                "arguments": [Jsonb(carrying(entry)) for entry in arguments],
                "scheduled_at": datetime.now(UTC) + timedelta(seconds=delay_seconds) if delay_seconds else None,
            },
        )

    async def find(self, tx: Reader, names: Sequence[str], holding: Mapping[str, Any]) -> list[QueuedJob]:
        """See `JobQueue.find`."""
        parameters = {"queue": _QUEUE, "names": list(names), "holding": Jsonb(dict(holding))}
        return [QueuedJob(**row) for row in await tx.fetch_all(_FIND, parameters)]

    async def withdraw(self, tx: Writer, job_ids: Sequence[int]) -> set[int]:
        """See `JobQueue.withdraw`."""
        if not job_ids:
            return set()
        rows = await tx.fetch_all(_WITHDRAW, {"job_ids": list(job_ids)})
        return {row["job_id"] for row in rows if row["job_id"] is not None}

    def app(self) -> App:
        """Return a Procrastinate app with a task for each registered job, for one run of a worker."""
        from procrastinate import App, PsycopgConnector

        app = App(
            connector=PsycopgConnector(
                conninfo=self.dsn,
                min_size=1,
                max_size=6,
                timeout=10,
                kwargs={"application_name": "prismhouse-jobs"},
            )
        )
        for name, registered in self._registered.items():
            task = app.task(name=name, pass_context=True, queue=_QUEUE, retry=_retry_strategy())(
                observed(name, self._guarded(name, registered), last=_GaveUp)
            )
            if registered.cron is not None:
                app.periodic(cron=registered.cron, lock=name, queueing_lock=name)(task)
        return app

    def _guarded(self, name: str, registered: _Registered) -> JobHandler:
        async def run(context: JobContext, **arguments: Any) -> None:
            if registered.cron is not None:
                arguments.pop("timestamp", None)
            attempt = context.job.attempts + 1
            try:
                if attempt > self.max_attempts * _PATIENCE:
                    raise JobAbandoned(name=name, attempts=context.job.attempts)  # noqa: TRY301 - one path for giving up
                await registered.handler(**arguments)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                if attempt < self.max_attempts:
                    _log.warning("job failed, will be tried again", job=name, attempt=attempt, exc_info=error)
                    raise
                _log.exception("job failed for the last time", job=name, attempt=attempt)
                if registered.on_give_up is not None:
                    await registered.on_give_up(error, **arguments)
                raise _GaveUp from error

        return run


def _retry_strategy() -> Any:
    from procrastinate.retry import BaseRetryStrategy, RetryDecision

    class Backoff(BaseRetryStrategy):
        def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
            if isinstance(exception, _GaveUp):
                return None
            if not isinstance(exception, Exception):  # cancelled by a worker that stops: give it back at once
                return RetryDecision(retry_in={"seconds": 0})
            return RetryDecision(retry_in={"seconds": min(2 ** min(job.attempts, 10), _LONGEST_BACKOFF_SECONDS)})

    return Backoff()
