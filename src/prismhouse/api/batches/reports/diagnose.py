"""The state of a batch at one look, for a person who asks what is wrong with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchStatus
from prismhouse.api.batches.reports.advice import advice
from prismhouse.api.batches.service.describe import errors, progress, state
from prismhouse.api.batches.service.describe.gathered import Gathered
from prismhouse.api.batches.service.describe.tiers import infrastructure_events, tier_task
from prismhouse.kit.clock import iso, utc_now

__all__ = ["diagnosed", "diagnostics"]

_SAMPLE = 10
_STARTING_SECONDS = 600


def diagnosed(known: Gathered, *, workers: bool) -> dict[str, Any]:
    """Return the diagnosis of a batch; its parts say the same as the batch's own answer."""
    row = known.row
    word, why = state.lifecycle(known)
    tiers = [tier_task(known, tier) for tier in known.tiers]
    kept = (
        "tier_num",
        "status",
        "started_at",
        "completed_at",
        "duration_ms",
        "error_summary",
        "source_documents_fetched",
        "documents_after_source_filter",
        "documents_missing_input_fields",
        "documents_submitted_to_engine",
        "documents_written",
        "audit",
    )
    return {
        "batch_id": row.batch_id,
        "bucket_id": row.bucket_id,
        "status": row.status,
        "lifecycle": word,
        "lifecycle_reason": why,
        "health": state.health(known),
        "failure_category": row.failure_category,
        "failure_reason": row.failure_reason,
        "created_at": iso(row.created_at),
        "queued_at": iso(row.queued_at),
        "started_at": iso(row.started_at),
        "completed_at": iso(row.completed_at),
        "last_activity_at": iso(state.last_activity(known)),
        "error_summary": errors.summary(known.failures),
        "errors": [error for tier in tiers for error in tier["errors"]],
        "failed_document_count": known.total.failed,
        "failed_documents_sample": [
            {
                "object_id": item.object_id,
                "error": item.message,
                "error_type": item.error_type,
                "timestamp": iso(item.created_at),
            }
            for item in known.failed[1][:_SAMPLE]
        ],
        "infrastructure_events": infrastructure_events(known),
        "per_tier": [{name: tier[name] for name in kept} for tier in tiers],
        "progress": progress.progress(known, brief=False),
        "recommendations": advice(known, workers=workers),
    }


def diagnostics(known: Gathered, *, workers: bool, names: dict[str, str], documents: dict[str, int]) -> dict[str, Any]:
    """Return a batch as dashboards show it.

    Args:
        workers: whether any worker lives.
        names: of the collections that are still there, by id.
        documents: numbers of documents of the collections.
    """
    row = known.row
    shown = progress.progress(known, brief=True) or {}
    health, blocked, stuck = _health(known, workers=workers)
    ended = row.completed_at or utc_now()
    tiers = [_tier(known, tier_task(known, tier)) for tier in known.tiers]
    return {
        "batch_id": row.batch_id,
        "batch_name": row.batch_name or row.batch_id,
        "status": row.status,
        "bucket_id": row.bucket_id,
        "current_tier": row.current_tier or 0,
        "total_tiers": len(row.dag_tiers or ()) or 1,
        "overall_progress": shown.get("percent") or 0.0,
        "created_at": iso(row.created_at),
        "submitted_at": iso(row.queued_at),
        "started_at": iso(row.started_at),
        "completed_at": iso(row.completed_at),
        "duration_seconds": round((ended - row.started_at).total_seconds(), 3) if row.started_at else None,
        "estimated_completion": _eta(known),
        "tiers": tiers,
        "collections": [_collection(known, name, names, documents) for name in row.collection_ids],
        "performance_summary": _performance(known),
        "insights": _insights(known),
        "has_failures": bool(known.total.failed or known.total.incomplete or row.status is BatchStatus.FAILED),
        "failed_tier_count": sum(tier["status"] == "FAILED" for tier in tiers),
        "health": health,
        "blocked_reason": blocked,
        "stuck_seconds": stuck,
        "total_objects": row.object_count,
        "next_actions": advice(known, workers=workers),
    }


