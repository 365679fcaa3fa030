"""Compute on this machine: a small pool of fresh interpreters, started when needed and kept warm."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from prismhouse.storage.compute.child import LENGTH, rebuild
from prismhouse.storage.compute.port import ComputeTimedOut, WorkerLost

__all__ = ["LocalCompute"]

_CLOSE_SECONDS = 2.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Child:
    process: Process
    group: str = ""
    release: asyncio.TimerHandle | None = None

    async def call(self, frame: bytes) -> tuple[bool, Any]:
        writer, reader = self.process.stdin, self.process.stdout
        if writer is None or reader is None:  # pragma: no cover - both are pipes
            raise RuntimeError("a compute process without pipes")
        writer.write(LENGTH.pack(len(frame)))
        writer.write(frame)
        await writer.drain()
        (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        done, value = pickle.loads(await reader.readexactly(size))  # noqa: S301 - written by our own child
        return done, value

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


class LocalCompute:
    """Implements `Compute`: each process runs one call at a time and keeps what its functions loaded.

    Args:
        processes: how many run at once; further calls wait.
        call_timeout_seconds: limit of a call that names none. At the limit the process is killed.
        idle_seconds: a process that had nothing to do for this long is ended, and its memory freed.
        environment: variables added for the processes.
        memory_bytes: limit of what a process may allocate; past it, allocating fails with MemoryError. None: no limit.

    Cost: about 0.1 ms a call beside the pickles; 30-60 ms to start a process.
    """

    def __init__(
        self,
        processes: int | None = None,
        *,
        call_timeout_seconds: float = 600,
        idle_seconds: float = 300,
        environment: Mapping[str, str] | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self.processes = processes or os.cpu_count() or 1
        self._call_timeout_seconds = call_timeout_seconds
        self._idle_seconds = idle_seconds
        self._environment = dict(environment or {})
        self._memory_bytes = memory_bytes or 0
        self._slots = asyncio.Semaphore(self.processes)
        self._idle: list[_Child] = []
        self._children: set[_Child] = set()
        self._closed = False

    @property
    def running(self) -> int:
        """How many processes stand."""
        return len(self._children)

    async def open(self) -> None:
        """See `Compute.open`: processes start when they are needed."""

    @property
    def busy(self) -> int:
        """How many processes work on a call."""
        return len(self._children) - len(self._idle)

    @property
    def process_ids(self) -> list[int]:
        """The processes that stand."""
        return [child.process.pid for child in self._children]

    async def run(self, function: str, *arguments: Any, timeout_seconds: float | None = None, group: str = "") -> Any:
        """See `Compute.run`. Cancelling the caller kills the process: a call never goes on unseen."""
        frame = pickle.dumps((function, arguments), protocol=5)
        limit = timeout_seconds or self._call_timeout_seconds
        async with self._slots:
            child = await self._take(group)
            try:
                async with asyncio.timeout(limit):
                    done, value = await child.call(frame)
            except TimeoutError as error:
                await self._discard(child)
                raise ComputeTimedOut(function=function, timeout_seconds=limit) from error
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                await self._discard(child)
                _log.warning("compute process died", function=function, exit_status=child.process.returncode)
                raise WorkerLost(function=function) from error
            except BaseException:
                await asyncio.shield(self._discard(child))
                raise
            self._give_back(child)
        if done:
            return value
        raise rebuild(*value)

    async def fault(self) -> str | None:
        """See `Compute.fault`."""
        return None

    async def close(self) -> None:
        """End all processes: their input is closed, and who does not go is killed."""
        self._closed = True
        children, self._idle = list(self._children), []
        await asyncio.gather(*(self._end(child) for child in children))

    async def _take(self, group: str) -> _Child:
        if self._closed:
            raise RuntimeError("the compute pool is closed")
        while self._idle:
            # One that has loaded what the group needs, else any: it may load that beside.
            child = next((child for child in reversed(self._idle) if child.group == group), self._idle[-1])
            self._idle.remove(child)
            child.group = group
            if child.release is not None:
                child.release.cancel()
            if child.process.returncode is None:
                return child
            self._children.discard(child)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from prismhouse.storage.compute.child import main; main()",
            str(os.getpid()),
            str(self._memory_bytes),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **self._environment},
        )
        child = _Child(process, group)
        self._children.add(child)
        return child

    def _give_back(self, child: _Child) -> None:
        if self._closed:
            return
        self._idle.append(child)
        child.release = asyncio.get_running_loop().call_later(self._idle_seconds, self._release, child)

    def _release(self, child: _Child) -> None:
        if child in self._idle:
            self._idle.remove(child)
            self._ending = asyncio.ensure_future(self._end(child))

    async def _end(self, child: _Child) -> None:
        if child.release is not None:
            child.release.cancel()
        if child.process.stdin is not None:
            child.process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(child.process.wait(), _CLOSE_SECONDS)
        await self._discard(child)

    async def _discard(self, child: _Child) -> None:
        self._children.discard(child)
        await child.kill()
