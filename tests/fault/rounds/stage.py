"""The server that is killed again and again, and the ways to kill it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from tests.fault.flow import victims
from tests.fault.rounds.client import Client
from tests.fault.rounds.listeners import Receiver
from tests.ray_cluster import TwoNodes
from tests.running import Api, RunningServer, launch

from prismhouse.storage.postgres.embedded import running_dsn

__all__ = ["Stage"]

_ROOT = Path(__file__).parents[3]
_SITE = Path(__file__).parent / "site"
_SETTINGS = {
    "PRISMHOUSE_WORKER__CHUNK_ROWS": "3",
    "PRISMHOUSE_WORKER__STALLED_AFTER_SECONDS": "3",
    "PRISMHOUSE_WORKER__RETRY_SECONDS": "0.1",
    "PRISMHOUSE_DATABASE__CONNECT_TIMEOUT_SECONDS": "3",
    "PRISMHOUSE_WEBHOOKS__ALLOW_HTTP": "true",
    "PRISMHOUSE_WEBHOOKS__FIRST_RETRY_SECONDS": "0.2",
}


class Stage:
    """One server for many rounds. Points that are armed kill its processes from within.

    Args:
        folder: where everything lies.
        cluster: where extraction runs; without one, in processes of this machine.
    """

    def __init__(self, folder: Path, cluster: TwoNodes | None = None) -> None:
        self.cluster = cluster
        self.faults = folder / "faults"
        self.marks = folder / "marks"
        for made in (self.faults / "hits", self.faults / "reached", self.marks):
            made.mkdir(parents=True)
        data = folder / "data"
        (self.faults / "postgres-pid").symlink_to(data / "postgres" / "cluster" / "postmaster.pid")
        environment = {
            **_SETTINGS,
            "FAULTS_IN": str(self.faults),
            "PYTHONPATH": os.pathsep.join([str(_ROOT / "src"), str(_ROOT), str(_SITE)]),
            "PRISMHOUSE_INFERENCE__CACHE_DIR": str(self.marks),
            **(_on_ray(cluster) if cluster else {}),
        }
        self.server: RunningServer = launch(data, environment)
        self._lock = threading.Lock()
        self.receiver = Receiver()
        self.server.wait_until_healthy()
        self.receiver.subscribe(Client(Api(self.server)))

    def arm(self, points: Mapping[str, Mapping[str, Any]]) -> None:
        """Let each named point kill `victim` (self or postgres) at its `hit`-th hit, once."""
        for folder in ("hits", "reached"):
            shutil.rmtree(self.faults / folder)
            (self.faults / folder).mkdir()
        draft = self.faults / "armed.draft"
        draft.write_text(json.dumps(points))
        draft.replace(self.faults / "armed.json")

    def reached(self) -> dict[str, int]:
        """Return the points at which a process died, with its id."""
        return {file.name: int(file.read_text()) for file in (self.faults / "reached").iterdir()}

    def kill(self, kind: str) -> bool:
        """Kill a process of a kind, or the supervisor and start it again; say False where none of the kind runs.

        Of a cluster: `node` and its place among those that are left; the last one is spared.
        """
        with self._lock:
            if kind.startswith("node "):
                return self._kill_node(int(kind.removeprefix("node ")))
            if kind == "supervisor":
                self.server.process.kill()
                self.server.process.wait()
                self.server = self.server.again()
                return True
            try:
                pids = victims(self.server.process.pid, kind)
            except AssertionError:
                return False
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            return True

    def mend(self) -> None:
        """Bring back the nodes that were killed."""
        if self.cluster is not None:
            self.cluster.mend()

    def _kill_node(self, place: int) -> bool:
        if self.cluster is None or len(self.cluster.nodes) < 2:
            return False
        self.cluster.kill(self.cluster.nodes[place].node_id)
        return True

    @contextmanager
    def database(self) -> Any:
        """Give a connection that reads rows as dictionaries."""
        dsn = running_dsn(self.server.data_dir / "postgres") or ""
        with psycopg.connect(dsn, row_factory=dict_row, autocommit=True) as connection:
            yield connection

    def stop(self) -> None:
        """Disarm and end it."""
        self.arm({})
        self.server.stop()
        self.receiver.stop()


def _on_ray(cluster: TwoNodes) -> dict[str, str]:
    return {
        "PRISMHOUSE_COMPUTE__KIND": "ray",
        "PRISMHOUSE_COMPUTE__RAY_ADDRESS": cluster.address,
        "PRISMHOUSE_COMPUTE__PROCESSES": "2",
    }
