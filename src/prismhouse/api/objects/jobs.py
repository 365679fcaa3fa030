"""Background entry points of objects."""

from __future__ import annotations

import structlog

from prismhouse.api.objects.service import Objects
from prismhouse.storage.jobs.queue import JobQueue

__all__ = ["SWEEP_JOB", "register_jobs"]

SWEEP_JOB = "objects.sweep"
_EVERY_HOUR = "23 * * * *"
_log = structlog.get_logger(__name__)


def register_jobs(jobs: JobQueue, objects: Objects) -> None:
    """Have unreferenced bytes deleted every hour: those whose own deletion was cut short."""

    async def sweep() -> None:
        deleted = await objects.sweep()
        _log.info("unreferenced bytes were swept", deleted=deleted)

    jobs.register(SWEEP_JOB, sweep, cron=_EVERY_HOUR)
