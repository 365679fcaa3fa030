"""POST /v1/inference under many clients: what calls that come at once cost, beside the bare model.

Each of 32 clients sends one text of a few dozen words after another, on a kept connection of its own, until all are
embedded. "Bare" is the same model on the same texts in this process with one thread, as the server runs it: in runs of
32 (what 32 waiting calls could at best become), and one text a run. "One client" asks for one text after another over
HTTP. All take turns, so that they meet the same machine; the best round of each counts, since what disturbs only slows.

A core that embeds a text of 40 words for 20 ms gains little by company: what is shown is that many clients lose nothing
to each other. The clients run in a process of their own, and parse no answers: they share the second core with the
server's event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Report, milliseconds, run_alone, wait_until_quiet
from bench.texts import texts
from prismhouse.cli.demo.house import House
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM

SEED = 29
CLIENTS = 32
COUNT = 1024
ALONE = 128
ROUNDS = 3
MEDIAN_WORDS = 40
LEAST_OF_BARE = 0.6
LEAST_OF_ONE_CLIENT = 0.9
LEAST_ANSWER_BYTES = 2_000


def measure(options: argparse.Namespace) -> int:
    """Time the bare model, one client and many, by turns."""
    given = texts(options.count, seed=SEED, median_words=MEDIAN_WORDS)
    report = Report(
        name="inference",
        data=f"{len(given)} texts, median {int(np.median([len(text.split()) for text in given]))} words (seed {SEED}); "
        f"{CLIENTS} clients, one text a call",
    )
    with tempfile.TemporaryDirectory(prefix="prismhouse-bench-") as folder, House(Path(folder) / "data") as house:
        house.start()
        house.enter(house.post("/namespaces", {"namespace_name": "bench"})["namespace_id"])
        bare = loaded(MINILM, threads=1, cache_dir=Path(folder))
        bare.embed(given[:CLIENTS])
        together(house, given[:CLIENTS], CLIENTS)
        wait_until_quiet()
        best = {"bare": 0.0, "bare, one by one": 0.0, "one client": 0.0, "clients": 0.0}
        waits: list[float] = []
        for _ in range(ROUNDS):
            waits = rounds(house, bare, given, best) or waits
    for name, rate in best.items():
        report.figure(f"{CLIENTS} {name}" if name == "clients" else name, round(rate, 1), "texts/s")
    report.figure(f"answer to one of {CLIENTS} clients", milliseconds(waits), "ms")
    report.bound(
        f"{CLIENTS} clients / bare model in runs of {CLIENTS}",
        best["clients"] / best["bare"],
        "at least",
        LEAST_OF_BARE,
    )
    report.bound(
        f"{CLIENTS} clients / one client", best["clients"] / best["one client"], "at least", LEAST_OF_ONE_CLIENT
    )
    return report.finish(check=options.check, keep=options.count == COUNT)


def rounds(house: House, bare: Any, given: list[str], best: dict[str, float]) -> list[float]:
    """Measure each way once and keep the better rates; return how long answers took under many clients."""
    began = time.perf_counter()
    for start in range(0, len(given), CLIENTS):
        bare.embed(given[start : start + CLIENTS])
    best["bare"] = max(best["bare"], len(given) / (time.perf_counter() - began))
    began = time.perf_counter()
    for text in given[:ALONE]:
        bare.embed([text])
    best["bare, one by one"] = max(best["bare, one by one"], ALONE / (time.perf_counter() - began))
    seconds, _ = together(house, given[:ALONE], 1)
    best["one client"] = max(best["one client"], ALONE / seconds)
    seconds, waits = together(house, given, CLIENTS)
    rate = len(given) / seconds
    is_best = rate > best["clients"]
    best["clients"] = max(best["clients"], rate)
    return waits if is_best else []


def together(house: House, given: list[str], clients: int) -> tuple[float, list[float]]:
    """Return how long so many clients took for the texts, in a process of their own, and how long each answer took."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_sent, (house.url, house.headers, given, clients))


def _sent(url: str, headers: dict[str, str], given: list[str], clients: int) -> tuple[float, list[float]]:
    return asyncio.run(_all(url, headers, given, clients))


async def _all(url: str, headers: dict[str, str], given: list[str], clients: int) -> tuple[float, list[float]]:
    host, _, port = url.removeprefix("http://").partition(":")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    waiting = [_request(host, head, text) for text in reversed(given)]
    waits: list[float] = []
    connections = [await asyncio.open_connection(host, int(port)) for _ in range(clients)]

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while waiting:
            request = waiting.pop()
            began = time.perf_counter()
            writer.write(request)
            await _answered(reader)
            waits.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(*connection) for connection in connections))
    return time.perf_counter() - began, waits


def _request(host: str, head: str, text: str) -> bytes:
    body = json.dumps({"inference_name": MINILM, "inputs": {"text": text}}).encode()
    lines = f"POST /v1/inference HTTP/1.1\r\nHost: {host}\r\n{head}Content-Type: application/json\r\n"
    return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _answered(reader: asyncio.StreamReader) -> None:
    """Read one answer; raise for one that is no vector."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].partition("\r\n")[0])
    body = await reader.readexactly(length)
    if " 200 " not in head.partition("\r\n")[0] or len(body) < LEAST_ANSWER_BYTES:
        raise RuntimeError(body[:300].decode())


if __name__ == "__main__":
    run_alone(measure, __doc__ or "", {"name": "--count", "type": int, "default": COUNT, "help": "texts"})
