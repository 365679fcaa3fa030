"""`prismhouse serve`: one parent that keeps PostgreSQL, API and workers alive, and stops them in order.

It holds the listening socket, so connections wait while an API process is replaced. It runs on one thread,
because the kernel ties PostgreSQL's life to the thread that started it.
"""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from prismhouse import __version__
from prismhouse.kit.errors import WarehouseError
from prismhouse.server.children import Child
from prismhouse.server.ground import listen, make_folder
from prismhouse.server.handover import Handover
from prismhouse.settings import Settings
from prismhouse.storage.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresFailed

__all__ = ["Supervisor", "serve"]

_TICK_SECONDS = 0.5
_START_TICK_SECONDS = 0.02
_GRACE_SECONDS = 5.0
_MOST_FAILURES = 5
_MOST_START_FAILURES = 2
_SPARE_CONNECTIONS = 20

_log = structlog.get_logger(__name__)


class StartFailed(WarehouseError):
    """The {child} process ended {failures} times before it was ready."""

    hint = "Its last words are above."


class StopRequested(Exception):
    """SIGTERM or Ctrl-C arrived while something that can be broken off was going on."""


def serve(settings: Settings) -> int:
    """Run until SIGTERM or Ctrl-C and return the exit code; raise WarehouseError when it cannot start."""
    return Supervisor(settings).run()


