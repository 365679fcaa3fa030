"""/metrics of a real server: one scrape shows the API, the workers and the database, and not to everybody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from conditions import eventually
from prometheus_client.parser import text_string_to_metric_families
from tests.running import Api, RunningServer, clean_environment
from tests.watching import run_batch

Numbers = dict[str, dict[tuple[tuple[str, str], ...], float]]


def scrape(server: RunningServer, **headers: str) -> Numbers:
    request = urllib.request.Request(f"{server.base_url}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    found: Numbers = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def status_of(server: RunningServer, **headers: str) -> int:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{server.base_url}/metrics", headers=headers), timeout=10
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def value(numbers: Numbers, name: str, **labels: str) -> float:
    """Return the sum of the series that have these labels."""
    return sum(number for key, number in numbers.get(name, {}).items() if labels.items() <= dict(key).items())


def test_one_scrape_shows_what_api_and_workers_did(server: RunningServer, api: Api) -> None:
    before = scrape(server)
    batch = run_batch(api, ["one", "two", "three"])
    assert batch["status"] == "COMPLETED", batch

    numbers = eventually(
        lambda: scrape(server),
        until=lambda now: (
            value(now, "prismhouse_rows_total") >= value(before, "prismhouse_rows_total") + 3
            and value(now, "prismhouse_process_resident_memory_bytes", process="compute") > 0
        ),
    )

    rows = "prismhouse_rows_total"
    done = {"extractor": "passthrough_extractor_v1", "outcome": "processed"}
    assert value(numbers, rows, **done) - value(before, rows, **done) == 3
    assert value(numbers, "prismhouse_jobs_total", job="batches.run_chunk", outcome="succeeded") >= 1
    assert value(numbers, "prismhouse_chunk_duration_seconds_count", extractor="passthrough_extractor_v1") >= 1
    route = "/v1/buckets/{bucket_identifier}/batches/{batch_id}/submit"
    assert value(numbers, "prismhouse_http_requests_total", route=route, method="POST", status="200") >= 1
    assert value(numbers, "prismhouse_http_request_duration_seconds_count", route=route) >= 1
    for process in ("api", "worker"):
        assert value(numbers, "prismhouse_process_resident_memory_bytes", process=process) > 10**7
        assert value(numbers, "prismhouse_processes", process=process) == 1
    assert value(numbers, "prismhouse_database_up") == 1
    assert value(numbers, "prismhouse_workers") >= 1
    assert value(numbers, "prismhouse_database_connections", pool="read", state="idle") >= 1
    assert value(numbers, "prismhouse_compute_call_duration_seconds_count", outcome="returned") >= 1


def test_no_label_names_a_tenant_or_what_a_client_sent(server: RunningServer, api: Api) -> None:
    api.call("GET", "/v1/buckets/bkt_secret_name")
    api.call("GET", "/v1/nowhere/at-all")
    numbers = scrape(server)

    shown = repr(numbers)
    assert api.namespace is not None
    for text in (api.namespace, "bkt_", "btch_", "org_", "at-all", "secret_name"):
        assert text not in shown
    assert value(numbers, "prismhouse_http_requests_total", status="404", route="unknown") >= 1


def test_others_need_an_administrators_key_when_they_come_from_elsewhere(server: RunningServer) -> None:
    assert status_of(server) == 200
    for header in (
        {"X-Forwarded-For": "8.8.8.8"},
        {"Host": "house.example"},
        {"Host": "[::1"},
        {"Origin": "https://evil.example"},
    ):
        assert status_of(server, **header) == 401
    key = {"Authorization": f"Bearer {server.api_key}"}
    assert status_of(server, **{"X-Forwarded-For": "8.8.8.8"}, **key) == 200
    assert status_of(server, **{"X-Forwarded-For": "8.8.8.8"}, Authorization=f"Bearer {reader(server)}") == 403


def test_counters_do_not_fall_when_a_worker_is_killed(
    private_server: Callable[..., RunningServer], api_of: Callable[..., Api]
) -> None:
    server = private_server(PRISMHOUSE_METRICS__ACCESS="open")
    assert status_of(server, Host="house.example") == 200
    run_batch(api_of(server, "killed"), ["one"])
    rows = {"extractor": "passthrough_extractor_v1", "outcome": "processed"}
    eventually(lambda: value(scrape(server), "prismhouse_rows_total", **rows), until=lambda number: number == 1)

    [worker] = [int(file.stem.split("_")[-1]) for file in metric_files(server) if holds(file, "passthrough_extractor")]
    os.kill(worker, signal.SIGKILL)

    numbers = eventually(
        lambda: scrape(server),
        until=lambda now: (
            value(now, "prismhouse_processes", process="worker") == 1
            and worker not in {int(file.stem.split("_")[-1]) for file in metric_files(server) if "gauge" in file.name}
        ),
    )
    assert value(numbers, "prismhouse_rows_total", **rows) == 1


def test_nothing_is_counted_when_metrics_are_off(private_server: Callable[..., RunningServer]) -> None:
    server = private_server(PRISMHOUSE_METRICS__ACCESS="off")

    assert status_of(server) == 404
    assert not (server.data_dir / "metrics").exists()


def metric_files(server: RunningServer) -> list[Path]:
    return list((server.data_dir / "metrics").glob("*/*.db"))


def holds(file: Path, text: str) -> bool:
    return "counter" in file.name and text.encode() in file.read_bytes()


def reader(server: RunningServer) -> str:
    """Return a key that may only read."""
    command = [sys.executable, "-m", "prismhouse", "keys", "create", "reader", "--permission", "read"]
    made = subprocess.run(
        [*command, "--data", str(server.data_dir)], env=clean_environment(), capture_output=True, check=True, text=True
    )
    return made.stdout.strip()
