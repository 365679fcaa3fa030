"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Deaths are noticed in two seconds instead of half a minute.
_QUICK = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
_OBJECT_STORE_BYTES = 150 << 20


class TwoNodes:
    """A head that runs nothing, and two nodes with a CPU each, of which one may be killed and made anew."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": _OBJECT_STORE_BYTES,
                "include_dashboard": False,
                "_system_config": _QUICK,
            },
        )
        self.nodes = [self.add(), self.add()]

    @property
    def address(self) -> str:
        """`host:port` of the head."""
        return str(self.cluster.address)

    def add(self) -> Any:
        """Return a new node with one CPU."""
        return self.cluster.add_node(num_cpus=1, object_store_memory=_OBJECT_STORE_BYTES)

    def kill(self, node_id: str) -> None:
        """Kill all processes of a node, as a power cut would."""
        node = next(node for node in self.nodes if node.node_id == node_id)
        self.nodes.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def actors(self, node: Any) -> list[int]:
        """Return the extraction processes of a node."""
        raylet = node.all_processes["raylet"][0].process.pid
        tasks = Path(f"/proc/{raylet}/task").glob("*/children")
        pids = [int(pid) for task in tasks for pid in task.read_text().split()]
        return [pid for pid in pids if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Extraction")]

    def mend(self) -> None:
        """Bring the cluster back to two nodes."""
        while len(self.nodes) < 2:
            self.nodes.append(self.add())


def on_ray(address: str, **more: str) -> dict[str, str]:
    """Return the settings of a server that extracts on a cluster."""
    return {
        "PRISMHOUSE_COMPUTE__KIND": "ray",
        "PRISMHOUSE_COMPUTE__RAY_ADDRESS": address,
        "PRISMHOUSE_COMPUTE__PROCESSES": "2",
        **more,
    }


@contextmanager
def _environment() -> Iterator[None]:
    """Nodes import what this process can, and tell nobody of it."""
    given = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), *sys.path]))}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Yield a new cluster."""
    with _environment():
        cluster = TwoNodes()
        try:
            yield cluster
        finally:
            cluster.cluster.shutdown()


@contextmanager
def one_node(port: int) -> Iterator[str]:
    """Run a cluster of one node whose head listens at `port`, and end it as a power cut would; give its address."""
    from ray.cluster_utils import Cluster

    with _environment():
        cluster = Cluster()
        cluster.add_node(
            num_cpus=1,
            gcs_server_port=port,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            _system_config=_QUICK,
        )
        try:
            yield str(cluster.address)
        finally:
            cluster.remove_node(cluster.head_node, allow_graceful=False)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[TwoNodes]:
    """One cluster for the run: whoever kills a node mends it."""
    with two_nodes() as cluster:
        yield cluster
