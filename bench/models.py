"""Speed and memory of each built-in model, alone: documents, queries and images per second.

Text: 192 English texts of about 100 tokens, once in one process with a thread per core, once in a process per core
with one thread each. Query: one text of five words at a time, one thread. Image: seven photos, repeated, as RGB in
memory. Models are loaded and run once before the clock starts. Processor time is given beside wall time, since other
work on the machine lengthens only the latter. Rounds alternate; the best wall time and the median processor time count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

from bench.harness import Report, milliseconds, run_alone, wait_until_quiet
from bench.texts import texts
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import CONSE, MINILM

SEED = 11
COUNT = 192
ROUNDS = 4
QUERIES = 200
MOST_TEXT_MS = 40.0


def measure(options: argparse.Namespace) -> int:
    """Measure and keep the figures."""
    report = Report(
        "models", f"{COUNT} texts of about 100 tokens (seed {SEED}), 7 photos of scikit-image and scikit-learn"
    )
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        layouts = {f"1 process x {cores} threads": (1, cores), f"{cores} processes x 1 thread": (cores, 1)}
        rounds: dict[str, list[tuple[float, float, int]]] = {name: [] for name in layouts}
        for _ in range(ROUNDS):
            for name, (processes, threads) in layouts.items():
                wait_until_quiet(timeout_seconds=options.patience)
                rounds[name].append(_text_round(processes, threads, folder))
        for name, results in rounds.items():
            report.figure(f"text, {name}", COUNT / min(wall for wall, _, _ in results), "documents/s")
            cpu_ms = median(cpu for _, cpu, _ in results) / COUNT * 1000
            report.figure(f"text, {name}, processor time", cpu_ms, "ms/document")
            report.figure(f"text, {name}, peak memory of a process", max(peak for _, _, peak in results), "MB")
        report.bound("processor time of a text, ms", cpu_ms, "at most", MOST_TEXT_MS)
        wait_until_quiet(timeout_seconds=options.patience)
        report.figure("query", milliseconds(_query_seconds(folder)), "ms")
        wall, cpu, peak = _alone(_images, folder)
        report.figure("image, 1 thread", 1 / wall, "images/s")
        report.figure("image, 1 thread, processor time", cpu * 1000, "ms/image")
        report.figure("image, peak memory of the process", peak, "MB")
    return report.finish(check=options.check)


def _text_round(processes: int, threads: int, folder: str) -> tuple[float, float, int]:
    """Return wall seconds, processor seconds of all processes, and the largest peak in MB."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[float, float, int]] = context.Queue()
    start = context.Barrier(processes)
    workers = [
        context.Process(target=_texts, args=(COUNT // processes, threads, folder, start, answers))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    results = [answers.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
    return max(r[0] for r in results), sum(r[1] for r in results), max(r[2] for r in results)


def _texts(count: int, threads: int, folder: str, start: Barrier, answers: Any) -> None:
    model = loaded(MINILM, threads=threads, cache_dir=Path(folder))
    given = texts(count, seed=SEED, median_words=52, sigma=0.15)
    model.embed(given[:8])
    start.wait()
    answers.put(_timed(lambda: model.embed(given)))


def _query_seconds(folder: str) -> list[float]:
    model = loaded(MINILM, threads=1, cache_dir=Path(folder))
    model.embed(["warm"])
    seconds = []
    for number in range(QUERIES):
        begun = time.perf_counter()
        model.embed([f"a photo of cat {number}"])
        seconds.append(time.perf_counter() - begun)
    return seconds


def _alone(target: Any, folder: str) -> tuple[float, float, int]:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    worker = context.Process(target=target, args=(folder, answers))
    worker.start()
    result: tuple[float, float, int] = answers.get(timeout=600)
    worker.join()
    return result


def _images(folder: str, answers: Any) -> None:
    from tests.photos import photos

    model = loaded(CONSE, threads=1, cache_dir=Path(folder))
    images = list(photos().values()) * 8
    model.see(images[:4])
    wall, cpu, peak = min(_timed(lambda: model.see(images)) for _ in range(ROUNDS))
    answers.put((wall / len(images), cpu / len(images), peak))


def _timed(run: Any) -> tuple[float, float, int]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    run()
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss // 1024


if __name__ == "__main__":
    patience = {"name": "--patience", "type": float, "default": 60, "help": "seconds to wait for a quiet machine"}
    run_alone(measure, __doc__ or "", patience)
