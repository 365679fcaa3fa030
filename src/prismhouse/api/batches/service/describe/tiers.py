"""Tiers of a batch: the funnel of their rows, a job for each collection, errors, times, books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prismhouse.api.batches.model import CountsRow, TierRow
from prismhouse.api.batches.service.describe import errors
from prismhouse.api.batches.service.describe.gathered import Gathered
from prismhouse.api.batches.service.describe.jobs import extractor_job, moments
from prismhouse.api.batches.store.failures import FailureGroup
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.clock import iso, utc_now

__all__ = ["infrastructure_events", "tier_task"]

_EVENTS = frozenset({"oom", "preemption", "node_failure", "ray_bug", "rolling_update", "unknown"})


def tier_task(known: Gathered, tier: TierRow) -> dict[str, Any]:
    """Return a tier as it is answered."""
    mine = known.of_tier(tier.tier)
    total = Counts.total(item.counts for item in mine)
    started = tier.started_at is not None
    groups = [group for group in known.failures if group.tier == tier.tier]
    before = [item.documents_before for item in mine if item.documents_before is not None]
    return {
        "tier_num": tier.tier,
        "task_id": tier.task_id,
        "status": tier.status,
        "collection_ids": [item.collection_id for item in mine],
        "source_type": "collection" if tier.tier or known.row.type == "COLLECTION" else "bucket",
        "source_collection_ids": list((known.row.dag_tiers or ())[tier.tier - 1]) if tier.tier else None,
        "parent_task_id": known.tiers[tier.tier - 1].task_id if tier.tier else None,
        **moments(tier.started_at, tier.completed_at),
        "extractor_jobs": [extractor_job(known, tier, item, groups) for item in mine],
        "errors": [errors.detail(group, component=_component(mine, group)) for group in groups],
        "error_summary": errors.summary(groups),
        "performance": _performance(known, tier, total),
        "last_activity_at": iso(_heard(tier, mine)),
        "source_documents_fetched": total.fetched if started else None,
        "documents_after_source_filter": total.after_filter if started else None,
        "documents_missing_input_fields": total.missing_inputs if started else None,
        "documents_submitted_to_engine": total.submitted if started else None,
        "documents_written": total.documents_written if started else None,
        "documents_before_processing": sum(before) if before else None,
        **_replaced(known, tier.tier),
        "infrastructure_events": infrastructure_events(known, tier.tier),
        "audit": tier.audit,
        "audit_override_reason": _override(tier),
    }


def infrastructure_events(known: Gathered, tier: int | None = None) -> list[dict[str, Any]]:
    """Return what the machine did to the work, from the journal: of a tier, or of all."""
    return [
        {
            "event_type": entry.details["infrastructure"] if entry.details["infrastructure"] in _EVENTS else "unknown",
            "detected_at": iso(entry.created_at),
            "raw_signal": entry.message,
            "node_id": entry.details.get("node_id"),
            "pod_name": None,
        }
        for entry in known.entries
        if "infrastructure" in entry.details and tier in (None, entry.tier)
    ]


def _performance(known: Gathered, tier: TierRow, total: Counts) -> dict[str, Any] | None:
    """Times that were measured: of the whole tier, and inside extraction summed over calls that ran side by side."""
    if tier.started_at is None or tier.completed_at is None:
        return None
    spent = (tier.completed_at - tier.started_at).total_seconds()
    extraction = known.amount("seconds", tier=tier.tier).get("extract")
    calls = known.amount("work", tier=tier.tier).get("calls")
    done = total.processed + total.failed + total.skipped
    return {
        "total_time_ms": round(spent * 1000, 1),
        "avg_latency_ms": round(extraction * 1000 / calls, 1) if extraction is not None and calls else None,
        "extraction_time_ms": None if extraction is None else round(extraction * 1000, 1),
        "extraction_calls": None if calls is None else int(calls),
        "rows_per_second": round(done / spent, 3) if spent > 0 else None,
        "documents_per_second": round(total.documents_written / spent, 3) if spent > 0 else None,
        "bottlenecks": _slowest(known, tier.tier),
        "stage_count": len(known.of_tier(tier.tier)),
    }


def _slowest(known: Gathered, tier: int) -> list[dict[str, Any]]:
    times = [
        (item, known.amount("seconds", tier=tier, collection_id=item.collection_id).get("extract"))
        for item in known.of_tier(tier)
    ]
    measured = sorted(((taken, item) for item, taken in times if taken), key=lambda pair: -pair[0])
    return [
        {
            "collection_id": item.collection_id,
            "extractor_id": item.extractor_id,
            "extraction_time_ms": round(taken * 1000, 1),
            "ms_per_row": round(taken * 1000 / item.done, 2) if item.done else None,
        }
        for taken, item in measured[:5]
    ]


def _replaced(known: Gathered, tier: int) -> dict[str, int | None]:
    if known.row.dedup_strategy != "replace":
        return {}
    found = known.amount("documents", tier=tier)
    return {f"documents_{name}": int(found.get(name, 0)) for name in ("replaced", "deleted")}


def _heard(tier: TierRow, counts: Sequence[CountsRow]) -> datetime | None:
    if tier.started_at is None:
        return None
    return min(utc_now(), max([tier.started_at, *(item.updated_at for item in counts)]))


def _override(tier: TierRow) -> str | None:
    lost = (tier.audit or {}).get("lost", 0)
    return f"{lost} rows are not accounted for." if lost and tier.status == "COMPLETED_WITH_ERRORS" else None


def _component(counts: Sequence[CountsRow], group: FailureGroup) -> str | None:
    return next((item.extractor_id for item in counts if item.collection_id == group.collection_id), None)
