"""Commands as a person at a terminal sees them."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

__all__ = ["TIMEOUT_SECONDS", "plain", "shown_on_terminal"]

TIMEOUT_SECONDS = 40


def shown_on_terminal(
    command: Sequence[str], environment: Mapping[str, str], *, stop_at: bytes | None = None
) -> tuple[int, str]:
    """Run it in a pseudo-terminal; send Ctrl-C when `stop_at` is shown. Return the exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "110"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            shown += piece
            if stop_at and stop_at in shown:
                process.send_signal(signal.SIGINT)
                stop_at = None
        return process.wait(10), shown.decode(errors="replace")
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()


def plain(shown: str) -> str:
    """Return it without the codes that move the cursor and colour."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
