"""Health: alive (the process answers), ready (the database answers), degraded (no worker takes jobs)."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from fastapi import APIRouter

from prismhouse import __version__
from prismhouse.api.web.answers import Answer, answer
from prismhouse.kit.clock import iso, utc_now
from prismhouse.kit.errors import WarehouseError
from prismhouse.storage.postgres.database import Database, DatabaseUnavailable
from prismhouse.storage.postgres.probe import Pulse, take_pulse

__all__ = ["Probe", "routes"]

_FRESH_SECONDS = 2.0
_PATIENCE_SECONDS = 2.0
_WORKER_SILENT = timedelta(seconds=60)
_TAGS: list[Any] = ["Health"]


class Probe:
    """Looks at the database at most every two seconds, however many ask."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = asyncio.Lock()
        self._taken_at = float("-inf")
        self._pulse: Pulse | None = None
        self._failure = "not looked yet"

    async def pulse(self) -> Pulse:
        """Return the last look; raise DatabaseUnavailable with the reason of its failure."""
        async with self._lock:
            if time.monotonic() - self._taken_at > _FRESH_SECONDS:
                await self._look()
        if self._pulse is None:
            raise DatabaseUnavailable(reason=self._failure)
        return self._pulse

    async def _look(self) -> None:
        try:
            self._pulse = await asyncio.wait_for(take_pulse(self._db), _PATIENCE_SECONDS)
        except TimeoutError:
            self._pulse, self._failure = None, f"no answer in {_PATIENCE_SECONDS:g} s"
        except WarehouseError as error:
            self._pulse, self._failure = None, str(error.details.get("reason", error.message))
        self._taken_at = time.monotonic()


def routes(db: Database) -> APIRouter:
    """Return the health routes; none asks for a key."""
    router = APIRouter()
    probe = Probe(db)

    @router.get("/v1/health", operation_id="healthcheck_health", tags=_TAGS, summary="Ready, or degraded, or 503")
    async def health() -> Answer:
        pulse = await probe.pulse()
        status = "healthy" if _has_worker(pulse) else "degraded"
        reasons = [] if _has_worker(pulse) else ["No worker takes jobs: batches wait."]
        content = {"status": status, "alive": True, "ready": True, "degraded": bool(reasons), "reasons": reasons}
        return answer(content | {"version": __version__})

    @router.get("/v1/health/liveness", operation_id="liveness_health", tags=_TAGS, summary="The process answers")
    async def liveness() -> Answer:
        return answer({"status": "alive"})

    @router.get("/v1/health/beat", operation_id="celery_beat_health", tags=_TAGS, summary="When a worker was last seen")
    async def beat() -> Answer:
        pulse = await probe.pulse()
        content = {
            "status": "healthy" if _has_worker(pulse) else "stale",
            "last_beat_at": iso(pulse.worker_seen_at),
            "jobs_waiting": pulse.jobs_waiting,
        }
        return answer(content)

    @router.get("/v1/health/deep", operation_id="healthcheck_deep_health", tags=_TAGS, summary="Each dependency")
    async def deep() -> Answer:
        return answer(await _dependencies(probe))

    return router


def _has_worker(pulse: Pulse) -> bool:
    return pulse.worker_seen_at is not None and utc_now() - pulse.worker_seen_at < _WORKER_SILENT


async def _dependencies(probe: Probe) -> dict[str, Any]:
    """Return the contract's six flags. Cache, metadata and vectors are one database here."""
    try:
        pulse = await probe.pulse()
    except DatabaseUnavailable as error:
        names = ("cache", "metadata", "vector_store", "task_queue")
        data = dict.fromkeys(names, False) | {"object_storage": True, "inference": True}
        return {"status": "DEGRADED", "data": data, "errors": dict.fromkeys(names, error.message)}
    worker = _has_worker(pulse)
    data = {
        "cache": True,
        "metadata": True,
        "vector_store": pulse.vectors,
        "object_storage": True,
        "task_queue": worker,
        "inference": True,
    }
    errors = {} if worker else {"task_queue": "No worker was seen in the last minute; `prismhouse worker` starts one."}
    return {
        "status": "OK" if all(data.values()) else "DEGRADED",
        "data": data,
        "errors": errors or None,
        "meta": {"version": __version__, "jobs_waiting": pulse.jobs_waiting},
    }
