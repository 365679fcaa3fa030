"""The record of runs, kept off the path of the runs themselves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import psycopg
import structlog

from prismhouse.api.retrievers import store
from prismhouse.storage.postgres.database import Database, DatabaseUnavailable

__all__ = ["ExecutionLog"]

_DELAY_SECONDS = 0.2
_MOST_WAITING = 10_000
_log = structlog.get_logger(__name__)


class ExecutionLog:
    """Stores rows in groups, a moment after they happened.

    A run waits for nothing. Rows that cannot be stored stay and are tried again; past 10,000 the oldest are
    dropped and their number is logged. A killed process loses at most the last 0.2 s; `close` loses nothing.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[dict[str, Any]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, row: dict[str, Any]) -> None:
        """Remember a finished run."""
        self._waiting.append(row)
        if len(self._waiting) > _MOST_WAITING:
            surplus = len(self._waiting) - _MOST_WAITING
            del self._waiting[:surplus]
            _log.error("execution records dropped", count=surplus)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later())

    async def flush(self) -> None:
        """Store what waits; raise when the database does not answer."""
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        try:
            async with self._db.write() as tx:
                await store.record_executions(tx, rows)
        except BaseException:
            self._waiting = [*rows, *self._waiting]
            raise

    async def close(self) -> None:
        """Stop waiting and store the rest."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def _later(self) -> None:
        while self._waiting:
            await asyncio.sleep(_DELAY_SECONDS)
            try:
                await self.flush()
            except (psycopg.Error, DatabaseUnavailable) as error:
                _log.warning("execution records wait for the database", count=len(self._waiting), exc_info=error)
