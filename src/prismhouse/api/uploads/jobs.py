"""Background entry points of uploads."""

from __future__ import annotations

import structlog

from prismhouse.api.uploads.service import Uploads
from prismhouse.storage.jobs.queue import JobQueue

__all__ = ["EXPIRE_JOB", "SWEEP_JOB", "register_jobs"]

EXPIRE_JOB = "uploads.expire"
SWEEP_JOB = "uploads.sweep"
_EVERY_FIVE_MINUTES = "*/5 * * * *"
_EVERY_HOUR = "23 * * * *"
_log = structlog.get_logger(__name__)


def register_jobs(jobs: JobQueue, uploads: Uploads) -> None:
    """Have overdue uploads failed, old records forgotten and staged files swept by themselves."""

    async def expire() -> None:
        if recovered := await uploads.recover():
            _log.info("confirmations that were cut off may begin again", uploads=recovered)
        if expired := await uploads.expire():
            _log.info("uploads were not confirmed in time", uploads=expired)

    async def sweep() -> None:
        forgotten, deleted = await uploads.sweep()
        if forgotten or deleted:
            _log.info("uploads were swept", records=forgotten, files=deleted)

    jobs.register(EXPIRE_JOB, expire, cron=_EVERY_FIVE_MINUTES)
    jobs.register(SWEEP_JOB, sweep, cron=_EVERY_HOUR)
