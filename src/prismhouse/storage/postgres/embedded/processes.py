"""Looking at processes before touching what they left behind, and tying a child's life to ours."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["dies_with_parent", "end_all", "servers_in"]

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1


def servers_in(cluster: Path) -> list[int]:
    """Return the live PostgreSQL processes whose working folder is `cluster`, whoever started them."""
    if not (_PROC / "self").exists():
        return _recorded_server(cluster)
    folder = cluster.resolve()
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit() and _serves(entry, folder)]


def _serves(entry: Path, folder: Path) -> bool:
    try:
        return (
            (entry / "cwd").readlink() == folder
            and (entry / "comm").read_text().startswith("postgres")
            and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except OSError:
        return False


def _recorded_server(cluster: Path) -> list[int]:
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return []
    return [pid]


def end_all(cluster: Path, *, timeout_seconds: float) -> bool:
    """Stop every server process of `cluster`: fast shutdown first, then at once. Say whether all are gone.

    SIGINT is PostgreSQL's fast shutdown. SIGQUIT is its immediate one, safe because the next start replays
    the log.
    """
    for kind in (signal.SIGINT, signal.SIGQUIT):
        for pid in servers_in(cluster):
            try:
                os.kill(pid, kind)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + timeout_seconds
        while servers_in(cluster):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return True
    return False


def dies_with_parent(signal_number: int) -> Callable[[], None] | None:
    """Return a function for a child to call after fork and after it changed its account, or None.

    The kernel then sends `signal_number` when the thread that started the child ends, even by SIGKILL; so
    the child has to be started from a thread that lives as long as it should.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm
