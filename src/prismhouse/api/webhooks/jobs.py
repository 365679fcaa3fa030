"""Background entry points of webhooks: retention. Delivery is no job; see deliveries/deliverer.py."""

from __future__ import annotations

from prismhouse.api.webhooks.deliveries.service import Deliveries
from prismhouse.api.webhooks.feed.service import Feed
from prismhouse.storage.jobs.queue import JobQueue

__all__ = ["FORGET_JOB", "register_jobs"]

FORGET_JOB = "webhooks.forget"
_EVERY_HOUR = "17 * * * *"


def register_jobs(jobs: JobQueue, feed: Feed, deliveries: Deliveries) -> None:
    """Have events and deliveries deleted every hour that are past their time."""

    async def forget() -> None:
        await deliveries.forget()  # first: an event stays while a delivery may still be sent
        await feed.forget()

    jobs.register(FORGET_JOB, forget, cron=_EVERY_HOUR)
