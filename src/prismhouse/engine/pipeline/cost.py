"""What rows cost, learned from rows that ran; and how many of the next ones fit into a given time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Rate", "fitting"]

_WEIGHT_OF_THE_PAST = 0.5
_UNKNOWN_ROWS = 4
_UNKNOWN_BYTES = 8 << 20
_LEAST_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """Rows that were extracted: how many, of how many bytes, in how many seconds, and the documents that came of them.

    A sum over measurements, in which older ones weigh less; without rows, nothing is known.
    """

    seconds: float = 0.0
    rows: float = 0.0
    bytes: float = 0.0
    documents: float = 0.0

    def __add__(self, other: Rate) -> Rate:
        return Rate(
            self.seconds + other.seconds,
            self.rows + other.rows,
            self.bytes + other.bytes,
            self.documents + other.documents,
        )

    def then(self, newer: Rate) -> Rate:
        """Return what is known after one more measurement."""
        past = _WEIGHT_OF_THE_PAST
        kept = Rate(self.seconds * past, self.rows * past, self.bytes * past, self.documents * past)
        return kept + newer if newer.rows else self

    def seconds_of(self, size_bytes: int) -> float:
        """Return what a row of that size may cost, by its size or as any row, whichever is more."""
        by_row = self.seconds / self.rows if self.rows else 0.0
        by_size = size_bytes * self.seconds / self.bytes if self.bytes else 0.0
        return max(by_row, by_size)

    def rows_in(self, seconds: float) -> int:
        """Return how many rows of the usual size take so long; 0 where nothing is known."""
        return int(seconds * self.rows / max(self.seconds, _LEAST_SECONDS)) if self.rows else 0


def fitting(sizes: Iterable[int], rate: Rate, *, seconds: float, most_bytes: int, most_documents: int) -> int:
    """Return how many rows of these sizes, from the first on, fit into the bounds: one at least.

    Of rows that nothing is known about, a few are tried.
    """
    if not rate.rows:
        most_bytes = min(most_bytes, _UNKNOWN_BYTES)
    documents_of_a_row = rate.documents / rate.rows if rate.rows else 0.0
    count, cost, taken = 0, 0.0, 0
    for size in sizes:
        cost += rate.seconds_of(size)
        taken += size
        unknown = not rate.rows and count >= _UNKNOWN_ROWS
        over = cost > seconds or taken > most_bytes or (count + 1) * documents_of_a_row > most_documents
        if count and (over or unknown):
            break
        count += 1
    return count
