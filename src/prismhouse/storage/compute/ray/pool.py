"""The actors of one bridge: each runs one call at a time, and calls of one group only."""

from __future__ import annotations

import asyncio
import platform
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import sample
from typing import Any
from uuid import uuid4

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from prismhouse.storage.compute.child import failure_of
from prismhouse.storage.compute.port import MessageTooLarge
from prismhouse.storage.compute.ray.actor import Extraction, Hello
from prismhouse.storage.compute.ray.wire import Call, FileMark, Options, Outcome

__all__ = ["Pool"]

_STARTS = 3
_KILL_SECONDS = 5.0
_INLINE_BYTES = 100_000
_PIECE_BYTES = 16 << 20
_SHOWN_CHARS = 400


class _NotStarted(Exception):
    """No actor could be started; the reason is its argument."""


class _Unfit(Exception):
    """A node runs something else than this process; what and where is its argument."""


@dataclass(slots=True, eq=False)
class _Actor:
    handle: Any
    group: str
    node_id: str = ""
    is_given_up: bool = False
    release: asyncio.TimerHandle | None = None


class Pool:
    """Runs calls on actors that it starts when needed, and ends when they were idle or another group needs the room."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._slots = asyncio.Semaphore(options.processes)
        self._idle: list[_Actor] = []
        self._actors: set[_Actor] = set()
        self._ending: set[asyncio.Task[None]] = set()
        # Retries are the caller's: Ray restarts nothing and runs nothing twice.
        self._remote = ray.remote(max_restarts=0, max_task_retries=0)(Extraction)

    async def run(self, call: Call) -> Outcome:
        """Return how the call ended. Cancelling the caller kills its actor, and waits for that."""
        number = call.number
        async with self._slots:
            try:
                actor = await self._take(call.group)
            except _NotStarted as error:
                return Outcome(number, "unavailable", str(error))
            except _Unfit as error:
                return Outcome(number, "unfit", str(error))
            running: list[Any] = []
            try:
                async with asyncio.timeout(call.timeout_seconds):
                    absent = await _result(actor.handle.missing, call.files) if call.files else []
                    size_bytes = sum(call.files[index].size_bytes for index in absent)
                    if size_bytes > self._options.file_bytes:
                        self._give_back(actor)
                        return Outcome(number, "files_too_large", size_bytes)
                    for index in absent:
                        await self._send(actor, index, call.files[index])
                    frame = await _stored(call.frame)
                    answer = await _result(
                        actor.handle.run, frame, call.files, self._options.message_bytes, running=running
                    )
            except TimeoutError:
                await self._discard(actor, *running)
                return Outcome(number, "timed_out")
            except RayTaskError as error:
                await self._discard(actor)
                return Outcome(number, "answered", _failure_of_actor(error))
            except RayError as error:
                await self._discard(actor)
                await self._leave_dead_nodes()
                return Outcome(number, "lost", _brief(error))
            except OSError as error:
                await self._discard(actor)
                return Outcome(number, "answered", failure_of(error))
            except BaseException:
                await asyncio.shield(self._discard(actor, *running))
                raise
            self._give_back(actor)
        return Outcome(number, "answered", answer)

    async def close(self) -> None:
        """Kill all actors."""
        await asyncio.gather(*(self._discard(actor) for actor in list(self._actors)))

    async def _send(self, actor: _Actor, number: int, mark: FileMark) -> None:
        """Send a file; one that is gone is left out, and the function meets its absence. OSError for half a file."""
        sent = 0
        while True:
            piece = await asyncio.to_thread(_piece, mark.path, sent)
            if piece is None and not sent:
                return
            if piece is None or (not piece and sent < mark.size_bytes):
                raise OSError(f"{mark.path} ended after {sent} of {mark.size_bytes} bytes as it was sent")
            await _result(actor.handle.receive, number, await _stored(piece))
            sent += len(piece)
            if sent >= mark.size_bytes:
                return

    async def _take(self, group: str) -> _Actor:
        known = [actor for actor in self._idle if actor.group == group]
        if known:
            actor = known[-1]
            self._idle.remove(actor)
            if actor.release is not None:
                actor.release.cancel()
            return actor
        if len(self._actors) >= self._options.processes and self._idle:
            await self._discard(self._idle.pop(0))
        return await self._start(group)

    async def _start(self, group: str) -> _Actor:
        reason = ""
        for _ in range(_STARTS):  # a node may die, or a process be killed, as it starts
            actor = _Actor(None, group)
            self._actors.add(actor)
            try:
                async with asyncio.timeout(self._options.start_seconds):
                    actor.node_id = self._roomiest(await _nodes())
                    await asyncio.to_thread(self._create, actor)
                    hello: Hello = await _result(actor.handle.hello)
                    actor.node_id = hello.node_id
                    self._check(hello)
            except TimeoutError:
                await self._discard(actor)
                raise _NotStarted(
                    f"no node took an extraction process in {self._options.start_seconds:g} s; "
                    "one with at least one CPU is needed"
                ) from None
            except RayError as error:
                await self._discard(actor)
                reason = _brief(error)
            except BaseException:
                await asyncio.shield(self._discard(actor))
                raise
            else:
                return actor
        raise _NotStarted(f"an extraction process died as it started: {reason}")

    def _roomiest(self, nodes: Mapping[str, float]) -> str:
        """Return the node with the fewest actors for its CPUs. Ray's own SPREAD put two on one node of two."""
        if not nodes:
            raise _NotStarted("no node of the Ray cluster has a CPU")
        here = Counter(actor.node_id for actor in self._actors)
        return min(sample(list(nodes), len(nodes)), key=lambda node_id: (here[node_id] + 1) / nodes[node_id])

    def _create(self, actor: _Actor) -> None:
        name = f"prismhouse-{actor.group or 'any'}-{uuid4().hex[:12]}"
        wanted = NodeAffinitySchedulingStrategy(actor.node_id, soft=True)
        options = self._remote.options(name=name, scheduling_strategy=wanted)
        actor.handle = options.remote(self._options.memory_bytes)
        if actor.is_given_up:  # meanwhile, by one that saw no handle yet
            ray.kill(actor.handle)

    def _check(self, hello: Hello) -> None:
        wanted, python = self._options.version, platform.python_version()
        if hello.version != wanted:
            raise _Unfit(f"node {hello.host} has prismhouse {hello.version}, this process {wanted}; install the same")
        if hello.python.rpartition(".")[0] != python.rpartition(".")[0]:
            raise _Unfit(f"node {hello.host} has Python {hello.python}, this process {python}; install the same")

    async def _leave_dead_nodes(self) -> None:
        """Forget the idle actors of nodes that died, so that they cost no calls."""
        with suppress(TimeoutError, RayError):
            nodes = await asyncio.wait_for(_nodes(), _KILL_SECONDS)
            for actor in [actor for actor in self._idle if actor.node_id not in nodes]:
                if actor in self._idle:
                    self._idle.remove(actor)
                    await self._discard(actor)

    def _give_back(self, actor: _Actor) -> None:
        self._idle.append(actor)
        actor.release = asyncio.get_running_loop().call_later(self._options.idle_seconds, self._release, actor)

    def _release(self, actor: _Actor) -> None:
        if actor in self._idle:
            self._idle.remove(actor)
            task = asyncio.ensure_future(self._discard(actor))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _discard(self, actor: _Actor, *running: Any) -> None:
        """Kill an actor; what it still runs has ended when this returns, unless its node is silent."""
        if actor.release is not None:
            actor.release.cancel()
        actor.is_given_up = True
        try:
            if actor.handle is not None:
                await asyncio.wait_for(asyncio.to_thread(ray.kill, actor.handle), _KILL_SECONDS)
            if running:
                await asyncio.wait([asyncio.wrap_future(ref.future()) for ref in running], timeout=_KILL_SECONDS)
        except (TimeoutError, RayError, ValueError):
            pass  # it is dead already, or nobody can reach it: Ray ends it with this driver
        finally:
            self._actors.discard(actor)


