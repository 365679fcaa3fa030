"""What watching costs: CPU time that numbers and traces add to each request, and what one scrape takes.

The edge of the server around an application that answers at once, asked in turns without numbers, with numbers in
shared files, and with numbers and traces that a receiver in another process takes.
"""

from __future__ import annotations

import argparse
import asyncio
import http.server
import logging
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from bench.harness import Report, run_alone, wait_until_quiet
from prismhouse.server.middleware import Edge
from prismhouse.settings import TracingSettings
from prismhouse.telemetry import metrics, traces

REQUESTS = 2_000
ROUNDS = 15
ROUTES = 200
OVERHEAD_MICROSECONDS = 50.0
SCRAPE_MS = 250.0


def measure(options: argparse.Namespace) -> int:
    """Ask the same application in three ways, in turns."""
    _be_quiet()
    report = Report(name="observability", data=f"{ROUNDS} rounds of {REQUESTS:,} requests in each way")
    wait_until_quiet()
    sink, port = _receiver()
    try:
        with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder:
            costs = asyncio.run(_costs(Path(folder) / "metrics" / "here", port))
            scrape = _scrape(Path(folder) / "metrics" / "there")
    finally:
        sink.terminate()
        sink.join()
    plain, counted, traced = (statistics.median(costs[way]) * 1e6 for way in ("plain", "counted", "traced"))
    report.figure("request_without", round(plain, 1), "us CPU")
    report.figure("numbers_add", round(counted - plain, 1), "us CPU")
    report.figure("traces_add", round(traced - counted, 1), "us CPU")
    report.figure("scrape", round(scrape * 1000, 1), "ms")
    report.bound("numbers, microseconds per request", counted - plain, "at most", OVERHEAD_MICROSECONDS)
    report.bound("a scrape, milliseconds", scrape * 1000, "at most", SCRAPE_MS)
    report.note(
        "CPU time of the whole process, with the thread that sends spans; one span per request, every request traced"
    )
    report.note(f"the scrape adds two processes with {ROUTES} routes each; the database's part is not in it")
    return report.finish(check=options.check)


async def _costs(folder: Path, port: int) -> dict[str, list[float]]:
    edge = Edge(_application, body_bytes=2**20, roots=frozenset())
    ways: dict[str, Callable[[], None]] = {
        "plain": lambda: None,
        "counted": lambda: metrics.begin(folder),
        "traced": lambda: _begin_both(folder, port),
    }
    costs: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, begin in ways.items():
            begin()
            await _ask(edge, ROUTES)
            costs[way].append(await _ask(edge, REQUESTS))
            metrics.end()
            traces.end()
    return costs


def _be_quiet() -> None:
    """Leave out what the log costs: it is the same in all three ways."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _begin_both(folder: Path, port: int) -> None:
    metrics.begin(folder)
    traces.begin(TracingSettings(endpoint=f"http://127.0.0.1:{port}"), process="bench")


async def _ask(edge: Edge, requests: int) -> float:
    began = time.process_time()
    for number in range(requests):
        await edge(_scope(number % ROUTES), _nothing, _forget)
    return (time.process_time() - began) / requests


def _scope(number: int) -> dict[str, Any]:
    path = f"/v1/things{number}/x"
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "state": {"template": f"/v1/things{number}/{{id}}"},
    }


async def _application(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def _nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _forget(_: Any) -> None:
    return


def _count(folder: Path) -> None:
    _be_quiet()
    metrics.begin(folder)
    asyncio.run(_ask(Edge(_application, body_bytes=2**20, roots=frozenset()), ROUTES))


def _scrape(folder: Path) -> float:
    other = multiprocessing.get_context("spawn").Process(target=_count, args=(folder,))
    other.start()
    other.join()
    _count(folder)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        text = metrics.exposition()
        times.append(time.perf_counter() - began)
    assert text.count(b"prismhouse_http_requests_total{") == ROUTES
    metrics.end()
    return statistics.median(times)


class _Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _serve(ports: Any) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as web:
        ports.put(web.server_port)
        web.serve_forever()


def _receiver() -> tuple[Any, int]:
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=_serve, args=(ports,), daemon=True)
    process.start()
    return process, int(ports.get(timeout=30))


if __name__ == "__main__":
    run_alone(measure, __doc__ or "")
