"""What the adapter and its bridge tell each other: one pickle a message, its length before it."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from typing import Any, BinaryIO, Literal

from prismhouse.storage.compute.child import LENGTH

__all__ = [
    "BEAT_SECONDS",
    "Beat",
    "Call",
    "Cancel",
    "FileMark",
    "Options",
    "Outcome",
    "Ready",
    "Refused",
    "framed",
    "read",
    "receive",
    "send",
]

BEAT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FileMark:
    """A file among the arguments; on a node it is the same file if all of this is equal there."""

    path: str
    inode: int
    size_bytes: int
    changed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """First message to a bridge."""

    address: str | None
    processes: int
    idle_seconds: float
    start_seconds: float
    message_bytes: int
    file_bytes: int
    object_store_bytes: int
    memory_bytes: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """To the bridge: run this, and say what came of it under its number."""

    number: int
    function: str
    group: str
    frame: bytes
    files: Sequence[FileMark]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """To the bridge: kill the call, and say when it is gone."""

    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    """From the bridge: the cluster is joined."""

    address: str
    nodes: int
    cpus: float


@dataclass(frozen=True, slots=True)
class Refused:
    """From the bridge, which ends then: the cluster cannot be joined; `passing` when it may be later."""

    reason: str
    passing: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """From the bridge: how a call ended; `value` is the answer's frame, or the reason why there is none."""

    number: int
    kind: Literal["answered", "lost", "timed_out", "unavailable", "unfit", "files_too_large"]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Beat:
    """From the bridge, every few seconds: it lives."""


async def receive(reader: asyncio.StreamReader) -> Any:
    """Return the next message; raise asyncio.IncompleteReadError at the end of the stream."""
    (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return pickle.loads(await reader.readexactly(size))  # noqa: S301 - between a process and its own child


def read(file: BinaryIO | FileIO) -> Any:
    """Return the next message of an unbuffered pipe; raise EOFError at its end."""
    (size,) = LENGTH.unpack(_exactly(file, LENGTH.size))
    return pickle.loads(_exactly(file, size))  # noqa: S301 - between a process and its own parent


def _exactly(file: BinaryIO | FileIO, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = file.read(size - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def framed(message: Any) -> bytes:
    """Return a message as it travels."""
    raw = pickle.dumps(message, protocol=5)
    return LENGTH.pack(len(raw)) + raw


def send(writer: asyncio.StreamWriter, message: Any) -> None:
    """Write a message as a whole."""
    writer.write(framed(message))
