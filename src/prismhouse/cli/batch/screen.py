"""What `batch watch` shows: a bar for each tier on a terminal that has rich, plain lines everywhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self, TextIO

__all__ = ["Failure", "Screen", "TerminalScreen", "make_screen"]

_LINE_SECONDS = 5.0
_LONGEST_MESSAGE = 300
_Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed row, in words without control characters: messages may quote what users sent."""

    tier: int
    source: str
    code: str
    message: str

    @classmethod
    def of(cls, row: _Data) -> Self:
        """Return it for a row of `failed-documents`."""
        return cls(
            tier=row["tier_num"] + 1,
            source=_printable(row["document_id"] or row["object_id"]),
            code=_printable(row["code"]),
            message=_printable(row["error"])[:_LONGEST_MESSAGE],
        )


class Screen:
    """Plain lines, each complete when it is printed, and progress every few seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said_at = float("-inf")
        self._said = ""
        self._waits = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def begin(self, batch: _Data) -> None:
        """Show what is watched."""
        name = f" ({_printable(batch['batch_name'])})" if batch["batch_name"] else ""
        tiers = f"{batch['total_tiers']} tiers" if batch["total_tiers"] > 1 else "1 tier"
        self._line(f"{batch['batch_id']}{name}: {len(batch['object_ids'] or ())} objects, {tiers}, {batch['status']}")

    def tier(self, data: _Data) -> None:
        """Show that a tier began or ended."""
        place = _place(data)
        if data["status"] == "IN_PROGRESS":
            self._line(f"{place} runs")
        else:
            failed = _failed(data["rows_failed"])
            self._line(f"{place} is {data['status']}: {data['documents_written']} documents{failed}")
        self._said_at = time.monotonic()

    def progress(self, data: _Data) -> None:
        """Show how far it is, unless that was said a moment ago."""
        self._waits = False
        now = time.monotonic()
        line = _progress_line(data)
        if data["current_tier"] is None or not _current(data) or line == self._said:
            return
        if now - self._said_at >= _LINE_SECONDS:
            self._line(line)
            self._said, self._said_at = line, now

    def failure(self, failure: Failure) -> None:
        """Show a failed row."""
        self._line(f"failed in tier {failure.tier}: {failure.source} [{failure.code}] {failure.message}")

    def waiting(self, reason: str) -> None:
        """Show, once, that the server does not answer now."""
        if not self._waits:
            self._line(f"{_printable(reason)} Trying again until it does.")
        self._waits = True

    def note(self, text: str) -> None:
        """Show free text."""
        self._line(text)

    def end(self, data: _Data) -> None:
        """Show how it ended."""
        took = f" in {duration(data['duration_seconds'])}" if data["duration_seconds"] is not None else ""
        failed = _failed(data["rows_failed"])
        self._line(f"{data['status']}{took}: {data['documents_written']} documents written{failed}", strong=True)
        if data["failure_reason"]:
            self._line(_printable(data["failure_reason"]))

    # Plain paper takes the text alone.
    def _line(self, text: str, *, strong: bool = False) -> None:  # noqa: ARG002
        print(text, file=self._stream, flush=True)


class TerminalScreen(Screen):
    """A bar for each tier that has begun; what else happens scrolls above them."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskID, TextColumn

        super().__init__(stream)
        self._console = Console(file=stream, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[rows]}"),
            TextColumn("{task.fields[more]}"),
        )
        self._bars = Progress(*columns, console=self._console)
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def tier(self, data: _Data) -> None:
        """Move its bar; what a bar cannot show is a line."""
        self._move(data, data["total_tiers"], "")
        if data["status"] in {"FAILED", "CANCELED"}:
            super().tier(data)

    def progress(self, data: _Data) -> None:
        """Move the bars."""
        self._waits = False
        speed = _speed(data)
        for tier in data["tiers"]:
            if tier["status"] != "PENDING":
                current = tier["tier_num"] == data["current_tier"]
                self._move(tier, data["total_tiers"], speed if current and tier["status"] == "IN_PROGRESS" else "")

    def _move(self, tier: _Data, tiers: int, speed: str) -> None:
        number = tier["tier_num"]
        if number not in self._tasks:
            self._tasks[number] = self._bars.add_task(f"tier {number + 1} of {tiers}", total=None, rows="", more="")
        failed = f"[red]{tier['rows_failed']} failed[/red]" if tier["rows_failed"] else ""
        total, done = tier["rows_submitted"], rows_done(tier)
        # A tier that looks for its rows has a bar without an end, one that found none a full bar.
        known = total or (None if tier["status"] == "IN_PROGRESS" else 1)
        self._bars.update(
            self._tasks[number],
            total=known,
            completed=done if total else known or 0,
            rows=f"{done}/{total} rows" if known else "",
            more="  ".join(part for part in (f"{tier['documents_written']} documents", failed, speed) if part),
        )

    def end(self, data: _Data) -> None:
        """Leave the bars as they are, and show below them how it ended."""
        self._bars.stop()
        super().end(data)

    def _line(self, text: str, *, strong: bool = False) -> None:
        from rich.text import Text

        self._bars.console.print(Text(text, style="bold" if strong else ""), soft_wrap=True)


def make_screen(stream: TextIO) -> Screen:
    """Return the screen that suits the stream."""
    if stream.isatty() and find_spec("rich") is not None:
        return TerminalScreen(stream)
    return Screen(stream)


def rows_done(tier: _Data) -> int:
    """Return the rows whose outcome is stored."""
    return int(tier["rows_processed"] + tier["rows_failed"] + tier["rows_skipped"])


def duration(seconds: float) -> str:
    """Return a duration as people say it: `0.8 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _failed(number: int) -> str:
    return f", {number} {'row' if number == 1 else 'rows'} failed" if number else ""


def _place(data: _Data) -> str:
    return f"tier {data['tier_num'] + 1} of {data['total_tiers']}"


def _current(data: _Data) -> _Data | None:
    return next((tier for tier in data["tiers"] if tier["tier_num"] == data["current_tier"]), None)


def _progress_line(data: _Data) -> str:
    tier = _current(data)
    if tier is None:
        return ""
    place = _place({**tier, "total_tiers": data["total_tiers"]})
    failed = f", {tier['rows_failed']} failed" if tier["rows_failed"] else ""
    speed = _speed(data)
    return f"{place}: {rows_done(tier)} of {tier['rows_submitted']} rows{failed}{', ' + speed if speed else ''}"


def _speed(data: _Data) -> str:
    parts = []
    if data["rows_per_second"] is not None:
        parts.append(f"{data['rows_per_second']:.{0 if data['rows_per_second'] >= 10 else 1}f} rows/s")
    if data["eta_seconds"] is not None:
        parts.append(f"about {duration(data['eta_seconds'])} left")
    return ", ".join(parts)


def _printable(text: object) -> str:
    return "".join(character if character.isprintable() else " " for character in str(text))