def _piece(path: str, offset: int) -> bytes | None:
    """Return the next piece of a file, or None where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            file.seek(offset)
            return file.read(_PIECE_BYTES)
    except OSError:
        return None


async def _nodes() -> dict[str, float]:
    """Return the CPUs of each node that lives and has some."""
    nodes = await asyncio.to_thread(ray.nodes)
    found = {node["NodeID"]: node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]}
    return {node_id: cpus for node_id, cpus in found.items() if cpus > 0}


async def _stored(content: bytes) -> Any:
    """Put what is large into the object store, outside the event loop; it is freed with the reference."""
    return content if len(content) < _INLINE_BYTES else await asyncio.to_thread(ray.put, content)


async def _result(method: Any, *arguments: Any, running: list[Any] | None = None) -> Any:
    reference = await asyncio.to_thread(method.remote, *arguments)
    if running is not None:
        running.append(reference)
    return await asyncio.wrap_future(reference.future())


def _failure_of_actor(error: RayTaskError) -> bytes:
    """What our own code on the node raised: no memory, or a full disk."""
    text = str(error).strip()
    if isinstance(error, MemoryError):
        return failure_of(MessageTooLarge(text))
    return failure_of(OSError(text) if isinstance(error, OSError) else RuntimeError(text))


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_SHOWN_CHARS]
