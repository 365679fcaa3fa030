"""How a batch stands, in words: lifecycle, message, queue, health."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchRow, BatchStatus
from prismhouse.api.batches.service.describe.gathered import Gathered
from prismhouse.kit.clock import iso, utc_now

__all__ = ["health", "last_activity", "lifecycle", "message", "queue_context", "queue_reason"]

STALLED_AFTER = timedelta(minutes=5)


def lifecycle(known: Gathered) -> tuple[str, str]:
    """Return the one word of the API's own, and a sentence that says why."""
    row = known.row
    match row.status:
        case BatchStatus.DRAFT:
            return "accepted", "It waits to be submitted."
        case BatchStatus.QUEUED:
            return "queued", queue_reason(known) or "It waits for a worker."
        case BatchStatus.PROCESSING:
            if known.jobs.get("doing") or any(item.done for item in known.of_tier(row.current_tier or 0)):
                return "extracting", _extracting(known)
            return "admitted", "Its work is cut into chunks, and none of them has a worker yet."
        case BatchStatus.COMPLETED:
            return "indexed", "All documents are written and can be searched."
        case BatchStatus.COMPLETED_WITH_ERRORS:
            return "indexed", "What succeeded is written and can be searched; see failed-documents for the rest."
        case BatchStatus.FAILED:
            return "failed", row.failure_reason or "It failed."
        case _:
            return "canceled", row.failure_reason or "It was cancelled; documents already written stay."


def message(known: Gathered, finished: int) -> str:
    """Return a sentence for a person; `finished` is how many objects are through."""
    row, total = known.row, known.total
    match row.status:
        case BatchStatus.DRAFT:
            return f"Draft of {row.object_count} objects; submit it to process them."
        case BatchStatus.QUEUED:
            more = f", {known.ahead} batches ahead" if known.ahead else ""
            return f"Queued{more}: {row.object_count} objects wait to be processed."
        case BatchStatus.PROCESSING:
            tiers = len(row.dag_tiers or ()) or 1
            where = f", tier {(row.current_tier or 0) + 1} of {tiers}" if tiers > 1 else ""
            done, number = f"{finished:,}/{row.object_count:,}", total.documents_written
            return f"Processing {done} objects{where}, {number} documents written."
        case BatchStatus.COMPLETED:
            more = f"; {total.deduplicated} rows had documents already" if total.deduplicated else ""
            return f"Done{_took(row)}: {total.documents_written} documents written{more}."
        case BatchStatus.COMPLETED_WITH_ERRORS:
            parts = f", {total.incomplete} rows lost a part of their input" if total.incomplete else ""
            return (
                f"Done{_took(row)}: {total.documents_written} documents written and searchable; "
                f"{known.failed[0]} objects failed{parts}, see failed-documents."
            )
        case _:
            return row.failure_reason or lifecycle(known)[1]


def queue_context(known: Gathered) -> dict[str, Any] | None:
    """Return how long it waits, or waited, and behind how many."""
    row = known.row
    if row.queued_at is None:
        return None
    until = row.started_at or row.completed_at
    waited = round(max(0.0, ((until or utc_now()) - row.queued_at).total_seconds()), 3)
    return {
        "batches_ahead": known.ahead,
        "waiting_seconds": waited if until is None else None,
        "waited_seconds": None if until is None else waited,
        "reason": queue_reason(known),
        "queued_at": iso(row.queued_at),
        "admitted_at": iso(row.started_at),
    }


def queue_reason(known: Gathered) -> str | None:
    """Return why a queued batch waits; None for one that does not."""
    if known.row.status is not BatchStatus.QUEUED:
        return None
    if known.ahead:
        return f"{known.ahead} batches of this namespace were submitted before and are not done."
    return "It is the first of its namespace; a worker has not taken it up yet."


def last_activity(known: Gathered) -> datetime | None:
    """Return when something was last heard of its work; None when it never began."""
    if known.row.started_at is None:
        return None
    moments = [item.updated_at for item in known.counts if item.done or item.counts.fetched]
    moments += [tier.started_at for tier in known.tiers if tier.started_at is not None]
    return max([known.row.started_at, *moments])


def health(known: Gathered) -> str | None:
    """Return healthy, stalled (nothing heard for five minutes) or unknown (nothing heard yet) of one that runs."""
    row, heard = known.row, last_activity(known)
    if row.status is not BatchStatus.PROCESSING or heard is None:
        return None
    if utc_now() - heard > STALLED_AFTER:
        return "stalled"
    return "healthy" if any(item.done for item in known.counts) else "unknown"


def _extracting(known: Gathered) -> str:
    running, waiting = known.jobs.get("doing", 0), known.jobs.get("todo", 0)
    return f"{running} chunks are being extracted, {waiting} wait for a worker."


def _took(row: BatchRow) -> str:
    if row.started_at is None or row.completed_at is None or row.status in ACTIVE:
        return ""
    seconds = (row.completed_at - row.started_at).total_seconds()
    return f" in {seconds:.1f} s" if seconds < 60 else f" in {int(seconds // 60)} min {int(seconds % 60)} s"
