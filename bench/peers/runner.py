"""Starts another store in a process of its own, in an environment of its own where it needs packages."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["PEERS", "NotInstalled", "Peer", "ask"]

ROOT = Path(__file__).parent.parent.parent
INSTALL_TIMEOUT_SECONDS = 600
RUN_TIMEOUT_SECONDS = 900


class NotInstalled(Exception):
    """The store cannot be had here, or did not finish; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A store: the module that asks it, and the packages it needs."""

    title: str
    module: str
    packages: tuple[str, ...] = ()
    vectors: bool = True


PEERS = (
    Peer("Qdrant Edge 0.9.0", "qdrant_edge_", ("qdrant-edge-py==0.9.0",)),
    Peer("LanceDB 0.40.0", "lancedb_", ("lancedb==0.40.0",)),
    Peer("SQLite with FTS5", "sqlite_fts", vectors=False),
)


def ask(peer: Peer, order: dict[str, Any], *, environments: Path) -> dict[str, Any]:
    """Return the peer's report; raise NotInstalled."""
    python = _installed(peer, environments / peer.module) if peer.packages else Path(sys.executable)
    try:
        done = subprocess.run(
            [str(python), "-m", f"bench.peers.{peer.module}"],
            input=json.dumps(order),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=RUN_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"not done after {RUN_TIMEOUT_SECONDS} s") from error
    if done.returncode:
        raise NotInstalled(f"it ended with {done.returncode}; its words stand above")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _installed(peer: Peer, environment: Path) -> Path:
    uv = Path(sys.executable).parent / "uv"
    python = environment / "bin" / "python"
    if python.exists():
        return python
    packages = [*peer.packages, f"numpy=={version('numpy')}"]
    for command in (
        [str(uv), "venv", "--quiet", "--python", sys.executable, str(environment)],
        [str(uv), "pip", "install", "--quiet", "--python", str(python), *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_SECONDS)
        if done.returncode:
            raise NotInstalled(done.stderr.strip()[-400:])
    return python
