"""What is read every few seconds, because nothing happens when it changes: memory, pools, processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prismhouse.server.wiring import House
from prismhouse.settings import Settings
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.compute.observed import ObservedCompute
from prismhouse.telemetry import metrics, traces
from prismhouse.telemetry.families import (
    COMPUTE_BUSY,
    COMPUTE_PROCESSES,
    DATABASE_CONNECTIONS,
    DATABASE_WAITS,
    PROCESSES,
    RESIDENT_BYTES,
)

__all__ = ["begin", "end", "sampled"]

_PAUSE_SECONDS = 5.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def begin(settings: Settings, *, process: str) -> None:
    """Count and trace in this process from now on, as far as the settings want it."""
    if settings.metrics.access != "off":
        metrics.begin(metrics.folder_of(settings.data_dir))
    traces.begin(settings.tracing, process=process)


def end() -> None:
    """Send the last spans."""
    traces.end()


@asynccontextmanager
async def sampled(house: House, *, process: str) -> AsyncIterator[None]:
    """Keep the gauges of this process true for as long as the block lasts."""
    if not metrics.counting():
        yield
        return
    sampler = _Sampler(house, process)
    task = asyncio.create_task(sampler.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Sampler:
    def __init__(self, house: House, process: str) -> None:
        self._house = house
        self._process = process
        self._waited: dict[str, int] = {}

    async def run(self) -> None:
        """Read everything again and again."""
        while True:
            self.sample()
            await asyncio.sleep(_PAUSE_SECONDS)

    def sample(self) -> None:
        """Read everything once."""
        PROCESSES.set(self._process, to=1)
        _set_memory(self._process, [os.getpid()])
        compute = self._house.compute
        inner = compute.compute if isinstance(compute, ObservedCompute) else compute
        if isinstance(inner, LocalCompute):
            COMPUTE_PROCESSES.set(to=inner.running)
            COMPUTE_BUSY.set(to=inner.busy)
            PROCESSES.set("compute", to=inner.running)
            _set_memory("compute", inner.process_ids)
        for name, use in self._house.db.use().items():
            DATABASE_CONNECTIONS.set(name, "used", to=use.used)
            DATABASE_CONNECTIONS.set(name, "idle", to=use.idle)
            DATABASE_WAITS.add(name, number=max(0, use.waited - self._waited.get(name, 0)))
            self._waited[name] = use.waited


def _set_memory(process: str, process_ids: Iterable[int]) -> None:
    found = [_resident_bytes(process_id) for process_id in process_ids]
    known = [size for size in found if size is not None]
    if known or not found:
        RESIDENT_BYTES.set(process, to=sum(known))


def _resident_bytes(process_id: int) -> int | None:
    """Return the memory of a process, or None where the system does not say."""
    try:
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None
