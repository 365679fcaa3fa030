"""Jobs are rows in the same database, enqueued in the caller's transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from prismhouse.storage.postgres.database import Reader, Writer

__all__ = ["GiveUpHandler", "JobHandler", "JobQueue", "Lane", "QueuedJob"]

JobHandler = Callable[..., Awaitable[None]]
GiveUpHandler = Callable[..., Awaitable[None]]
# Jobs of one lane wait for each other, never for those of another: short ones are not held up by long ones.
Lane = Literal["usual", "quick", "rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A job that waits, or that a worker has begun."""

    job_id: int
    name: str
    arguments: Mapping[str, Any]
    running: bool


class JobQueue(Protocol):
    """Enqueue now, run when the transaction has committed; a job whose worker died is run again.

    Jobs with a `namespace_id` among their arguments share the workers fairly: the namespace with the fewest running
    jobs is next, then the one that waited longest since its last; within it the highest priority, then the oldest.
    """

    def register(
        self,
        name: str,
        handler: JobHandler,
        *,
        on_give_up: GiveUpHandler | None = None,
        cron: str | None = None,
        lane: Lane = "usual",
    ) -> None:
        """Name the coroutine function that runs jobs called `name`; called once, at wiring.

        `on_give_up(error, **arguments)` is awaited when the last attempt failed too: it marks the resource as
        failed, so that nobody waits for ever. With `cron` (five fields, UTC) the job is also enqueued by itself,
        without arguments, once for all workers, and never beside one that waits or runs.
        """
        ...

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
        """Add one job per entry of `arguments` (JSON values), in the transaction of `tx`."""
        ...

    async def find(self, tx: Reader, names: Sequence[str], holding: Mapping[str, Any]) -> list[QueuedJob]:
        """Return the jobs of these names, oldest first, that have not ended and whose arguments hold `holding`."""
        ...

    async def withdraw(self, tx: Writer, job_ids: Sequence[int]) -> set[int]:
        """Take back, in the transaction of `tx`, those of the jobs that no worker has begun; return which."""
        ...
