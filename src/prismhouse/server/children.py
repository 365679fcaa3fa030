"""A process that is kept alive: started, watched, started again with growing pauses, and stopped."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import structlog

from prismhouse.server.handover import Handover

__all__ = ["Child"]

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_STEADY_AFTER_SECONDS = 30.0

_log = structlog.get_logger(__name__)


class Child:
    """One API or worker process. It imports what it needs at once and begins when it gets its handover."""

    def __init__(self, command: str, name: str, *, pass_fds: tuple[int, ...] = ()) -> None:
        self.command = command
        self.name = name
        self.ready = False
        self.failures = 0
        self._pass_fds = pass_fds
        self._handover: bytes | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._started_at = 0.0
        self._start_after = 0.0

    @property
    def pid(self) -> int | None:
        """Process id of the newest process, or None before the first."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; it stands in a session of its own, so that Ctrl-C reaches only the supervisor."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "prismhouse", self.command],
                stdin=theirs.fileno(),
                pass_fds=self._pass_fds,
                start_new_session=True,
            )
        ours.setblocking(False)
        self._line, self.ready = ours, False
        self._started_at = time.monotonic()
        if self._handover:
            self._send(self._handover)

    def hand_over(self, handover: Handover) -> None:
        """Let the process begin, and every later one in its place."""
        self._handover = handover.encode()
        self._send(self._handover)

    def _send(self, data: bytes) -> None:
        if self._line:
            try:
                self._line.sendall(data)
            except OSError:
                _log.debug("handover failed, the process has ended", child=self.name)

    def look(self) -> None:
        """Notice readiness and death; start a dead process again when its pause is over."""
        if self._process is None:
            if time.monotonic() >= self._start_after:
                self.start()
            return
        code = self._process.poll()
        if code is None:
            self._listen()
            return
        lasted = time.monotonic() - self._started_at
        self.failures = 1 if self.ready and lasted > _STEADY_AFTER_SECONDS else self.failures + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), _LONGEST_PAUSE_SECONDS)
        _log.warning("process ended, starting it again", child=self.name, reason=_reason(code), pause_seconds=pause)
        self._forget()
        self._start_after = time.monotonic() + pause

    def _listen(self) -> None:
        if self.ready or self._line is None:
            return
        try:
            self.ready = b"ready" in self._line.recv(64)
        except BlockingIOError:
            return
        except OSError:
            return

    def _forget(self) -> None:
        if self._line:
            self._line.close()
        self._process, self._line, self.ready = None, None, False

    def ask_to_stop(self) -> None:
        """Let it finish what it does."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def ended(self) -> bool:
        """Say whether no process is left."""
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """End it now, if it is still there, and forget it."""
        if self._process and self._process.poll() is None:
            _log.warning("process did not stop in time and is killed", child=self.name)
            self._process.kill()
            self._process.wait()
        self._forget()


def _reason(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
