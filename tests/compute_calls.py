"""Functions for compute processes; light to import, since every process does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from prismhouse.kit.errors import Invalid, field_fault

loaded: dict[str, int] = {}


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__()
        self.hold = lambda: None


def double(value: Any) -> Any:
    print("a print must not break the frames")
    return value * 2


def process_id() -> int:
    return os.getpid()


def load_once() -> int:
    loaded["count"] = loaded.get("count", 0) + 1
    return loaded["count"]


def raise_one(kind: str) -> None:
    if kind == "value":
        raise ValueError("no such value")
    if kind == "house":
        raise Invalid([field_fault(["body", "a"], "is wrong")])
    raise Unpicklable


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds: float, mark: str | None = None) -> float:
    if mark:
        Path(mark).write_text(str(os.getpid()))
    time.sleep(seconds)
    return seconds


def meet(mine: str, other: str) -> bool:
    Path(mine).touch()
    deadline = time.monotonic() + 30
    while not Path(other).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return Path(other).exists()


def crash_in_native_code() -> None:
    """End as a fault in a library does, past every handler."""
    os.kill(os.getpid(), signal.SIGSEGV)


def exit_at_once(status: int) -> None:
    """End without a word."""
    os._exit(status)


def size_of(value: bytes) -> int:
    """Return how much came."""
    return len(value)


def bytes_of(size: int) -> bytes:
    """Return so much."""
    return b"x" * size


def read_files(rows: list[dict[str, Any]]) -> list[tuple[str, bytes]]:
    """Return place and content of the file of each row."""
    return [(str(row["path"]), row["path"].read_bytes()) for row in rows]


def where(mark: str | None = None, seconds: float = 0) -> tuple[str, int]:
    """Return the Ray node and the process; wait a little, so that calls spread."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    if mark:
        Path(mark).write_text(f"{node} {os.getpid()}")
    time.sleep(seconds)
    return node, os.getpid()


def return_unpicklable() -> Any:
    """Return what cannot travel."""
    return lambda: None


def exist(paths: list[str]) -> list[bool]:
    """Return which of the files are here."""
    return [Path(path).exists() for path in paths]


def read_sizes(paths: list[Path]) -> list[int]:
    """Return the sizes of files."""
    return [path.stat().st_size for path in paths]


def allocate(size: int) -> int:
    """Take memory for a moment."""
    return len(bytearray(size))
