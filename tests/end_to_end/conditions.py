"""Wait for a condition, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(read: Callable[[], T], *, until: Callable[[T], bool], timeout_seconds: float = 90) -> T:
    """Return the first value of `read()` that satisfies `until`; fail with the last one after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    pause = threading.Event()
    while True:
        value = read()
        if until(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not reached in {timeout_seconds} s; last seen: {value!r}")
        pause.wait(0.1)
