"""Loops over bare models: as many processes as the product has, each with one thread, none with anything else to do."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["BareLoop"]

Work = Callable[[Sequence[Path], Path], None]
_START_SECONDS = 300
_ROUND_SECONDS = 600


class BareLoop:
    """Processes that stay up between rounds. Each takes the next few files as soon as it is done with its last ones.

    Args:
        work: takes paths and a cache folder; must be a function of a module.
        files: how many it takes at once.
        processes: each has one thread.
        folder: for what models keep between processes.
    """

    def __init__(self, work: Work, *, files: int, processes: int, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._files = files
        self._place = context.Value("l", 0)
        self._answers: Any = context.Queue()
        self._orders = [context.Queue() for _ in range(processes)]
        self._processes = [
            context.Process(target=_serve, args=(work, files, folder, order, self._answers, self._place), daemon=True)
            for order in self._orders
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for order in self._orders:
            order.put(None)
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()

    def warm(self, paths: Sequence[Path]) -> None:
        """Have every process load its models and run them once on these files."""
        self._run(paths, everyone=True)

    def seconds(self, paths: Sequence[Path]) -> tuple[float, float]:
        """Return the seconds and the processor seconds that the files take."""
        began = time.perf_counter()
        spent = self._run(paths, everyone=False)
        return time.perf_counter() - began, spent

    def _run(self, paths: Sequence[Path], *, everyone: bool) -> float:
        self._place.value = 0
        for order in self._orders:
            order.put((list(paths), everyone))
        answers = [self._answers.get(timeout=_START_SECONDS + _ROUND_SECONDS) for _ in self._orders]
        for fault in answers:
            if isinstance(fault, str):
                raise SystemExit(f"The bare loop failed: {fault}")
        return float(sum(answers))


def _serve(work: Work, files: int, folder: Path, orders: Any, answers: Any, place: Any) -> None:
    while (order := orders.get()) is not None:
        paths, everyone = order
        began = time.process_time()
        try:
            if everyone:
                work(paths, folder)
            while not everyone and (group := _next(paths, files, place)):
                work(group, folder)
        except Exception as error:  # noqa: BLE001 - told to the process that waits
            answers.put(repr(error))
            return
        answers.put(time.process_time() - began)


def _next(paths: Sequence[Path], files: int, place: Any) -> Sequence[Path]:
    with place.get_lock():
        start = place.value
        place.value = start + files
    return paths[start : start + files]
