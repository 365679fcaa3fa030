"""One job for each collection of a tier: what can be cancelled by itself is shown by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prismhouse.api.batches.model import CountsRow, TierRow
from prismhouse.api.batches.service.describe import errors
from prismhouse.api.batches.service.describe.gathered import Gathered
from prismhouse.api.batches.service.submit import job_id
from prismhouse.api.batches.store.failures import FailureGroup
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.clock import iso

__all__ = ["dropped", "extractor_job", "moments"]


def extractor_job(known: Gathered, tier: TierRow, item: CountsRow, groups: Sequence[FailureGroup]) -> dict[str, Any]:
    """Return the work of one collection in a tier as it is answered; `groups` are the failures of the tier."""
    mine = [group for group in groups if group.collection_id == item.collection_id]
    over = _over(tier, item)
    drops = {
        kind: known.amount(kind, tier=tier.tier, collection_id=item.collection_id)
        for kind in ("pages_dropped", "segments_dropped")
    }
    return {
        "ray_job_id": job_id(known.row.batch_id, tier.tier, item.collection_id),
        "extractor_type": item.extractor_id.rsplit("_", 1)[0],
        "extractor_id": item.extractor_id,
        "collection_ids": [item.collection_id],
        "execution_mode": None,
        "status": _status(tier, item, over=over is not None),
        **moments(item.started_at, over if item.started_at else None),
        "documents_written": item.counts.documents_written,
        "documents_skipped": item.counts.skipped + item.counts.deduplicated,
        "warnings": _warnings(item.counts),
        **dropped(drops),
        "errors": [errors.detail(group, component=item.extractor_id) for group in mine],
        "error": mine[0].message if mine else None,
        "last_activity_at": iso(item.updated_at if item.done else item.started_at),
    }


def dropped(amounts: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return pages and segments that were left out and why; keys only where there are any."""
    shown: dict[str, Any] = {}
    for kind, reasons in amounts.items():
        if number := int(sum(reasons.values())):
            shown[kind] = number
            shown[f"{kind}_reasons"] = {reason: int(count) for reason, count in sorted(reasons.items())}
    return shown


def moments(started: datetime | None, completed: datetime | None) -> dict[str, Any]:
    """Return when work began and ended, and how long it took."""
    took = completed - started if started is not None and completed is not None else None
    return {
        "started_at": iso(started),
        "completed_at": iso(completed),
        "duration_ms": None if took is None else round(max(0.0, took.total_seconds()) * 1000, 1),
    }


def _over(tier: TierRow, item: CountsRow) -> datetime | None:
    """When the last row of a job ended, where all have; the tier may go on with its other jobs."""
    if tier.started_at is None:
        return None
    return item.updated_at if item.done >= item.counts.submitted else tier.completed_at


def _status(tier: TierRow, item: CountsRow, *, over: bool) -> str:
    if item.canceled_at is not None:
        return "CANCELED"
    if tier.started_at is None or (tier.completed_at is None and not over):
        return tier.status
    counts = item.counts
    if tier.status in {"CANCELED", "SKIPPED"} and item.done < counts.submitted:
        return tier.status
    if counts.failed and not (counts.documents_written or counts.deduplicated):
        return "FAILED"
    return "COMPLETED_WITH_ERRORS" if counts.failed or counts.incomplete else "COMPLETED"


def _warnings(total: Counts) -> list[str]:
    found = []
    if total.missing_inputs:
        found.append(f"{total.missing_inputs} rows have no value in a field that an input is mapped to.")
    if total.incomplete:
        found.append(f"{total.incomplete} rows were written without a part of their input.")
    if total.submitted and not total.documents_written and total.skipped == total.submitted:
        found.append("All rows were empty.")
    return found
