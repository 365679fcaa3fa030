"""`GET /metrics`: the numbers of all processes of this machine, and what the database says at this moment."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Request, Response

from prismhouse.api.web.caller import Caller, Callers
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.backlog import Backlog, take_backlog
from prismhouse.storage.postgres.database import Database
from prismhouse.telemetry import metrics
from prismhouse.telemetry.metrics import Look

__all__ = ["Scrape", "is_local", "routes"]

_PATIENCE_SECONDS = 2.0
_FRESH_SECONDS = 1.0
# A proxy on this machine makes everybody a local program: whoever comes through one needs a key.
_SIGNS_OF_A_PROXY = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_log = structlog.get_logger(__name__)


class MetricsOff(WarehouseError):
    """Metrics are off."""

    code = Code.NOT_FOUND
    hint = "PRISMHOUSE_METRICS__ACCESS turns them on."


class Scrape:
    """Makes the page. However many ask, the database is asked once a second, and waited for two seconds at most."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = asyncio.Lock()
        self._backlog: Backlog | None = None
        self._taken_at = float("-inf")

    async def page(self) -> bytes:
        """Return the page; without the numbers of the database when it does not answer."""
        async with self._lock:
            if time.monotonic() - self._taken_at > _FRESH_SECONDS:
                self._backlog = await self._look()
                self._taken_at = time.monotonic()
            backlog = self._backlog
        return await asyncio.to_thread(metrics.exposition, looks(backlog))

    async def _look(self) -> Backlog | None:
        try:
            return await asyncio.wait_for(take_backlog(self._db), _PATIENCE_SECONDS)
        except TimeoutError:
            reason = f"no answer in {_PATIENCE_SECONDS:g} s"
        except WarehouseError as error:
            reason = error.message
        _log.warning("metrics are shown without those of the database", reason=reason)
        return None


def looks(backlog: Backlog | None) -> list[Look]:
    """Return what the database said, as numbers; `prismhouse_database_up` alone when it said nothing."""
    up = _look("prismhouse_database_up", "Whether the database answered this scrape.", {(): float(backlog is not None)})
    if backlog is None:
        return [up]
    return [
        up,
        _look(
            "prismhouse_jobs",
            "Jobs in the queue: waiting (could run now), scheduled (for later, or for a retry), running.",
            {key: float(number) for key, number in backlog.jobs.items()},
            "job",
            "state",
        ),
        _look(
            "prismhouse_oldest_waiting_job_age_seconds",
            "How long the oldest job that could run has waited.",
            {(name,): age for name, age in backlog.oldest_seconds.items()},
            "job",
        ),
        _look(
            "prismhouse_workers",
            "Workers of the queue heard of in the last minute: one for each lane of a worker process.",
            {(): backlog.workers},
        ),
        _look(
            "prismhouse_batches_active",
            "Batches that wait or run.",
            {(status,): backlog.batches.get(status, 0) for status in ("QUEUED", "PROCESSING")},
            "status",
        ),
        _look(
            "prismhouse_webhook_deliveries_waiting",
            "Events that webhooks wait for; at most 100,000 are counted.",
            {(): backlog.deliveries},
        ),
    ]


def _look(name: str, meaning: str, series: Mapping[tuple[str, ...], float], *labels: str) -> Look:
    return Look(name=name, meaning=meaning, labels=labels, series=series)


def routes(db: Database, callers: Callers, *, access: str, proxied: bool) -> APIRouter:
    """Return the route. `proxied`: a proxy is known to stand before the server, so no address proves anything."""
    router = APIRouter()
    scrape = Scrape(db)
    known: Callable[[Request], Awaitable[Caller]] = callers.administrator()

    @router.get("/metrics", include_in_schema=False)
    async def page(request: Request) -> Response:
        if access == "off":
            raise MetricsOff
        if access == "key" or (access == "local" and (proxied or not is_local(request))):
            await known(request)
        return Response(
            await scrape.page(), headers={"Content-Type": metrics.CONTENT_TYPE, "Cache-Control": "no-store"}
        )

    return router


def is_local(request: Request) -> bool:
    """Say whether a program of this machine asks, directly: not a proxy, and not a page that a browser shows."""
    if any(name in request.headers for name in _SIGNS_OF_A_PROXY) or "origin" in request.headers:
        return False
    try:
        named = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    peer = request.client.host if request.client else ""
    return _is_loopback(peer) and (named == "localhost" or _is_loopback(named))


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
