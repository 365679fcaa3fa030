"""The demo from start to stop: whatever happens, no server is left behind."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prismhouse.cli.demo.faults import DemoFailed
from prismhouse.cli.demo.flow import run_flow
from prismhouse.cli.demo.house import House
from prismhouse.cli.demo.next_steps import next_steps
from prismhouse.cli.demo.screen import Screen, make_screen

__all__ = ["run"]


def run(*, keep: bool = False, data_dir: Path | None = None) -> int:
    """Run the demo and return the exit code: 0 only when every step worked and the server stopped cleanly.

    Args:
        keep: leave the server up after the questions, until Ctrl-C or SIGTERM, with its data.
        data_dir: where the data goes; `./prismhouse-data` with `keep`, else a temporary folder.
    """
    screen = make_screen(sys.stdout)
    try:
        with _terminable(), _data_folder(keep, data_dir) as folder, House(folder) as house:
            outcome = run_flow(house, screen)
            if keep:
                _stay(house, screen, next_steps(house, outcome))
            _stop(house, screen, f"its data stays in {folder}" if keep or data_dir else "its data is removed")
    except DemoFailed as failure:
        screen.failure(str(failure))
        return 1
    except KeyboardInterrupt:
        screen.note("Stopped before the end.")
        return 130
    return 0


def _stay(house: House, screen: Screen, text: str) -> None:
    """Show what to do next and wait for Ctrl-C; raise DemoFailed when the server ends by itself."""
    screen.note(text)
    try:
        house.wait()
    except KeyboardInterrupt:
        return
    raise DemoFailed(f"The server ended by itself. Its log: {house.log_file}")


def _stop(house: House, screen: Screen, about_data: str) -> None:
    with screen.step("Stop", "the server finishes its requests and closes its database") as step:
        house.stop()
        step.result = about_data


@contextmanager
def _data_folder(keep: bool, data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None or keep:
        yield (data_dir or Path("prismhouse-data")).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="prismhouse-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM end the demo as Ctrl-C does, so that the server is never left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
