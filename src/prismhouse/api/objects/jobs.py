"""Background entry points of objects."""

from __future__ import annotations

import structlog

from prismhouse.api.objects.service import Objects
from prismhouse.storage.jobs.queue import JobQueue

__all__ = ["SWEEP_JOB", "register_jobs"]

SWEEP_JOB = "objects.sweep"
_EVERY_QUARTER = "*/15 * * * *"
_log = structlog.get_logger(__name__)


def register_jobs(jobs: JobQueue, objects: Objects) -> None:
    """Have bytes deleted every quarter of an hour that crashes and failures left without an object."""

    async def sweep() -> None:
        deleted = await objects.sweep()
        if deleted:
            _log.info("bytes without an object were deleted", files=deleted)

    jobs.register(SWEEP_JOB, sweep, cron=_EVERY_QUARTER)
