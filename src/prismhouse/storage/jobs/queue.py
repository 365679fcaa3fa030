"""Jobs are rows in the same database, enqueued in the caller's transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from prismhouse.storage.postgres.database import Writer

__all__ = ["JobHandler", "JobQueue"]

JobHandler = Callable[..., Awaitable[None]]


class JobQueue(Protocol):
    """Enqueue now, run when the transaction has committed; a job whose worker died is run again."""

    def register(self, name: str, handler: JobHandler) -> None:
        """Name the coroutine function that runs jobs called `name`; called once, at wiring."""
        ...

    async def enqueue(
        self,
        tx: Writer,
        name: str,
        arguments: Sequence[Mapping[str, Any]],
        *,
        priority: int = 0,
        lock: str | None = None,
    ) -> None:
        """Add one job per entry of `arguments` (JSON values), in the transaction of `tx`."""
        ...
