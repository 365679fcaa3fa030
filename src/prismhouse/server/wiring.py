"""The composition root: the only place that chooses adapters and joins the parts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prismhouse.settings import Settings
from prismhouse.storage.postgres.database import Database

__all__ = ["House", "build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything a process works with. `open` before use, `close` after."""

    settings: Settings
    dsn: str
    db: Database

    async def open(self) -> None:
        """Connect to the database; raise DatabaseUnavailable."""
        await self.db.open()

    async def run_jobs(self, stop: asyncio.Event) -> None:
        """Run queued jobs until `stop` is set, then finish or give back what runs."""
        await stop.wait()

    async def close(self) -> None:
        """Give back connections and stop helper processes."""
        await self.db.close()


def build(settings: Settings, dsn: str) -> House:
    """Return the house for one process on the database at `dsn`; nothing is connected or loaded yet."""
    database = settings.database
    db = Database(
        dsn,
        pool_size=database.pool_size,
        connect_timeout_seconds=database.connect_timeout_seconds,
        statement_timeout_seconds=database.statement_timeout_seconds,
    )
    return House(settings=settings, dsn=dsn, db=db)