class Supervisor:
    """The parent process. `run` is its life."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stops = 0
        self._breakable = False
        self._postgres: EmbeddedPostgres | None = None
        self._children: list[Child] = []
        self._api: list[Child] = []
        self._workers: list[Child] = []
        self._announced = False
        self._listener: socket.socket | None = None

    def run(self) -> int:
        """Start everything, watch it, and stop it when asked; whatever happens, nothing is left running."""
        settings = self._settings
        make_folder(settings.data_dir)
        with self._signals() as wake:
            try:
                with self._breaking():
                    self._take_data_folder()
                    self._listener = listen(settings.server.host, settings.server.port)
                    self._start(self._listener)
                while not self._stops:
                    self._watch()
                    wake(_TICK_SECONDS if self._announced else _START_TICK_SECONDS)
            except StopRequested:
                pass
            finally:
                self._stop(wake)
        return 0

    def _take_data_folder(self) -> None:
        settings = self._settings
        if settings.database.url is None:
            processes = settings.server.api_processes + settings.worker.processes
            needed = processes * (2 * settings.database.pool_size + 10) + _SPARE_CONNECTIONS
            self._postgres = EmbeddedPostgres(
                settings.data_dir / "postgres",
                shared_buffers_mb=settings.database.shared_buffers_mb,
                connections=max(100, needed),
            )
            self._postgres.acquire()

    def _start(self, listener: socket.socket) -> None:
        """Children import while PostgreSQL starts; the API prepares the database, then workers get their word."""
        server, worker = self._settings.server, self._settings.worker
        self._api = [
            Child("api-process", f"api {n}", pass_fds=(listener.fileno(),)) for n in range(server.api_processes)
        ]
        self._workers = [Child("worker-process", f"worker {n}") for n in range(worker.processes)]
        self._children = [*self._api, *self._workers]
        for child in self._children:
            child.start()
        if self._postgres:
            self._postgres.start()
        self._hand_over(self._api[:1], first=True)

    def _dsn(self) -> str:
        if self._postgres:
            return self._postgres.dsn
        url = self._settings.database.url
        return url.get_secret_value() if url else ""

    def _hand_over(self, children: list[Child], *, first: bool = False) -> None:
        for child in children:
            listener = self._listener.fileno() if self._listener and child in self._api else None
            child.hand_over(Handover(settings=self._settings, dsn=self._dsn(), listener=listener, first=first))

    def _watch(self) -> None:
        if self._postgres and self._postgres.exit_code() is not None:
            self._revive_postgres(self._postgres)
        for child in self._children:
            child.look()
            if not self._announced and child.failures >= _MOST_START_FAILURES:
                raise StartFailed(child=child.name, failures=child.failures)
        if not self._announced and self._api[0].ready:
            self._hand_over([*self._api[1:], *self._workers])
            self._announced = True
            if self._listener:
                self._announce(*self._listener.getsockname()[:2])

    def _revive_postgres(self, postgres: EmbeddedPostgres) -> None:
        before = postgres.dsn
        for attempt in range(1, _MOST_FAILURES + 1):
            _log.error("PostgreSQL ended, starting it again", code=postgres.exit_code(), attempt=attempt)
            try:
                with self._breaking():
                    postgres.start()
                    break
            except EmbeddedPostgresFailed as error:
                if attempt == _MOST_FAILURES:
                    raise
                _log.error("PostgreSQL did not start", reason=error.message)
                with self._breaking():
                    time.sleep(min(2.0**attempt, 10))
        _log.info("PostgreSQL is back", pid=postgres.pid)
        if postgres.dsn != before:
            self._hand_over(self._api[:1], first=True)
            self._hand_over([*self._api[1:], *self._workers])
            for child in self._children:
                child.ask_to_stop()

    def _announce(self, host: str, port: int) -> None:
        everywhere = host in {"0.0.0.0", "::"}  # noqa: S104 - compared, and said out loud
        shown = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
        lines = [f"Prismhouse {__version__} is ready: http://{shown}:{port}  (operations: http://{shown}:{port}/docs)"]
        if everywhere:
            lines.append(
                f"WARNING: it listens on every address of this machine ({host}:{port}), without TLS. "
                "Anyone who can reach it and has a key can use it."
            )
        lines.append(f"Data: {self._settings.data_dir.absolute()}. Stop with Ctrl-C.")
        print("\n".join(lines), flush=True)  # noqa: T201 - for the person who started it

    def _stop(self, wake: Callable[[float], None]) -> None:
        """Refuse new connections, let the children finish, then PostgreSQL. A second signal cuts the wait short."""
        stops_before = self._stops
        if self._announced:
            print("Stopping: what runs is finished first. Ctrl-C again cuts it short.", flush=True)  # noqa: T201
        if self._listener:
            self._listener.close()
        for child in self._children:
            child.ask_to_stop()
        patience = self._settings.server.shutdown_timeout_seconds + _GRACE_SECONDS
        deadline = time.monotonic() + patience
        while not all(child.ended() for child in self._children):
            if time.monotonic() > deadline or self._stops > max(stops_before, 1):
                break
            wake(_START_TICK_SECONDS)
        for child in self._children:
            child.kill()
        if self._postgres:
            self._postgres.stop()
        if self._announced:
            print("Stopped.", flush=True)  # noqa: T201

    @contextmanager
    def _breaking(self) -> Iterator[None]:
        """Let a signal break off what happens inside, instead of being noticed at the next look."""
        if self._stops:
            raise StopRequested
        self._breakable = True
        try:
            yield
        finally:
            self._breakable = False

    def _on_signal(self, *_: Any) -> None:
        self._stops += 1
        if self._breakable:
            self._breakable = False
            raise StopRequested

    @contextmanager
    def _signals(self) -> Iterator[Callable[[float], None]]:
        """Count stop signals; give a function that waits for the next signal or the end of a child."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        kinds = {signal.SIGTERM: self._on_signal, signal.SIGINT: self._on_signal, signal.SIGCHLD: _ignore}
        before = {kind: signal.signal(kind, handler) for kind, handler in kinds.items()}
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(reader, selectors.EVENT_READ)

        def wait(seconds: float) -> None:
            if selector.select(seconds):
                reader.recv(4096)

        try:
            yield wait
        finally:
            signal.set_wakeup_fd(wakeup)
            for kind, handler in before.items():
                signal.signal(kind, handler)
            selector.close()
            reader.close()
            writer.close()


def _ignore(*_: Any) -> None:
    """SIGCHLD only wakes the wait."""
