"""One worker process: builds the house and runs jobs until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal

import structlog
import uvloop

from prismhouse.kit.errors import WarehouseError
from prismhouse.server import logs, sampling
from prismhouse.server.handover import Line
from prismhouse.server.prepare import tell_of_files
from prismhouse.server.wiring import build
from prismhouse.settings import Settings
from prismhouse.telemetry import metrics

__all__ = ["run", "work"]

_log = structlog.get_logger(__name__)


def run() -> int:
    """Work under a supervisor until told to stop; return the exit code."""
    line = Line()
    handover = line.receive()
    if handover is None:
        return 0
    return work(handover.settings, handover.dsn, line=line)


def work(settings: Settings, dsn: str, *, line: Line | None = None) -> int:
    """Run jobs of the database at `dsn` until SIGTERM or Ctrl-C; return the exit code."""
    logs.configure(settings.log, process="worker")
    sampling.begin(settings, process="worker")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(settings, dsn, line))
    except WarehouseError as error:
        _log.error("the worker cannot start", reason=error.message)
        return 1
    finally:
        sampling.end()
    return 0


def _leave() -> None:
    """End at once: an embedded database ends with the supervisor, so nothing can be finished or given back.

    The next worker takes the jobs over; one that lingered would meet the next server at the same address.
    """
    os._exit(1)


def _answer_metrics(settings: Settings) -> None:
    """Another machine's worker has no API beside it that would show what it counts."""
    if (port := settings.metrics.worker_port) is not None:
        try:
            metrics.serve(settings.metrics.worker_host, port)
        except OSError as error:
            _log.error("metrics cannot be answered", port=port, reason=error.strerror)


async def _work(settings: Settings, dsn: str, line: Line | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for kind in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(kind, stop.set)
    house = build(settings, dsn)
    await house.open()
    try:
        if line:
            line.watch(_leave if settings.database.url is None else stop.set)
            line.say_ready()
        else:
            await tell_of_files(house)
            _answer_metrics(settings)
        async with sampling.sampled(house, process="worker"):
            await house.run_jobs(stop)
    finally:
        await house.close()
