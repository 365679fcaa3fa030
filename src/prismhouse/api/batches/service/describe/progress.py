"""How far a batch has come. What is counted is finished rows, never rows that were only handed out.

A batch of several tiers finishes an object when its rows of all tiers are done; until then each tier counts for an
equal part of it, so that two of three finished tiers are two thirds. Percentages are rounded down: 100 is the end.
"""

from __future__ import annotations

import math
from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchStatus, TierRow
from prismhouse.api.batches.service.describe.gathered import Gathered
from prismhouse.api.batches.service.describe.state import queue_reason
from prismhouse.api.batches.store.journal import Entry, JournalEvent
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.clock import utc_now

__all__ = ["eta_seconds", "finished_objects", "progress", "stage_history", "warnings"]

_STAGES = ("dispatch", "extraction", "write")
_HISTORY = 50
_WARNINGS = 10
_FIRST_ERROR_CHARACTERS = 500
_DONE = frozenset({BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS})


def progress(known: Gathered, *, brief: bool) -> dict[str, Any] | None:
    """Return the progress of a batch that has begun."""
    row, total = known.row, known.total
    if row.started_at is None:
        return None
    share, waiting = _share(known), row.status is BatchStatus.QUEUED
    shown: dict[str, Any] = {
        "processed": finished_objects(known),
        "total": row.object_count,
        "percent": math.floor(share * 10_000) / 100,
        "items_per_second": _speed(known),
        "eta_seconds": eta_seconds(known),
        "batch_count": int(sum(known.amount("work").values())),
        "errors": total.failed,
        "first_error": _first_error(known),
        "extraction_first_error": _first_error(known),
        "documents_skipped": total.skipped + total.deduplicated,
        **_objects(known),
        "documents_written": total.documents_written,
        "current_stage": _current_stage(known),
        "phases": _phases(known),
        "active_step": None,
        "overshoot_percent": None,
        "queue_position": (known.ahead or 0) + 1 if waiting else None,
        "queue_reason": queue_reason(known),
        "chunk_stats": _chunk_stats(known),
        "status_warnings": warnings(known),
    }
    if not brief:
        shown["stage_history"] = stage_history(known)
    return shown


def finished_objects(known: Gathered) -> int:
    """Return how many objects are through, rounded down."""
    return math.floor(known.row.object_count * _share(known) + 1e-9)


def eta_seconds(known: Gathered) -> float | None:
    """Return for how long it will go on at the speed so far; None while that is not known."""
    row, share = known.row, _share(known)
    if row.status is not BatchStatus.PROCESSING or row.started_at is None or not 0 < share < 1:
        return None
    tier = _tier(known)
    mine = Counts.total(item.counts for item in known.of_tier(row.current_tier or 0))
    done = _done(mine)
    if (row.current_tier or 0) == len(row.dag_tiers or ()) - 1 and done and tier and tier.started_at:
        spent = (utc_now() - tier.started_at).total_seconds()
        return round((mine.submitted - done) * spent / done, 1)
    return round((1 - share) * (utc_now() - row.started_at).total_seconds() / share, 1)


def warnings(known: Gathered) -> list[str]:
    """Return sentences about what the status alone does not say."""
    total, found = known.total, []
    lost = sum((tier.audit or {}).get("lost", 0) for tier in known.tiers)
    if lost:
        found.append(f"{lost} rows are not accounted for; see the batch's audit.")
    if total.fetched and not total.after_filter:
        found.append(f"None of {total.fetched} sources passed the source_filters of the collections.")
    if total.missing_inputs:
        found.append(f"{total.missing_inputs} rows have no value in a field that an input is mapped to.")
    if total.incomplete:
        found.append(f"{total.incomplete} rows were written without a part of their input; see failed-documents.")
    if total.skipped:
        found.append(f"{total.skipped} rows were empty and gave no document.")
    if known.row.status in _DONE and not total.documents_written and total.deduplicated:
        found.append("Nothing was written: all objects had documents already (dedup_strategy skip).")
    left_out = {kind: int(sum(known.amount(f"{kind}_dropped").values())) for kind in ("pages", "segments")}
    found += [
        f"{number} {kind} were left out; {kind}_dropped_reasons says why."
        for kind, number in left_out.items()
        if number
    ]
    told = [entry.message for entry in known.entries if entry.level == "warning" and _is_news(entry)]
    return found + told[-_WARNINGS:]


def stage_history(known: Gathered) -> list[dict[str, Any]]:
    """Return the stages that have ended, from the journal: for each tier the wait for its start, then extraction."""
    found: list[dict[str, Any]] = []
    waiting_since: float | None = None
    running: dict[int | None, float] = {}
    for entry in known.entries:
        at = entry.created_at.timestamp()
        match entry.event:
            case JournalEvent.BATCH_SUBMITTED | JournalEvent.BATCH_RETRIED | JournalEvent.BATCH_RESUBMITTED:
                waiting_since = at
            case JournalEvent.TIER_STARTED:
                if waiting_since is not None:
                    found.append(_stage("dispatch", entry.tier, waiting_since, at))
                running[entry.tier], waiting_since = at, None
            case JournalEvent.TIER_ENDED | JournalEvent.TIER_CANCELED:
                if (since := running.pop(entry.tier, None)) is not None:
                    found.append(_stage("extraction", entry.tier, since, at))
                waiting_since = at
            case _:
                pass
    return found[-_HISTORY:]


