"""The composition root: the only place that chooses adapters and joins the parts."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.settings import Settings
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.postgres.database import Database

__all__ = ["AdapterNotBuilt", "House", "build"]


class AdapterNotBuilt(WarehouseError):
    """{variable} asks for {wanted}, which is not built yet."""

    code = Code.NOT_IMPLEMENTED
    hint = "Accepted now: {accepted}."


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything a process works with. `open` before use, `close` after."""

    settings: Settings
    dsn: str
    db: Database
    blobs: BlobStore
    compute: Compute
    jobs: ProcrastinateQueue

    async def open(self) -> None:
        """Connect to the database; raise DatabaseUnavailable."""
        await self.db.open()

    async def run_jobs(self, stop: asyncio.Event) -> None:
        """Run queued jobs until `stop` is set, then finish or give back what runs."""
        from prismhouse.storage.jobs.worker import run_worker

        worker = self.settings.worker
        await run_worker(
            self.jobs,
            stop=stop,
            concurrency=worker.concurrency,
            stalled_after_seconds=worker.stalled_after_seconds,
            stop_timeout_seconds=self.settings.server.shutdown_timeout_seconds,
        )

    async def close(self) -> None:
        """Give back connections and stop helper processes."""
        await self.compute.close()
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
    return House(
        settings=settings,
        dsn=dsn,
        db=db,
        blobs=_blobs(settings),
        compute=_compute(settings),
        jobs=ProcrastinateQueue(dsn),
    )


def check_adapters(settings: Settings) -> None:
    """Raise AdapterNotBuilt for a choice this version does not have, before anything starts."""
    _blob_folder(settings)
    if settings.compute.kind != "local":
        raise AdapterNotBuilt(
            variable="PRISMHOUSE_COMPUTE__KIND", wanted=f"`{settings.compute.kind}`", accepted="`local`"
        )


def _blobs(settings: Settings) -> BlobStore:
    return LocalBlobStore(_blob_folder(settings))


def _blob_folder(settings: Settings) -> Path:
    url = settings.blobs.url
    if url is None:
        return settings.data_dir / "blobs"
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise AdapterNotBuilt(
            variable="PRISMHOUSE_BLOBS__URL", wanted=f"`{parts.scheme or url}` storage", accepted="`file:///folder`"
        )
    return Path(unquote(parts.path))


def _compute(settings: Settings) -> Compute:
    check_adapters(settings)
    cores = os.cpu_count() or 1
    processes = settings.compute.processes or max(1, cores // settings.worker.processes)
    return LocalCompute(processes, call_timeout_seconds=settings.compute.call_timeout_seconds)
