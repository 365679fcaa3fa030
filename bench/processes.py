"""Memory and processor time of a server and everything it started; Linux alone.

Memory is what each process holds, shared pages divided among their users.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_mb", "processor_seconds"]

_KINDS = {
    "storage.compute.child": "extraction",
    "worker-process": "worker",
    "api-process": "API",
    "postgres": "PostgreSQL",
}


def memory_mb(pid: int) -> dict[str, float]:
    """Return proportional set sizes by kind of process, with their sum as `all`."""
    found: dict[str, float] = {}
    for number, command in _tree(pid):
        try:
            size = _proportional_mb(number)
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[_kind(command)] = found.get(_kind(command), 0.0) + size
    return {**found, "all": sum(found.values())}


def processor_seconds(pid: int) -> dict[str, float]:
    """Return the processor time by kind of process, with the sum as `all`.

    Ended children count for the process that waited for them.
    """
    found: dict[str, float] = {}
    for number, command in _tree(pid):
        try:
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        seconds = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
        found[_kind(command)] = found.get(_kind(command), 0.0) + seconds
    return {**found, "all": sum(found.values())}


def _kind(command: str) -> str:
    return next((name for mark, name in _KINDS.items() if mark in command), "supervisor")


def _tree(pid: int) -> Iterator[tuple[int, str]]:
    """Yield each process with its command."""
    waiting = [pid]
    while waiting:
        number = waiting.pop()
        try:
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
            command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        waiting += [int(child) for child in children]
        yield number, command


def _proportional_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 1024
