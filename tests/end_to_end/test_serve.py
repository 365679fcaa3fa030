"""`prismhouse serve` as a whole: it starts, says so, stays up, and stops without leaving anything behind."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

import pytest
from conditions import eventually
from tests.running import launch

SECRET = "mxp_sk_a_secret_key_of_the_operator"


def children(pid: int) -> dict[str, int]:
    """Return the supervisor's child processes by kind."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        kind = next((kind for kind in ("api-process", "worker-process", "/postgres ") if kind in command), None)
        if kind:
            found[kind.strip("/ ")] = int(child)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def all_gone(pids: dict[str, int]) -> None:
    eventually(lambda: [pid for pid in pids.values() if is_alive(pid)], until=lambda alive: not alive)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A server that outlives these tests: it listens everywhere, and its first key is the operator's."""
    settings = {"PRISMHOUSE_SERVER__HOST": "0.0.0.0", "PRISMHOUSE_BOOTSTRAP_API_KEY": SECRET}
    running = launch(tmp_path_factory.mktemp("standing") / "data", settings)
    try:
        running.wait_until_healthy()
        yield running
    finally:
        code = running.stop()
    assert code == 0, running.log()


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_stop_is_clean_when_asked(private_server, kind):
    running = private_server()
    pids = children(running.process.pid)
    assert set(pids) == {"api-process", "worker-process", "postgres"}

    code = running.stop(kind)

    assert code == 0, running.log()
    assert "Traceback" not in running.log()
    all_gone(pids)
    assert not (running.data_dir / "postgres" / "cluster" / "postmaster.pid").exists()


def test_stop_is_clean_when_asked_before_it_is_ready(private_server):
    running = private_server(wait=False)
    eventually(lambda: children(running.process.pid), until=lambda found: "api-process" in found)

    assert running.stop() == 0, running.log()
    assert "Traceback" not in running.log()


def test_data_and_key_stay_when_started_again(private_server):
    running = private_server()
    key = running.api_key
    running.stop()

    again = private_server(data_dir=running.data_dir)

    assert again.api_key == key
    assert again.log().count(key) == 1, "the key is shown once"
    assert stat.S_IMODE((running.data_dir / "api-key").stat().st_mode) == 0o600


def test_start_fails_clearly_when_the_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        failing = launch(tmp_path / "data", {}, port=port)

        code = failing.process.wait(30)

    assert code == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in failing.log()
    assert "--port" in failing.log()
    assert "Traceback" not in failing.log()


def test_start_fails_clearly_when_the_data_folder_is_in_use(standing):
    second = launch(standing.data_dir, {})

    assert second.process.wait(30) == 1
    assert f"is in use by process {standing.process.pid}" in second.log()
    assert standing.health() == 200


@pytest.mark.parametrize("victim", ["api-process", "worker-process", "postgres"])
def test_child_is_replaced_when_it_is_killed(standing, victim):
    before = children(standing.process.pid)
    said = standing.log().count("again")

    os.kill(before[victim], signal.SIGKILL)

    eventually(
        lambda: children(standing.process.pid).get(victim), until=lambda pid: pid is not None and pid != before[victim]
    )
    eventually(standing.health, until=lambda status: status == 200)
    assert standing.log().count("again") > said


def test_children_end_and_data_opens_again_when_the_supervisor_is_killed(private_server):
    running = private_server()
    pids = children(running.process.pid)

    running.stop(signal.SIGKILL)

    all_gone(pids)
    again = private_server(data_dir=running.data_dir)
    assert again.api_key == running.api_key


def test_open_address_is_said_out_loud_when_listening_everywhere(standing):
    eventually(standing.log, until=lambda text: "WARNING: it listens on every address" in text)


def test_secrets_stand_in_no_command_line_when_it_runs(standing):
    for pid in (standing.process.pid, *children(standing.process.pid).values()):
        assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert SECRET not in standing.log()


def test_idle_memory_stays_small_when_nothing_was_asked(standing):
    def megabytes(pid: int) -> float:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        own = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        return own + sum(megabytes(int(child)) for child in below)

    assert megabytes(standing.process.pid) < 500