def _stage(name: str, tier: int | None, started: float, ended: float) -> dict[str, Any]:
    return {
        "name": name if not tier else f"{name} (tier {tier})",
        "index": _STAGES.index(name) + 1,
        "total": len(_STAGES),
        "started_at": round(started, 3),
        "ended_at": round(ended, 3),
        "duration_seconds": round(ended - started, 2),
    }


def _share(known: Gathered) -> float:
    """The share of the work that is done: tiers count the same, rows count the same within their tier."""
    row = known.row
    if row.status in _DONE:
        return 1.0
    tiers = range(len(row.dag_tiers or ()) or 1)
    return sum(_share_of_tier(known, number) for number in tiers) / len(tiers)


def _share_of_tier(known: Gathered, number: int) -> float:
    tier = next((item for item in known.tiers if item.tier == number), None)
    if tier is None or tier.started_at is None:
        return 0.0
    counts = Counts.total(item.counts for item in known.of_tier(number))
    if not counts.submitted:
        return 1.0 if tier.completed_at is not None else 0.0
    return min(1.0, _done(counts) / counts.submitted)


def _done(counts: Counts) -> int:
    return counts.processed + counts.failed + counts.skipped


def _objects(known: Gathered) -> dict[str, int | None]:
    """Objects by what the first tier made of them; where several collections read them, as the best one did."""
    first = known.of_tier(0)
    if known.row.type == "COLLECTION" or not first:
        return {"objects_extracted": None, "objects_skipped": None, "objects_failed": known.failed[0]}
    return {
        "objects_extracted": max(item.counts.processed for item in first),
        "objects_skipped": min(item.counts.skipped + item.counts.deduplicated for item in first),
        "objects_failed": known.failed[0],
    }


def _speed(known: Gathered) -> float | None:
    row = known.row
    if row.started_at is None or not (done := finished_objects(known)):
        return None
    seconds = ((row.completed_at or utc_now()) - row.started_at).total_seconds()
    return round(done / seconds, 3) if seconds > 0 else None


def _first_error(known: Gathered) -> str | None:
    first = min(known.failures, key=lambda group: group.first_at, default=None)
    return first.message[:_FIRST_ERROR_CHARACTERS] if first else None


def _tier(known: Gathered) -> TierRow | None:
    number = known.row.current_tier or 0
    return next((tier for tier in known.tiers if tier.tier == number), None)


def _current_stage(known: Gathered) -> dict[str, Any] | None:
    tier = _tier(known)
    if known.row.status not in ACTIVE or tier is None:
        return None
    running = known.row.status is BatchStatus.PROCESSING and tier.started_at is not None and tier.completed_at is None
    since = tier.started_at if running else (known.row.queued_at or known.row.started_at)
    begun = any(item.done for item in known.of_tier(tier.tier))
    name = "extraction" if running else "dispatch"
    return {
        "name": name,
        "index": _STAGES.index(name) + 1,
        "total": len(_STAGES),
        "stage_elapsed_seconds": round((utc_now() - since).total_seconds(), 1) if since else 0.0,
        "sub_stage": "inferring" if running and begun else None,
        "sub_stage_elapsed_seconds": None,
    }


def _phases(known: Gathered) -> dict[str, dict[str, Any]]:
    """Rows of the current tier: handed out, extracted; and its documents, which a chunk writes with its rows' end."""
    number = known.row.current_tier or 0
    counts = Counts.total(item.counts for item in known.of_tier(number))
    stage = _current_stage(known)
    if stage is None:
        end = "done" if known.row.status in _DONE else "error"
        states = (end if counts.fetched else "pending", end, end)
    elif stage["name"] == "dispatch":
        states = ("active", "pending", "pending")
    else:
        states = ("done", "active", "pending")
    return {
        "dispatch": {"processed": counts.submitted, "total": counts.submitted, "status": states[0]},
        "extraction": {"processed": _done(counts), "total": counts.submitted, "status": states[1]},
        "write": {"processed": counts.documents_written, "total": None, "status": states[2]},
    }


def _chunk_stats(known: Gathered) -> dict[str, Any] | None:
    """What texts were cut into, where one unit was used."""
    made, units = known.amount("chunks"), known.amount("chunk_units")
    if len(made) != 1:
        return None
    [(unit, number)] = made.items()
    mean = round(units[unit] / number, 2) if unit in units and number else None
    return {"unit": unit, "total_chunks": int(number), "mean_units_per_chunk": mean}


def _is_news(entry: Entry) -> bool:
    return entry.event not in {JournalEvent.TIER_ENDED, JournalEvent.BATCH_ENDED}
