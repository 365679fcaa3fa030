"""What runs on a node of the cluster: one call at a time, in a process that keeps what its functions loaded."""

from __future__ import annotations

import platform
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismhouse import __version__
from prismhouse.storage.compute.child import answer_of, failure_of
from prismhouse.storage.compute.port import MessageTooLarge
from prismhouse.storage.compute.ray.carrying import Folder, missing, unpack
from prismhouse.storage.compute.ray.wire import FileMark

__all__ = ["Extraction", "Hello"]


@dataclass(frozen=True, slots=True)
class Hello:
    """Who runs where."""

    version: str
    python: str
    host: str
    node_id: str


class Extraction:
    """A Ray actor. Its answers are frames, so that exceptions travel as they do from a local process."""

    def __init__(self, memory_bytes: int = 0) -> None:
        if memory_bytes:
            _bound_memory(memory_bytes)
        self._functions: dict[str, Callable[..., Any]] = {}
        self._folder = Folder()
        self._sent: dict[int, str] = {}

    def hello(self) -> Hello:
        """Return what this node runs."""
        import ray

        node_id = ray.get_runtime_context().get_node_id()
        return Hello(__version__, platform.python_version(), platform.node(), node_id)

    def missing(self, marks: Sequence[FileMark]) -> list[int]:
        """Return the numbers of the files that this node does not have."""
        return missing(marks)

    def receive(self, number: int, piece: bytes) -> None:
        """Keep a piece of a file for the next call."""
        self._sent[number] = self._folder.add(f"file-{number}", piece)

    def run(self, frame: bytes, marks: Sequence[FileMark], message_bytes: int) -> bytes:
        """Run a call; the files that were sent for it are gone after it."""
        paths = {number: self._sent.get(number, mark.path) for number, mark in enumerate(marks)}
        try:
            answer = answer_of(self._functions, lambda: unpack(frame, paths))
        finally:
            if self._sent:
                self._sent = {}
                self._folder.clear()
        if len(answer) > message_bytes:
            text = f"The result has {len(answer)} bytes, above PRISMHOUSE_COMPUTE__RAY_MESSAGE_BYTES ({message_bytes})"
            return failure_of(MessageTooLarge(text))
        return answer


def _bound_memory(size_bytes: int) -> None:
    """Let allocating fail with MemoryError at a limit, beside what Ray itself has reserved by now."""
    status = Path("/proc/self/status")
    if not status.exists():
        return
    [reserved_kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmData:")]
    limit = size_bytes + int(reserved_kib) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