def _health(known: Gathered, *, workers: bool) -> tuple[str, str | None, float | None]:
    """Return ok, scaling, stuck or degraded; why it does not go on, and for how many seconds it has not."""
    row, heard = known.row, state.last_activity(known) or known.row.queued_at
    if row.status in ACTIVE and heard is not None:
        silent = (utc_now() - heard).total_seconds()
        if not workers:
            return "stuck", "No worker has been heard of for a minute.", round(silent, 1)
        if row.status is BatchStatus.PROCESSING and silent > state.STALLED_AFTER.total_seconds():
            begun = any(item.done for item in known.of_tier(row.current_tier or 0))
            if not begun and silent < _STARTING_SECONDS:
                return "scaling", "Its first chunk is being extracted: models are loaded with the first one.", None
            running = known.jobs.get("doing", 0)
            reason = f"Nothing was heard of its {running} running chunks." if running else "None of its chunks runs."
            return "stuck", reason, round(silent, 1)
        if row.status is BatchStatus.PROCESSING and not any(item.done for item in known.counts):
            return "scaling", "Its first chunk is being extracted: models are loaded with the first one.", None
    lost = any((tier.audit or {}).get("lost") for tier in known.tiers)
    bad = known.total.failed or known.total.incomplete or lost or row.status is BatchStatus.FAILED
    return ("degraded" if bad else "ok"), None, None


def _tier(known: Gathered, tier: dict[str, Any]) -> dict[str, Any]:
    mine = known.of_tier(tier["tier_num"])
    done, submitted = sum(item.done for item in mine), sum(item.counts.submitted for item in mine)
    first = next(iter(tier["errors"]), None)
    return {
        "tier_num": tier["tier_num"],
        "task_id": tier["task_id"],
        "status": tier["status"],
        "started_at": tier["started_at"],
        "completed_at": tier["completed_at"],
        "duration_seconds": None if tier["duration_ms"] is None else round(tier["duration_ms"] / 1000, 3),
        "progress": {
            "processed_documents": done,
            "total_documents": submitted,
            "percentage": round(100 * done / submitted, 2) if submitted else 0.0,
        },
        "error": first["message"] if first else None,
        "error_type": first["error_type"] if first else None,
    }


def _collection(known: Gathered, name: str, names: dict[str, str], documents: dict[str, int]) -> dict[str, Any]:
    number = documents.get(name, 0)
    going = known.row.status in ACTIVE and any(
        item.collection_id == name and item.done < max(1, item.counts.submitted) for item in known.counts
    )
    return {
        "collection_id": name,
        "collection_name": names.get(name, name),
        "document_count": number,
        "expected_documents": None,
        "status": "processing" if going else "ready" if number else "empty",
    }


def _performance(known: Gathered) -> dict[str, Any] | None:
    row = known.row
    if row.started_at is None or not row.is_terminal:
        return None
    seconds = ((row.completed_at or utc_now()) - row.started_at).total_seconds()
    times = known.amount("seconds").get("extract")
    return {
        "total_time_seconds": round(seconds, 3),
        "documents_per_second": round(known.total.documents_written / seconds, 3) if seconds > 0 else None,
        "extraction_seconds": None if times is None else round(times, 3),
        "waited_seconds": round((row.started_at - row.queued_at).total_seconds(), 3) if row.queued_at else None,
    }


def _insights(known: Gathered) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"type": "warning", "severity": "warning", "message": text, "stage": None, "metric_value": None}
        for text in progress.warnings(known)
    ]
    slowest = max(
        known.counts,
        key=lambda item: known.amount("seconds", tier=item.tier, collection_id=item.collection_id).get("extract", 0.0),
        default=None,
    )
    if slowest is not None and len(known.counts) > 1:
        took = known.amount("seconds", tier=slowest.tier, collection_id=slowest.collection_id).get("extract", 0.0)
        whole = known.amount("seconds").get("extract", 0.0)
        if whole and took / whole > 0.5:
            found.append(
                {
                    "type": "bottleneck",
                    "severity": "info",
                    "message": f"{slowest.extractor_id} took {took / whole:.0%} of the time spent in extraction.",
                    "stage": f"tier {slowest.tier}",
                    "metric_value": round(took, 3),
                }
            )
    return [{**item, "recommendation": None} for item in found]


def _eta(known: Gathered) -> str | None:
    seconds = progress.eta_seconds(known)
    return None if seconds is None else iso(utc_now() + timedelta(seconds=seconds))
