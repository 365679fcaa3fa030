"""kill -9 in the middle of a batch: nothing acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import pytest
from conditions import eventually
from tests.fault.flow import QUICK, Flow, kill, processes_under, victims


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["extraction", "worker", "api", "postgres"])
def test_batch_completes_exactly_once_when_a_process_is_killed(private_server, api_of, unique_name, kind):
    server = private_server(**QUICK)
    flow = Flow(api_of(server, unique_name))
    flow.wait_until_midway()

    kill(victims(server.process.pid, kind))

    flow.check_end()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kinds", [(), ("worker", "api", "postgres", "extraction")], ids=["supervisor", "everything"])
def test_batch_completes_exactly_once_when_the_supervisor_is_killed_and_started_again(
    private_server, api_of, unique_name, kinds
):
    server = private_server(**QUICK)
    flow = Flow(api_of(server, unique_name))
    flow.wait_until_midway()

    kill([server.process.pid, *(victims(server.process.pid, *kinds) if kinds else ())])
    server.process.wait()
    flow.api.server = private_server(data_dir=server.data_dir, **QUICK)

    flow.check_end()


@pytest.mark.timeout(240)
def test_batch_completes_exactly_once_when_the_server_is_stopped_and_started_again(private_server, api_of, unique_name):
    server = private_server(**QUICK)
    flow = Flow(api_of(server, unique_name))
    flow.wait_until_midway()

    assert server.stop() == 0
    flow.api.server = private_server(data_dir=server.data_dir, **QUICK)

    flow.check_end()


@pytest.mark.timeout(240)
def test_batch_completes_exactly_once_when_three_workers_share_it_and_two_are_killed(
    private_server, private_worker, api_of, unique_name
):
    server = private_server(PRISMHOUSE_WORKER__PROCESSES="2", **QUICK)
    worker = private_worker(server)
    flow = Flow(api_of(server, unique_name))
    flow.wait_until_midway()

    kill([victims(server.process.pid, "worker")[0], worker.pid])

    flow.check_end()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("ready", [True, False], ids=["ready", "starting"])
def test_server_starts_again_on_its_port_when_the_supervisor_was_killed(private_server, ready):
    server = private_server()
    if not ready:
        assert server.stop() == 0
        server = private_server(data_dir=server.data_dir, wait=False)
        eventually(lambda: processes_under(server.process.pid), until=lambda found: len(found) > 3)

    kill([server.process.pid])
    server.process.wait()
    again = server.again()

    try:
        again.wait_until_healthy()
    finally:
        again.stop()
