"""A batch at a moment, and what there is to tell somebody who saw an earlier one.

An event's id says what its reader knows then: any process can go on from it, and nothing has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from prismhouse.api.batches.model import TERMINAL, BatchRow, BatchStatus, CountsRow, TierRow
from prismhouse.api.web.streams import Event
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.clock import iso, utc_now

__all__ = ["Moment", "Seen", "news"]

_LETTERS = {
    "PENDING": "P",
    "IN_PROGRESS": "I",
    "COMPLETED": "C",
    "COMPLETED_WITH_ERRORS": "E",
    "FAILED": "F",
    "CANCELED": "X",
    "SKIPPED": "S",
}
_UNKNOWN = "U"
_LONGEST_ID = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a reader knows: the batch's status, a letter for each tier, rows done and rows failed."""

    status: str = ""
    tiers: str = ""
    done: int = -1
    failed: int = 0

    @property
    def event_id(self) -> str:
        """It as the id of an event."""
        return f"{self.status}.{self.tiers}.{self.done}.{self.failed}"

    @classmethod
    def of(cls, event_id: str | None) -> Self:
        """Return what the reader of an event knows; nothing, when no event of ours has this id."""
        parts = (event_id or "")[:_LONGEST_ID].split(".")
        if len(parts) != 4 or not (parts[2].removeprefix("-").isdecimal() and parts[3].isdecimal()):
            return cls()
        return cls(status=parts[0], tiers=parts[1], done=int(parts[2]), failed=int(parts[3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A batch as one look found it, and when by the clock of this process.

    `speed` is in rows per second; None, as `eta_seconds`, where nothing can be said.
    """

    batch: BatchRow
    tiers: Sequence[TierRow]
    counts: Sequence[CountsRow]
    looked_at: float = 0.0
    speed: float | None = None
    eta_seconds: float | None = None

    @property
    def total(self) -> Counts:
        """All rows of all tiers so far."""
        return Counts.total(item.counts for item in self.counts)

    @property
    def done(self) -> int:
        """Rows whose outcome is stored."""
        return rows_done(self.total)

    @property
    def share(self) -> float:
        """The share of the work that is done; a tier that has not begun counts as untouched."""
        if self.batch.status in {BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS}:
            return 1.0
        current = self.batch.current_tier or 0
        mine = Counts.total(item.counts for item in self.counts if item.tier == current)
        begun = rows_done(mine) / mine.submitted if mine.submitted else 0.0
        return (current + begun) / (len(self.batch.dag_tiers or ()) or 1)

    @property
    def seen(self) -> Seen:
        """What a reader of this moment knows."""
        letters = "".join(_LETTERS.get(tier.status, _UNKNOWN) for tier in self.tiers)
        return Seen(status=self.batch.status, tiers=letters, done=self.done, failed=self.total.failed)


def rows_done(counts: Counts) -> int:
    """Return the rows whose outcome is stored."""
    return counts.processed + counts.failed + counts.skipped


def news(moment: Moment, seen: Seen) -> Iterator[Event]:
    """Yield what a reader who knows `seen` does not know yet, in the order in which it happened."""
    now = moment.seen
    known = seen.tiers.ljust(len(now.tiers), _LETTERS["PENDING"])
    told = replace(seen, tiers=known)
    for number, letter in enumerate(now.tiers):
        if letter != known[number]:
            told = replace(told, tiers=told.tiers[:number] + letter + told.tiers[number + 1 :])
            yield Event(name="tier", event_id=told.event_id, data=_tier(moment, moment.tiers[number]))
    told = replace(told, tiers=now.tiers)
    status = now.status if moment.batch.status not in TERMINAL else seen.status
    if (now.done, now.failed) != (seen.done, seen.failed) or status != seen.status:
        told = replace(now, status=status)
        yield Event(name="progress", event_id=told.event_id, data=_progress(moment))
    if moment.batch.status in TERMINAL and seen.status != now.status:
        yield Event(name="end", event_id=now.event_id, data=_end(moment))


def _tier(moment: Moment, tier: TierRow) -> dict[str, Any]:
    counts = Counts.total(item.counts for item in moment.counts if item.tier == tier.tier)
    return {
        "batch_id": moment.batch.batch_id,
        "tier_num": tier.tier,
        "total_tiers": len(moment.tiers),
        "status": tier.status,
        "collection_ids": [item.collection_id for item in moment.counts if item.tier == tier.tier],
        "started_at": iso(tier.started_at),
        "completed_at": iso(tier.completed_at),
        **_rows(counts),
    }


def _rows(counts: Counts) -> dict[str, int]:
    return {
        "rows_submitted": counts.submitted,
        "rows_processed": counts.processed,
        "rows_failed": counts.failed,
        "rows_skipped": counts.skipped,
        "documents_written": counts.documents_written,
    }


def _progress(moment: Moment) -> dict[str, Any]:
    batch = moment.batch
    return {
        "batch_id": batch.batch_id,
        "status": batch.status,
        "object_count": batch.object_count,
        "current_tier": batch.current_tier,
        "total_tiers": len(batch.dag_tiers or ()) or 1,
        "percent": round(100 * moment.share, 2),
        "rows_per_second": None if moment.speed is None else round(moment.speed, 2),
        "eta_seconds": None if moment.eta_seconds is None else round(moment.eta_seconds, 1),
        **_rows(moment.total),
        "tiers": [
            {
                "tier_num": tier.tier,
                "status": tier.status,
                **_rows(Counts.total(item.counts for item in moment.counts if item.tier == tier.tier)),
            }
            for tier in moment.tiers
        ],
        "at": iso(utc_now()),
    }


def _end(moment: Moment) -> dict[str, Any]:
    batch = moment.batch
    began = batch.started_at or batch.queued_at
    took = (batch.completed_at - began).total_seconds() if batch.completed_at and began else None
    return {
        "batch_id": batch.batch_id,
        "status": batch.status,
        "failure_reason": batch.failure_reason,
        "failure_category": batch.failure_category,
        "completed_at": iso(batch.completed_at),
        "duration_seconds": None if took is None else round(took, 3),
        **_rows(moment.total),
    }
