"""A compute process: reads calls from its standard input, runs them, writes what came out.

Frames are an 8-byte length and a pickle. Standard output is taken for frames, so that a printing library cannot
break them; what is printed goes to standard error.
"""

from __future__ import annotations

import importlib
import os
import pickle
import resource
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["LENGTH", "RemoteFailure", "answer_of", "failure_of", "main", "rebuild"]

LENGTH = struct.Struct(">Q")
_ORPHAN_CHECK_SECONDS = 0.5


class RemoteFailure(RuntimeError):
    """A call raised something that cannot travel between processes; the text is its traceback."""


def main() -> None:
    """Serve calls until the parent closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = int(sys.argv[1])
    _bound_memory(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    calls: BinaryIO = os.fdopen(os.dup(0), "rb")
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    functions: dict[str, Callable[..., Any]] = {}
    while head := calls.read(LENGTH.size):
        raw = calls.read(*LENGTH.unpack(head))
        answer = answer_of(functions, partial(pickle.loads, raw))
        answers.write(LENGTH.pack(len(answer)))
        answers.write(answer)
        answers.flush()


def _bound_memory(size_bytes: int) -> None:
    """Fail with MemoryError at a limit; and be the one that the kernel ends when the whole machine has no more."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    if size_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, size_bytes))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    os._exit(1)


def answer_of(functions: dict[str, Callable[..., Any]], read: Callable[[], tuple[str, tuple[Any, ...]]]) -> bytes:
    """Run the call that `read` returns; return what came of it as a frame. `functions` keeps those that were found."""
    try:
        name, arguments = read()
        if name not in functions:
            module, _, attribute = name.partition(":")
            functions[name] = getattr(importlib.import_module(module), attribute)
        return pickle.dumps((True, functions[name](*arguments)), protocol=5)
    except Exception as error:  # noqa: BLE001 - it is raised again in the parent
        return failure_of(error)


def failure_of(error: Exception) -> bytes:
    """Return the frame of a call that raised."""
    text = "".join(traceback.format_exception(error))
    try:
        raw = pickle.dumps((False, (type(error), error.args, error.__dict__, text)), protocol=5)
        rebuild(*pickle.loads(raw)[1])  # noqa: S301 - written one line above
    except Exception:  # noqa: BLE001 - whatever it is, its text travels instead
        return pickle.dumps((False, (RemoteFailure, (text,), {}, text)), protocol=5)
    return raw


def rebuild(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any], text: str) -> Exception:
    """Return the exception without calling its initializer, which may take other arguments than it keeps."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    if kind is not RemoteFailure:
        error.add_note(text)
    return error


if __name__ == "__main__":
    main()
