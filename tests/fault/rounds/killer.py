"""Inside the processes of a server under test: watches the named points and kills there.

The tests write `armed.json` into the folder that FAULTS_IN names: which points kill whom, and at which hit. Before a
process dies it leaves a file in `reached`; hits are counted in files too, since the counting process may die.
"""

from __future__ import annotations

import contextvars
import functools
import importlib
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fault.rounds.points import POINTS, Point

__all__ = ["install"]

_FOLDER = Path(os.environ.get("FAULTS_IN", "."))
_MARKS = {"api-process": "api", "worker-process": "worker", "serve": "supervisor"}
# Commits belong to the innermost call that a point names.
_within: contextvars.ContextVar[tuple[Point, ...]] = contextvars.ContextVar("within", default=())


def install() -> None:
    """Wrap what the points of this process name, and cut pauses short: a round has no patience for them."""
    kind = _kind(sys.orig_argv)
    if kind == "supervisor":
        from prismhouse.server import children

        # It waits longer each time a child dies soon.
        _set(children, "_LONGEST_PAUSE_SECONDS", 0.1)
    elif kind is not None:
        if kind == "worker":
            _prepare_worker()
        _wrap([point for point in POINTS if point.process == kind])


def _kind(command: list[str]) -> str | None:
    if any("storage.compute.child" in word for word in command):
        return "extraction"
    return next((kind for mark, kind in _MARKS.items() if mark in command[1:4]), None)


def _prepare_worker() -> None:
    from dataclasses import replace

    from prismhouse.storage.jobs import procrastinate

    # By its name: the package has a function `build` in the place of the module.
    wiring = importlib.import_module("prismhouse.server.wiring.build")
    chosen = wiring.extraction
    _set(wiring, "extraction", lambda settings: replace(chosen(settings), function="tests.fault.rounds.rows:fake_rows"))
    _set(procrastinate, "_LONGEST_BACKOFF_SECONDS", 0.5)


def _set(module: Any, name: str, value: Any) -> None:
    """Replace what must be there: a name that is gone ends the process, and the suite with it."""
    if not hasattr(module, name):
        raise AttributeError(f"{module.__name__} has no {name} any more: mend tests/fault/rounds")
    setattr(module, name, value)


def _wrap(points: list[Point]) -> None:
    by_target: dict[str, list[Point]] = {}
    for point in points:
        by_target.setdefault(point.target, []).append(point)
    for target, here in by_target.items():
        module, _, path = target.partition(":")
        *owners, name = path.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        setattr(owner, name, _wrapped(getattr(owner, name), here))
    if any("commit" in point.moment for point in points):
        _wrap_commit()


def _wrapped(function: Callable[..., Any], points: list[Point]) -> Callable[..., Any]:
    before = [point for point in points if point.moment == "before"]
    after = [point for point in points if point.moment == "after"]
    commits = tuple(point for point in points if "commit" in point.moment)

    if not inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            _hit(before)
            value = function(*arguments, **named)
            _hit(after)
            return value

        return call

    @functools.wraps(function)
    async def awaited(*arguments: Any, **named: Any) -> Any:
        _hit(before)
        token = _within.set(commits) if commits else None
        try:
            value = await function(*arguments, **named)
        finally:
            if token is not None:
                _within.reset(token)
        # A worker asks for a job that is not there every second: nothing has been taken.
        if not (value is None and function.__name__ == "_fetch"):
            _hit(after)
        return value

    return awaited


def _wrap_commit() -> None:
    import psycopg

    commit = psycopg.AsyncConnection.commit

    @functools.wraps(commit)
    async def committing(self: Any) -> None:
        # A unit of work that only reads ends with a commit too, of nothing.
        here = () if self.autocommit else _within.get()
        _hit([point for point in here if point.moment == "before commit"])
        await commit(self)
        _hit([point for point in here if point.moment == "after commit"])

    psycopg.AsyncConnection.commit = committing  # type: ignore[method-assign]


def _hit(points: list[Point]) -> None:
    for point in points:
        armed = _armed().get(point.name)
        if armed is not None and not _file("reached", point.name).exists() and _count(point.name) >= armed["hit"]:
            _kill(point.name, armed["victim"])


def _armed() -> dict[str, Any]:
    try:
        return json.loads((_FOLDER / "armed.json").read_text())
    except FileNotFoundError:
        return {}


def _file(folder: str, name: str) -> Path:
    return _FOLDER / folder / name.replace(" ", "-").replace(":", "").replace(",", "")


def _count(name: str) -> int:
    """Return how often the point was hit, this time included."""
    descriptor = os.open(_file("hits", name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, b".")
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _kill(name: str, victim: str) -> None:
    pid = os.getpid()
    if victim == "postgres":
        pid = int((_FOLDER / "postgres-pid").resolve().read_text().split()[0])
    _file("reached", name).write_text(f"{pid}\n")
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        # Another point has just killed PostgreSQL: this one is still to come.
        _file("reached", name).unlink()
