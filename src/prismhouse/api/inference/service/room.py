"""How much raw inference one process takes on: calls and bytes, and of these half for one namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prismhouse.api.inference.errors import InferenceBusy

__all__ = ["Room"]

_MIB = 2**20


class Room:
    """Counts what is under way; what does not fit is refused at once, so that nothing piles up in memory."""

    def __init__(self, *, calls: int, held_bytes: int) -> None:
        self._calls = calls
        self._held_bytes = held_bytes
        self._counts: Counter[str] = Counter()
        self._held: Counter[str] = Counter()

    @contextmanager
    def call(self, share: str) -> Iterator[None]:
        """Take a place for a call until the end of the block; raise InferenceBusy."""
        if self._counts.total() >= self._calls or self._counts[share] >= self._calls // 2:
            raise InferenceBusy(what=f"{self._counts[share]} calls of yours, {self._counts.total()} in all,")
        with _added(self._counts, share, 1):
            yield

    @contextmanager
    def hold(self, share: str, size_bytes: int) -> Iterator[None]:
        """Take memory until the end of the block; raise InferenceBusy. One that is alone may always have it."""
        total, own = self._held.total(), self._held[share]
        if (total and total + size_bytes > self._held_bytes) or (own and own + size_bytes > self._held_bytes // 2):
            raise InferenceBusy(what=f"{own // _MIB} MiB of yours, {total // _MIB} MiB in all,")
        with _added(self._held, share, size_bytes):
            yield


@contextmanager
def _added(counter: Counter[str], share: str, amount: int) -> Iterator[None]:
    counter[share] += amount
    try:
        yield
    finally:
        counter[share] -= amount
        if not counter[share]:
            del counter[share]
