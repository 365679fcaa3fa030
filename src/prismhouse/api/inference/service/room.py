"""How much raw inference one process takes on: calls and bytes, and of these half for one namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prismhouse.api.inference.errors import InferenceBusy

__all__ = ["Call", "Room", "size_of"]

_MIB = 2**20


class Room:
    """Counts what is under way; what does not fit is refused at once, so that nothing piles up in memory.

    Args:
        calls: at once.
        held_bytes: by all of them.
        call_bytes: what a call with one file may need. Where no other holds any, it is never refused these.
    """

    def __init__(self, *, calls: int, held_bytes: int, call_bytes: int) -> None:
        self._calls = calls
        self._held_bytes = held_bytes
        self._call_bytes = call_bytes
        self._counts: Counter[str] = Counter()
        self._held: Counter[str] = Counter()

    @contextmanager
    def call(self, share: str) -> Iterator[Call]:
        """Take a place for a call until the end of the block; raise InferenceBusy."""
        if self._counts.total() >= self._calls or self._counts[share] >= self._calls // 2:
            raise InferenceBusy(what=f"{self._counts[share]} calls of yours, {self._counts.total()} in all,")
        with _added(self._counts, share, 1):
            yield Call(self, share)

    @contextmanager
    def hold(self, call: Call, size_bytes: int) -> Iterator[None]:
        """See `Call.hold`."""
        total, own = self._held.total(), self._held[call.share]
        is_one_file = call.held_bytes + size_bytes <= self._call_bytes
        if any(
            held + size_bytes > most and not (is_one_file and held == call.held_bytes)
            for held, most in ((total, self._held_bytes), (own, self._held_bytes // 2))
        ):
            raise InferenceBusy(what=f"{own // _MIB} MiB of yours, {total // _MIB} MiB in all,")
        with _added(self._held, call.share, size_bytes):
            yield


class Call:
    """A call that is under way: whose it is, and what it holds."""

    def __init__(self, room: Room, share: str) -> None:
        self.share = share
        self.held_bytes = 0
        self._room = room

    @contextmanager
    def hold(self, size_bytes: int) -> Iterator[None]:
        """Take memory until the end of the block; raise InferenceBusy."""
        with self._room.hold(self, size_bytes):
            self.held_bytes += size_bytes
            try:
                yield
            finally:
                self.held_bytes -= size_bytes


def size_of(value: Any) -> int:
    """Return about how many bytes a value of a request holds."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    return sum(map(size_of, value)) if isinstance(value, list) else 8


@contextmanager
def _added(counter: Counter[str], share: str, amount: int) -> Iterator[None]:
    counter[share] += amount
    try:
        yield
    finally:
        counter[share] -= amount
        if not counter[share]:
            del counter[share]
