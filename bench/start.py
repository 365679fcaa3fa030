"""Start to healthy, cold and warm, and the memory of the idle server.

Cold: an empty data folder, so PostgreSQL makes its cluster, the schema is migrated and the first key is made. Warm: the
same folder again. Memory: the sum of PSS (shared pages are divided among those who share them) over the server's
process and all its descendants, PostgreSQL included, five seconds after it became healthy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.harness import Report, run_alone, wait_until_quiet
from prismhouse.cli.demo.house import House

COLD_SECONDS = 6.0
WARM_SECONDS = 3.0
MEMORY_MB = 500.0
RUNS = 5
IDLE_SECONDS = 5.0


def measure(options: argparse.Namespace) -> int:
    """Start and stop the server ten times."""
    report = Report(name="start", data=f"empty data folders, {RUNS} cold and {RUNS} warm starts")
    cold, warm = [], []
    wait_until_quiet()
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder:
            cold.append(_start(Path(folder)))
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder:
        _start(Path(folder))
        warm = [_start(Path(folder)) for _ in range(RUNS)]
        memory = _idle_memory(Path(folder))
    report.figure("cold_seconds", [round(seconds, 3) for seconds in cold], "s")
    report.figure("warm_seconds", [round(seconds, 3) for seconds in warm], "s")
    report.figure("idle_memory_mb", memory, "MB PSS by process")
    report.bound("slowest cold start, seconds", max(cold), "at most", COLD_SECONDS)
    report.bound("slowest warm start, seconds", max(warm), "at most", WARM_SECONDS)
    report.bound("idle memory, MB", sum(memory.values()), "at most", MEMORY_MB)
    return report.finish(check=options.check)


def _start(folder: Path) -> float:
    with House(folder) as house:
        began = time.perf_counter()
        house.start()
        seconds = time.perf_counter() - began
        house.stop()
    return seconds


def _idle_memory(folder: Path) -> dict[str, float]:
    with House(folder) as house:
        house.start()
        time.sleep(IDLE_SECONDS)
        memory = {f"{pid} {_name(pid)}": round(_pss_kb(pid) / 1024, 1) for pid in _family(house.pid)}
        house.stop()
    return memory


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    return [pid, *(member for child in children for member in _family(child))]


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _name(pid: int) -> str:
    """Return the program without its folder, and its first words."""
    program, *words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return " ".join([program if ":" in program else Path(program).name, *words[:3]]).strip()


def _pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    run_alone(measure, __doc__ or "")
