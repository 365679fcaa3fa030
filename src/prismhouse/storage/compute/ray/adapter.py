"""Compute on a Ray cluster: calls go to a bridge process, which is Ray's driver."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import structlog

from prismhouse import __version__
from prismhouse.storage.compute.child import rebuild
from prismhouse.storage.compute.port import (
    ComputeTimedOut,
    ComputeUnavailable,
    FilesTooLarge,
    MessageTooLarge,
    WorkerLost,
)
from prismhouse.storage.compute.ray.carrying import pack
from prismhouse.storage.compute.ray.place import silence
from prismhouse.storage.compute.ray.wire import (
    BEAT_SECONDS,
    Call,
    Cancel,
    FileMark,
    Options,
    Outcome,
    Ready,
    Refused,
    receive,
    send,
)

__all__ = ["RayCompute"]

_CLOSE_SECONDS = 10.0
_CANCEL_SECONDS = 10.0
_SILENT_SECONDS = 12 * BEAT_SECONDS
_LONGEST_PAUSE_SECONDS = 5.0
_log = structlog.get_logger(__name__)


class _Unavailable(Exception):
    """The reason, and whether it may pass."""

    def __init__(self, reason: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


class _Bridge:
    """A bridge process that joined its cluster, and the calls it has."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._numbers = count(1)
        self._listening = asyncio.create_task(self._listen())

    @property
    def alive(self) -> bool:
        return not self._listening.done()

    async def call(
        self, function: str, *, group: str, frame: bytes, files: Sequence[FileMark], timeout_seconds: float
    ) -> Outcome:
        """Return how a call ended; cancelling the caller kills it."""
        number = next(self._numbers)
        ended = self._waiting[number] = asyncio.get_running_loop().create_future()
        if not self.alive:
            return Outcome(number, "unavailable", "the bridge to Ray died")
        call = Call(
            number=number,
            function=function,
            group=group,
            frame=frame,
            files=files,
            timeout_seconds=timeout_seconds,
        )
        try:
            await self._say(call)
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            await self._say(Cancel(number))
            await asyncio.wait([ended], timeout=_CANCEL_SECONDS)
            raise
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """End the process: its input is closed, and who does not go is killed."""
        self._writer.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), _CLOSE_SECONDS)
        await _kill(self.process)
        await self._listening

    async def _say(self, message: Any) -> None:
        # The listener meets the end of the bridge, too; uvloop raises RuntimeError for a pipe that is closed.
        with suppress(ConnectionError, RuntimeError):
            send(self._writer, message)
            await self._writer.drain()

    async def _listen(self) -> None:
        reason = "the bridge to Ray died"
        try:
            while True:
                message = await asyncio.wait_for(receive(self._reader), _SILENT_SECONDS)
                future = self._waiting.get(message.number) if isinstance(message, Outcome) else None
                if future is not None and not future.done():
                    future.set_result(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except TimeoutError:
            reason = "the bridge to Ray fell silent"
        await _kill(self.process)
        for number, future in self._waiting.items():
            if not future.done():
                future.set_result(Outcome(number, "lost", reason))


class RayCompute:
    """Implements `Compute` on a Ray cluster: an actor for each group of calls and process, started when needed.

    Args:
        address: `host:port` of the head, or `auto`; this machine must be a node. None starts a cluster of this
            machine alone, which ends with this process.
        processes: how many actors run at once for this process; further calls wait.
        call_timeout_seconds: limit of a call that names none. At the limit its actor is killed.
        idle_seconds: an actor that had nothing to do for this long is ended, and its memory freed.
        patience_seconds: how long a call waits for a cluster that does not answer.
        start_seconds: how long joining the cluster, and starting an actor, may take.
        message_bytes: most bytes that the arguments or the result of a call may have.
        file_bytes: most bytes of files that are sent to a node for one call.
        object_store_bytes: memory of the object store, where this process starts the cluster.
        memory_bytes: limit of what an actor may allocate; past it, allocating fails with MemoryError. None: no limit.
        version: what nodes must have.
        environment: variables added for the bridge, and for a cluster that it starts.

    Cost: 2-3 ms a call beside the pickles; 0.2-1 s to start an actor, about 5 s to join or start a cluster.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        processes: int | None = None,
        call_timeout_seconds: float = 600,
        idle_seconds: float = 300,
        patience_seconds: float = 600,
        start_seconds: float = 60,
        message_bytes: int = 512 << 20,
        file_bytes: int = 8 << 30,
        object_store_bytes: int = 1 << 30,
        memory_bytes: int | None = None,
        version: str = __version__,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._options = Options(
            address=address,
            processes=processes or os.cpu_count() or 1,
            idle_seconds=idle_seconds,
            start_seconds=start_seconds,
            message_bytes=message_bytes,
            file_bytes=file_bytes,
            object_store_bytes=object_store_bytes,
            memory_bytes=memory_bytes or 0,
            version=version,
        )
        self._call_timeout_seconds = call_timeout_seconds
        self._patience_seconds = patience_seconds
        self._environment = dict(environment or {})
        self._bridge: _Bridge | None = None
        self._joining = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._closed = False
        self._told: str | None = None

    async def open(self) -> None:
        """See `Compute.open`."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())

    async def run(self, function: str, *arguments: Any, timeout_seconds: float | None = None, group: str = "") -> Any:
        """See `Compute.run`. A cluster that does not answer is waited for."""
        frame, files = await asyncio.to_thread(pack, function, arguments)
        if len(frame) > self._options.message_bytes:
            limit = f"PRISMHOUSE_COMPUTE__RAY_MESSAGE_BYTES ({self._options.message_bytes})"
            raise MessageTooLarge(f"The arguments have {len(frame)} bytes, above {limit}")
        limit_seconds = timeout_seconds or self._call_timeout_seconds
        outcome = await self._patiently(function, group, frame, files, limit_seconds)
        if outcome.kind == "timed_out":
            raise ComputeTimedOut(function=function, timeout_seconds=limit_seconds)
        if outcome.kind == "lost":
            _log.warning("extraction process died", function=function, reason=outcome.value)
            raise WorkerLost(function=function)
        if outcome.kind == "files_too_large":
            limit = f"PRISMHOUSE_COMPUTE__RAY_FILE_BYTES ({self._options.file_bytes})"
            raise FilesTooLarge(f"The files to send have {outcome.value} bytes, above {limit}")
        done, value = pickle.loads(outcome.value)  # noqa: S301 - written by our own actor
        if done:
            return value
        raise rebuild(*value)

    async def fault(self) -> str | None:
        """See `Compute.fault`: whether the head of the cluster takes connections."""
        if self._options.address is None:
            return None
        reason = await silence(self._options.address)
        return None if reason is None else ComputeUnavailable(reason=reason).message

    async def close(self) -> None:
        """End all actors, and the cluster if it was started here."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        async with self._joining:
            if self._bridge is not None:
                await self._bridge.close()
                self._bridge = None

    async def _open(self) -> None:
        pause = 0.5
        while not self._closed:
            try:
                await self._joined()
            except _Unavailable as error:
                self._tell(error.reason)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                return

    async def _patiently(
        self, function: str, group: str, frame: bytes, files: Sequence[FileMark], timeout_seconds: float
    ) -> Outcome:
        """Return how the call ended, once there was somewhere to run it."""
        deadline = time.monotonic() + self._patience_seconds
        pause = 0.25
        while True:
            try:
                bridge = await self._joined()
            except _Unavailable as error:
                reason, passing = error.reason, error.passing
            else:
                outcome = await bridge.call(
                    function, group=group, frame=frame, files=files, timeout_seconds=timeout_seconds
                )
                if outcome.kind not in {"unavailable", "unfit"}:
                    return outcome
                reason, passing = outcome.value, outcome.kind == "unavailable"
            self._tell(reason)
            if not passing or time.monotonic() + pause > deadline:
                raise ComputeUnavailable(reason=reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _tell(self, reason: str) -> None:
        if reason != self._told:
            _log.warning("extraction waits for the Ray cluster", reason=reason)
        self._told = reason

    async def _joined(self) -> _Bridge:
        """Return a bridge that lives, starting one if needed; raise _Unavailable."""
        async with self._joining:
            if self._closed:
                raise RuntimeError("the compute pool is closed")
            if self._bridge is not None and self._bridge.alive:
                return self._bridge
            self._bridge = await self._join()
            return self._bridge

    async def _join(self) -> _Bridge:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from prismhouse.storage.compute.ray.bridge import main; main()",
            str(os.getpid()),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **self._environment},
        )
        reader, writer = process.stdout, process.stdin
        if reader is None or writer is None:  # pragma: no cover - both are pipes
            raise RuntimeError("a bridge without pipes")
        try:
            send(writer, self._options)
            async with asyncio.timeout(self._options.start_seconds):
                answer: Ready | Refused = await receive(reader)
        except TimeoutError:
            await _kill(process)
            raise _Unavailable(
                f"no Ray cluster was joined in {self._options.start_seconds:g} s", passing=True
            ) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await _kill(process)
            reason = f"Ray ended its driver as it joined (status {process.returncode})"
            raise _Unavailable(reason, passing=True) from None
        except BaseException:
            await asyncio.shield(_kill(process))
            raise
        if isinstance(answer, Refused):
            await _kill(process)
            raise _Unavailable(answer.reason, passing=answer.passing)
        self._told = None
        _log.info("joined the Ray cluster", address=answer.address, nodes=answer.nodes, cpus=answer.cpus)
        return _Bridge(process, reader, writer)


async def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
