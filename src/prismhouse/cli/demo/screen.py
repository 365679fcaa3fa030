"""What the demo shows: live bars and colours on a terminal that has rich, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TextIO

__all__ = ["Hit", "Progress", "Screen", "Step", "make_screen"]

Progress = Mapping[str, tuple[int, int]]
"""Objects finished and objects in all, by name of what is processed."""


@dataclass(slots=True)
class Step:
    """A running step; `result` is said when it ends."""

    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One answer: its place, its score (higher is better), the file it comes from, and what was found there."""

    rank: int
    score: float
    file: str
    excerpt: str


class Screen:
    """Plain lines, each complete when it is printed: for pipes, logs and terminals without rich."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._percent_shown: dict[str, int] = {}

    def title(self, text: str) -> None:
        """Show the first line."""
        self._line(text, style="bold")

    @contextmanager
    def step(self, word: str, sentence: str, *, bars: bool = False) -> Iterator[Step]:
        """Time a step and show its line when it is done: the product's word, what it does, what came of it.

        Args:
            word: what the product calls it.
            sentence: what the step does.
            bars: the step shows its own progress.
        """
        step, began = Step(), time.monotonic()
        if bars:
            yield step
        else:
            with self._busy(f"{word}: {sentence}"):
                yield step
        result = f" -> {step.result}" if step.result else ""
        self._line(f"{word:<11} {sentence}{result}  ({_seconds(time.monotonic() - began)})", strong=len(word))

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Give a function that shows how far each batch is."""
        yield self._progress_lines

    def question(self, where: str, text: str, seconds: float) -> None:
        """Show a question and how long its answer took."""
        self._line("")
        self._line(f"Question    {text}  [{where}, {_seconds(seconds)}]", strong=len("Question"))

    def hit(self, hit: Hit) -> None:
        """Show one answer."""
        self._line(f"  {hit.rank}. {hit.score:6.3f}  {hit.file:<26} {hit.excerpt}")

    def note(self, text: str) -> None:
        """Show free text."""
        self._line("")
        self._line(text)

    def failure(self, text: str) -> None:
        """Show why the demo failed."""
        self._line("")
        self._line(f"FAILED  {text}", style="red")

    def total(self) -> str:
        """Return how long the demo has run."""
        return _seconds(time.monotonic() - self._began)

    # Styles and spinners are for terminals: plain paper takes the text alone.
    def _line(self, text: str, *, style: str = "", strong: int = 0) -> None:  # noqa: ARG002
        print(text, file=self._stream, flush=True)

    @contextmanager
    def _busy(self, text: str) -> Iterator[None]:  # noqa: ARG002
        yield

    def _progress_lines(self, progress: Progress) -> None:
        """Print a line for each batch that is a quarter further than its last line."""
        for name, (done, total) in progress.items():
            percent = 100 * done // total if total else 0
            if percent >= self._percent_shown.get(name, -1) + 25 or percent == 100 != self._percent_shown.get(name):
                self._percent_shown[name] = percent
                self._line(f"              {name}: {done} of {total} objects ({percent} %)")


class TerminalScreen(Screen):
    """Colours, a spinner while a step runs, and bars while batches run."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        super().__init__(stream)
        self._console = Console(file=stream, highlight=False)

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Give a function that moves one bar per batch."""
        from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("            {task.description:<10}"), BarColumn(), MofNCompleteColumn())
        tasks: dict[str, TaskID] = {}
        with Bars(*columns, TextColumn("objects"), TimeElapsedColumn(), console=self._console) as bars:

            def show(progress: Progress) -> None:
                for name, (done, total) in progress.items():
                    if name not in tasks:
                        tasks[name] = bars.add_task(name, total=total)
                    bars.update(tasks[name], completed=done, total=total)

            yield show

    def _line(self, text: str, *, style: str = "", strong: int = 0) -> None:
        from rich.text import Text

        line = Text(text, style=style)
        line.stylize("bold cyan", 0, strong)
        self._console.print(line, soft_wrap=True)

    @contextmanager
    def _busy(self, text: str) -> Iterator[None]:
        with self._console.status(text):
            yield


def make_screen(stream: TextIO = sys.stdout) -> Screen:
    """Return the screen that suits the stream."""
    if stream.isatty() and find_spec("rich") is not None:
        return TerminalScreen(stream)
    return Screen(stream)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
