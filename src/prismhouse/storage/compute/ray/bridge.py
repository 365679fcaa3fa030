"""The process between us and Ray: Ray's driver, which Ray ends when it loses its cluster.

It keeps Ray's threads, signal handlers and log lines out of the worker, and dies with it; then Ray ends its actors.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from asyncio.streams import FlowControlMixin
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import FileIO
from typing import Any

from prismhouse.storage.compute.ray.place import host_and_port
from prismhouse.storage.compute.ray.wire import (
    BEAT_SECONDS,
    Beat,
    Call,
    Cancel,
    Options,
    Outcome,
    Ready,
    Refused,
    framed,
    read,
    receive,
    send,
)

__all__ = ["main"]

_ORPHAN_CHECK_SECONDS = 0.5
_CONNECT_SECONDS = 5.0
_THREADS = 64


def main() -> None:
    """Join the cluster, and serve calls until the parent closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = int(sys.argv[1])
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    calls, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)  # Ray writes its own logs, to files in its session's folder
    options: Options = read(calls)
    # Ray puts this folder into the import path of every node.
    os.chdir("/")
    joined = _join(options)
    answers.write(framed(joined))
    if isinstance(joined, Ready):
        asyncio.run(_serve(options, calls, answers))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    os._exit(1)


async def _serve(options: Options, calls: FileIO, answers: FileIO) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), calls)
    transport, protocol = await loop.connect_write_pipe(lambda: FlowControlMixin(loop), answers)
    await _Desk(options, reader, asyncio.StreamWriter(transport, protocol, None, loop)).serve()


def _join(options: Options) -> Ready | Refused:
    """Become the driver of a cluster that runs, or of one started for us."""
    address = options.address
    if address is not None:
        place = host_and_port(address)
        if place is None:
            return Refused(
                "no Ray cluster is known on this machine; `ray start --address=HEAD:6379` makes it a node", True
            )
        try:
            socket.create_connection(place, _CONNECT_SECONDS).close()
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            return Refused(f"the Ray cluster at {place[0]}:{place[1]} does not answer ({reason})", True)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    if address != "auto":
        os.environ.pop("RAY_ADDRESS", None)  # it would win over the setting
    import ray

    started: dict[str, Any] = {}
    if address is None:
        started = {
            "num_cpus": options.processes,
            "object_store_memory": options.object_store_bytes,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }
    try:
        found = ray.init(
            address="local" if address is None else address,
            log_to_driver=False,
            configure_logging=False,
            logging_level="ERROR",
            **started,
        )
    except (ConnectionError, TimeoutError, OSError) as error:
        return Refused(_first_lines(error), passing=True)
    except Exception as error:  # noqa: BLE001 - told to the parent
        text = str(error)
        passing = "Version mismatch" not in text
        return Refused(_first_lines(error), passing)
    cpus = ray.cluster_resources().get("CPU", 0.0)
    return Ready(found.address_info.get("gcs_address") or "", len(ray.nodes()), cpus)


def _first_lines(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"Ray says: {text[:500]}" if text else f"Ray raised {type(error).__name__}"


class _Desk:
    """Takes calls and tells how they ended."""

    def __init__(self, options: Options, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from prismhouse.storage.compute.ray.pool import Pool

        self._pool = Pool(options)
        self._reader = reader
        self._writer = writer
        self._running: dict[int, asyncio.Task[Outcome]] = {}

    async def serve(self) -> None:
        """Serve until the parent closes the pipe; then stop everything."""
        beat = asyncio.create_task(self._beat())
        try:
            while True:
                message = await receive(self._reader)
                if isinstance(message, Call):
                    self._begin(message)
                elif isinstance(message, Cancel) and (task := self._running.get(message.number)):
                    task.cancel()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            beat.cancel()
            await self._stop()

    def _begin(self, call: Call) -> None:
        task = self._running[call.number] = asyncio.create_task(self._pool.run(call))
        task.add_done_callback(partial(self._tell, call.number))

    def _tell(self, number: int, task: asyncio.Task[Outcome]) -> None:
        self._running.pop(number, None)
        if task.cancelled():
            send(self._writer, Outcome(number, "lost", "cancelled"))
        elif (error := task.exception()) is not None:
            send(self._writer, Outcome(number, "lost", f"{type(error).__name__}: {error}"))
        else:
            send(self._writer, task.result())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            send(self._writer, Beat())

    async def _stop(self) -> None:
        import ray

        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._pool.close()
        await asyncio.to_thread(ray.shutdown)
