"""What the other stores share: the order they are given, how their answers are timed, and how they report.

Standard library only: it runs in their environments.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.corpus import Questions

__all__ = ["Order", "Peer", "run", "say"]

Question = Callable[[int], Sequence[Any]]
MOST_SECONDS = 6.0
WARM_UP = 10


class Order:
    """What is to be loaded and asked.

    Attributes:
        file: the documents, one a line.
        folder: where the store keeps its data.
        vectors: a file of numpy, or None where the documents have none; `queries` likewise.
        asks: how often each question is asked at most.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.file = Path(content["file"])
        self.folder = Path(content["folder"])
        self.vectors: str | None = content["vectors"]
        self.queries: str | None = content["queries"]
        self.questions = Questions(**content["questions"])
        self.asks: int = content["asks"]
        self.neighbours: int = content["neighbours"]


class Peer(Protocol):
    """One store with the documents in it."""

    def load(self) -> None:
        """Write every document, and its vector where there are any, until it is on disk."""
        ...

    def index(self) -> None:
        """Build what its documentation recommends for the questions."""
        ...

    def questions(self) -> dict[str, Question]:
        """Return the questions that it can answer; each takes a number and returns what it found."""
        ...

    def notes(self) -> list[str]:
        """Return what a reader must know to compare."""
        ...


def run(make: Callable[[Order], Peer]) -> None:
    """Follow the order on the standard input; the report is the last line of the standard output."""
    order = Order(json.load(sys.stdin))
    peer = make(order)
    began = time.perf_counter()
    peer.load()
    loaded = time.perf_counter()
    say(f"loaded in {loaded - began:.1f} s")
    peer.index()
    indexed = time.perf_counter()
    say(f"indexed in {indexed - loaded:.1f} s")
    report: dict[str, Any] = {
        "load_seconds": loaded - began,
        "index_seconds": indexed - loaded,
        "questions": {},
        "found": {},
        "nearest": [],
        "notes": peer.notes(),
    }
    for name, ask in peer.questions().items():
        if name.startswith("nearest") and order.vectors is None:
            continue
        report["questions"][name] = _timed(ask, order.asks)
        first = ask(0)
        report["found"][name] = len(first)
        if name == "nearest":
            report["nearest"] = [list(ask(number)) for number in range(order.asks)]
        say(f"{name}: {report['questions'][name]['p50']:.3g} ms, {len(first)} found")
    print(json.dumps(report), flush=True)


def say(text: str) -> None:
    """Show how far it is."""
    print(f"    {text}", file=sys.stderr, flush=True)


def _timed(ask: Question, most: int) -> dict[str, float]:
    """Ask with different numbers, after a warm-up, for some seconds at most, and at least three times."""
    deadline = time.perf_counter() + MOST_SECONDS / 3
    for number in range(WARM_UP):
        ask(number)
        if time.perf_counter() > deadline:
            break
    seconds: list[float] = []
    deadline = time.perf_counter() + MOST_SECONDS
    while len(seconds) < most and (len(seconds) < 3 or time.perf_counter() < deadline):
        began = time.perf_counter()
        ask(len(seconds))
        seconds.append(time.perf_counter() - began)
    ordered = sorted(value * 1000 for value in seconds)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 3),
        "mean": round(statistics.fmean(ordered), 3),
        "count": len(ordered),
    }
