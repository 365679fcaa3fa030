"""Numbers of processes, kept in files that other processes read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import clean_environment

from prismhouse.telemetry import metrics
from prismhouse.telemetry.families import FAMILIES, HTTP_SECONDS, PROCESSES, ROWS
from prismhouse.telemetry.family import MOST_SERIES

COUNT_ONE = """
import sys
from pathlib import Path
from prismhouse.telemetry import metrics
from prismhouse.telemetry.families import PROCESSES, ROWS
metrics.begin(Path(sys.argv[1]))
ROWS.add("text", "processed", number=float(sys.argv[2]))
PROCESSES.set("worker", to=1)
"""


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    yield
    metrics.end()


def lines(folder_text: bytes, name: str) -> list[str]:
    return [line for line in folder_text.decode().splitlines() if line.startswith(name)]


def count_elsewhere(folder: Path, number: int) -> None:
    subprocess.run([sys.executable, "-c", COUNT_ONE, str(folder), str(number)], check=True, env=clean_environment())


def test_nothing_is_imported_or_counted_before_it_begins() -> None:
    code = "import sys; from prismhouse.telemetry.families import ROWS; ROWS.add('a', 'b'); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean_environment()
    )

    loaded = ran.stdout.split()
    assert "prometheus_client" not in loaded
    assert not any(name.startswith("opentelemetry") for name in loaded)
    ROWS.add("text", "processed")
    assert lines(metrics.exposition(), "prismhouse_rows_total") == []


def test_processes_add_up_and_the_dead_are_not_alive(tmp_path: Path) -> None:
    folder = tmp_path / "metrics" / "here"
    count_elsewhere(folder, 2)
    metrics.begin(folder)
    ROWS.add("text", "processed", number=3)
    PROCESSES.set("api", to=1)

    shown = metrics.exposition()

    assert lines(shown, "prismhouse_rows_total{") == ['prismhouse_rows_total{extractor="text",outcome="processed"} 5.0']
    assert lines(shown, "prismhouse_processes{") == ['prismhouse_processes{process="api"} 1.0']


def test_a_torn_file_costs_only_itself(tmp_path: Path) -> None:
    folder = tmp_path / "metrics" / "here"
    metrics.begin(folder)
    ROWS.add("text", "processed")
    (folder / "counter_999999999.db").write_bytes(b"\xff\xff\xff\x7f" + b"\xff" * 100)
    (folder / "histogram_999999998.db").write_bytes(b"")

    assert lines(metrics.exposition(), "prismhouse_rows_total{")


def test_files_of_the_dead_are_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "metrics" / "here"
    folder.mkdir(parents=True)
    for number in range(100):
        file = folder / f"counter_{10**8 + number}.db"
        file.write_bytes(bytes(64))
        os.utime(file, (number, number))
    elsewhere = tmp_path / "metrics" / "another-machine"
    elsewhere.mkdir()
    (elsewhere / "counter_1.db").write_bytes(bytes(64))
    os.utime(elsewhere / "counter_1.db", (1, 1))

    metrics.begin(folder)

    kept = sorted(int(file.stem.split("_")[1]) for file in folder.glob("counter_1*.db"))
    assert [number for number in kept if number >= 10**8] == [10**8 + number for number in range(84, 100)]
    assert not elsewhere.exists()


def test_numbers_stay_in_the_process_when_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("a file is in the way")

    metrics.begin(tmp_path / "metrics" / "here")
    ROWS.add("text", "failed")

    assert lines(metrics.exposition(), "prismhouse_rows_total{")


def test_series_are_bounded_when_labels_are_not(tmp_path: Path) -> None:
    metrics.begin(None)
    for number in range(MOST_SERIES + 100):
        ROWS.add(f"extractor {number}", "processed")

    shown = lines(metrics.exposition(), "prismhouse_rows_total{")
    assert len(shown) == MOST_SERIES + 1
    assert 'prismhouse_rows_total{extractor="other",outcome="other"} 100.0' in shown


def test_counting_a_request_costs_microseconds(tmp_path: Path) -> None:
    metrics.begin(tmp_path / "metrics" / "here")
    HTTP_SECONDS.observe("/v1/x", "GET", seconds=0.01)
    rounds = 2000
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(rounds):
            HTTP_SECONDS.observe("/v1/x", "GET", seconds=0.01)
        best = min(best, (time.perf_counter() - started) / rounds)

    assert best < 50e-6


def test_every_family_has_a_name_by_the_conventions_and_a_meaning() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) > 20
    for family in FAMILIES:
        assert family.name.startswith("prismhouse_")
        assert (family.kind == "counter") == family.name.endswith("_total")
        assert (family.kind == "histogram") == family.name.endswith("_seconds")
        assert family.meaning.endswith(".")
