"""Memory of a server and everything it started: what each process holds, shared pages divided among their users."""

from __future__ import annotations

from pathlib import Path

__all__ = ["memory_mb"]

_KINDS = {
    "storage.compute.child": "extraction",
    "worker-process": "worker",
    "api-process": "API",
    "postgres": "PostgreSQL",
}


def memory_mb(pid: int) -> dict[str, float]:
    """Return proportional set sizes by kind of process, with their sum as `all`; Linux alone."""
    found: dict[str, float] = {}
    waiting = [pid]
    while waiting:
        number = waiting.pop()
        try:
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
            command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            size = _proportional_mb(number)
        except (FileNotFoundError, ProcessLookupError):
            continue
        waiting += [int(child) for child in children]
        kind = next((name for mark, name in _KINDS.items() if mark in command), "supervisor")
        found[kind] = found.get(kind, 0.0) + size
    return {**found, "all": sum(found.values())}


def _proportional_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 1024
