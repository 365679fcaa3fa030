"""Health: alive (the process answers), ready (the database answers), degraded (no worker takes jobs)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
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
_SERVICES = ("cache", "metadata", "vector_store", "object_storage", "task_queue", "inference")


Check = Callable[[], Awaitable[str | None]]


class Probe:
    """Looks at the database, and at what `checks` names, at most every two seconds, however many ask.

    A check returns what is wrong, or None.
    """

    def __init__(self, db: Database, checks: Mapping[str, Check]) -> None:
        self._db = db
        self._checks = checks
        self._faults: dict[str, str] = {}
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

    async def faults(self) -> dict[str, str]:
        """Return what is wrong, by the name of its check."""
        async with self._lock:
            if time.monotonic() - self._taken_at > _FRESH_SECONDS:
                await self._look()
        return self._faults

    async def _look(self) -> None:
        self._faults = {name: fault for name, check in self._checks.items() if (fault := await _patiently(check))}
        try:
            self._pulse = await asyncio.wait_for(take_pulse(self._db), _PATIENCE_SECONDS)
        except TimeoutError:
            self._pulse, self._failure = None, f"no answer in {_PATIENCE_SECONDS:g} s"
        except WarehouseError as error:
            self._pulse, self._failure = None, str(error.details.get("reason", error.message))
        self._taken_at = time.monotonic()


async def _patiently(check: Check) -> str | None:
    try:
        return await asyncio.wait_for(check(), _PATIENCE_SECONDS)
    except TimeoutError:
        return f"No answer in {_PATIENCE_SECONDS:g} s."


def routes(db: Database, *, object_storage: Check | None = None, inference: Check | None = None) -> APIRouter:
    """Return the health routes; none asks for a key."""
    router = APIRouter()
    given = {"object_storage": object_storage, "inference": inference}
    probe = Probe(db, {name: check for name, check in given.items() if check is not None})

    @router.get("/v1/health", operation_id="healthcheck_health", tags=_TAGS, summary="Ready, or degraded, or 503")
    async def health() -> Answer:
        pulse = await probe.pulse()
        reasons = [*(await probe.faults()).values()]
        if not _has_worker(pulse):
            reasons.insert(0, "No worker takes jobs: batches wait.")
        status = "degraded" if reasons else "healthy"
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
    errors = dict(await probe.faults())
    try:
        pulse = await probe.pulse()
    except DatabaseUnavailable as error:
        errors |= dict.fromkeys(("cache", "metadata", "vector_store", "task_queue"), error.message)
        return {"status": "DEGRADED", "data": {name: name not in errors for name in _SERVICES}, "errors": errors}
    if not _has_worker(pulse):
        errors["task_queue"] = "No worker was seen in the last minute; `prismhouse worker` starts one."
    if not pulse.vectors:
        errors["vector_store"] = "The extension pgvector is not there."
    return {
        "status": "DEGRADED" if errors else "OK",
        "data": {name: name not in errors for name in _SERVICES},
        "errors": errors or None,
        "meta": {"version": __version__, "jobs_waiting": pulse.jobs_waiting},
    }
