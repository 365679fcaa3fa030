"""A batch as it is answered: its state in words and numbers, made from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prismhouse.api.batches.model import ACTIVE, BatchRow, BatchStatus, CountsRow, TierRow
from prismhouse.api.batches.service.submit import job_id
from prismhouse.api.batches.store import batches as store
from prismhouse.api.batches.store import chunks, ledger
from prismhouse.api.batches.store.ledger import FailedObject
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.clock import iso, utc_now
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["answers", "audit_of"]

_FAILED_SHOWN = 100
_STALLED_AFTER = timedelta(minutes=5)
_LIFECYCLES = {
    BatchStatus.DRAFT: ("accepted", "It waits to be submitted."),
    BatchStatus.QUEUED: ("queued", "It waits for a worker."),
    BatchStatus.PROCESSING: ("extracting", "Extraction is running."),
    BatchStatus.COMPLETED: ("indexed", "All documents are written and can be searched."),
    BatchStatus.COMPLETED_WITH_ERRORS: ("indexed", "What succeeded is written and can be searched; some rows failed."),
    BatchStatus.FAILED: ("failed", "It failed."),
    BatchStatus.CANCELED: ("canceled", "It was cancelled; documents already written stay."),
}


async def answers(tx: NamespaceReader, rows: Sequence[BatchRow], *, brief: bool = False) -> list[dict[str, Any]]:
    """Return batches as they are answered, with six statements however many there are."""
    ids = [row.batch_id for row in rows]
    if not ids:
        return []
    objects = await store.object_ids_of(tx, ids)
    tiers = await chunks.tiers_of(tx, ids)
    counts = await ledger.counts_of(tx, ids)
    failed = await ledger.failed_objects_of(tx, ids, _FAILED_SHOWN)
    partial = await ledger.partial_objects_of(tx, ids, _FAILED_SHOWN)
    summary = await ledger.summary_of(tx, ids)
    return [
        _answer(
            row,
            objects.get(row.batch_id, []),
            tiers.get(row.batch_id, []),
            counts.get(row.batch_id, []),
            failed.get(row.batch_id, (0, [])),
            partial.get(row.batch_id, (0, [])),
            summary.get(row.batch_id, {}),
            brief=brief,
        )
        for row in rows
    ]


def _answer(
    row: BatchRow,
    objects: list[str],
    tiers: list[TierRow],
    counts: list[CountsRow],
    failed: tuple[int, list[FailedObject]],
    partial: tuple[int, list[FailedObject]],
    summary: dict[tuple[int, str], int],
    *,
    brief: bool,
) -> dict[str, Any]:
    total = Counts.total(item.counts for item in counts)
    lifecycle, reason = _LIFECYCLES[row.status]
    activity = max([row.updated_at, *(item.updated_at for item in counts)])
    error_summary: dict[str, int] = {}
    for (_, kind), number in summary.items():
        error_summary[kind] = error_summary.get(kind, 0) + number
    started = row.started_at is not None
    return {
        "batch_id": row.batch_id,
        "bucket_id": row.bucket_id,
        "namespace_id": row.namespace_id,
        "batch_name": row.batch_name,
        "type": row.type,
        "metadata": row.metadata,
        "object_ids": objects,
        "loaded_object_ids": objects if started else None,
        "collection_ids": row.collection_ids or None,
        "dag_tiers": row.dag_tiers,
        "total_tiers": len(row.dag_tiers or ()) or 1,
        "current_tier": row.current_tier,
        "dedup_strategy": row.dedup_strategy,
        "effective_dedup_strategy": row.dedup_strategy,
        "dedup_audit": _dedup_audit(row, counts) if started else None,
        "status": row.status,
        "lifecycle": lifecycle,
        "lifecycle_reason": row.failure_reason or reason,
        "status_message": _message(row, total, failed[0]),
        "queue_context": _queue_context(row),
        "health": _health(row, activity),
        "last_activity_at": iso(activity),
        "task_id": row.task_id,
        "tier_tasks": [_tier(row, tier, counts, summary, tiers) for tier in tiers],
        "progress": _progress(row, len(objects), counts, failed, brief=brief) if started else None,
        "webhook_url": row.webhook_url,
        "documents_written": total.documents_written if started else None,
        "documents_replaced": row.documents_replaced or None,
        "documents_deleted": row.documents_deleted,
        "documents_resolvable": row.is_terminal,
        "documents_resolvable_error": row.failure_reason if row.status is BatchStatus.FAILED else None,
        "failure_reason": row.failure_reason,
        "failure_category": row.failure_category,
        "error": row.failure_reason if row.status is BatchStatus.FAILED else None,
        "error_summary": error_summary or None,
        "failed_objects": [_failed(item) for item in failed[1]] or None,
        "failed_object_count": failed[0],
        "partial_objects": [_partial(item) for item in partial[1]] or None,
        "partial_object_count": partial[0],
        "unaccounted_object_count": total.lost if row.is_terminal and started else None,
        "retry_count": row.retry_count,
        "max_retries": 3,
        "last_retry_at": iso(row.last_retry_at),
        "node_death_resubmit_count": 0,
        "deploy_resubmit_count": 0,
        "max_node_death_resubmits": 0,
        "max_deploy_resubmits": 0,
        "submitted_by_key_id": row.submitted_by_key_id,
        "submitted_by_key_prefix": row.submitted_by_key_prefix,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def _message(row: BatchRow, total: Counts, failed: int) -> str:
    match row.status:
        case BatchStatus.DRAFT:
            return f"Draft of {row.object_count} objects; submit it to process them."
        case BatchStatus.QUEUED:
            return f"{row.object_count} objects wait to be processed."
        case BatchStatus.PROCESSING:
            done = total.processed + total.failed + total.skipped
            return f"{done} of {total.submitted} rows done, {total.documents_written} documents written."
        case BatchStatus.COMPLETED:
            more = f"; {total.deduplicated} rows had documents already" if total.deduplicated else ""
            return f"Done: {total.documents_written} documents written{more}."
        case BatchStatus.COMPLETED_WITH_ERRORS:
            parts = f", {total.incomplete} rows lost a part of their input" if total.incomplete else ""
            return (
                f"Done: {total.documents_written} documents written and searchable; {failed} objects failed{parts}, "
                "see failed-documents."
            )
        case _:
            return row.failure_reason or _LIFECYCLES[row.status][1]


def _failed(item: FailedObject) -> dict[str, Any]:
    return {
        "object_id": item.object_id,
        "error": item.message,
        "error_type": item.error_type,
        "timestamp": iso(item.created_at),
    }


def _partial(item: FailedObject) -> dict[str, Any]:
    return {"object_id": item.object_id, "error": item.message, "missing_feature": item.missing_feature}


def _queue_context(row: BatchRow) -> dict[str, Any] | None:
    if row.queued_at is None:
        return None
    until = row.started_at or row.completed_at
    waited = ((until or utc_now()) - row.queued_at).total_seconds()
    return {
        "queued_at": iso(row.queued_at),
        "admitted_at": iso(row.started_at),
        "waiting_seconds" if until is None else "waited_seconds": round(waited, 3),
    }


def _health(row: BatchRow, activity: Any) -> str:
    return "stalled" if row.status in ACTIVE and utc_now() - activity > _STALLED_AFTER else "healthy"


def _dedup_audit(row: BatchRow, counts: list[CountsRow]) -> dict[str, Any]:
    return {
        item.collection_id: {
            "dedup_strategy": row.dedup_strategy,
            "total_input": item.counts.after_filter,
            "skipped": item.counts.deduplicated,
            "processed": item.counts.submitted,
        }
        for item in counts
    }


def _tier(
    row: BatchRow,
    tier: TierRow,
    counts: list[CountsRow],
    summary: dict[tuple[int, str], int],
    tiers: list[TierRow],
) -> dict[str, Any]:
    mine = [item for item in counts if item.tier == tier.tier]
    total = Counts.total(item.counts for item in mine)
    took = (tier.completed_at - tier.started_at) if tier.completed_at and tier.started_at else None
    moments = {"started_at": iso(tier.started_at), "completed_at": iso(tier.completed_at)}
    errors = {kind: number for (number_of, kind), number in summary.items() if number_of == tier.tier}
    return {
        "tier_num": tier.tier,
        "task_id": tier.task_id,
        "status": tier.status,
        "collection_ids": [item.collection_id for item in mine],
        "source_type": "collection" if tier.tier or row.type == "COLLECTION" else "bucket",
        "source_collection_ids": list((row.dag_tiers or ())[tier.tier - 1]) if tier.tier else None,
        "parent_task_id": tiers[tier.tier - 1].task_id if tier.tier else None,
        **moments,
        "duration_ms": None if took is None else took.total_seconds() * 1000,
        "extractor_jobs": [_job(row, tier, item, moments) for item in mine],
        "errors": [],
        "error_summary": errors or None,
        "source_documents_fetched": total.fetched,
        "documents_after_source_filter": total.after_filter,
        "documents_missing_input_fields": total.missing_inputs,
        "documents_submitted_to_engine": total.submitted,
        "documents_written": total.documents_written,
        "last_activity_at": iso(max((item.updated_at for item in mine), default=row.updated_at)),
        "audit": audit_of(tier, total),
    }


def _job(row: BatchRow, tier: TierRow, item: CountsRow, moments: dict[str, Any]) -> dict[str, Any]:
    return {
        "ray_job_id": job_id(row.batch_id, tier.tier, item.collection_id),
        "extractor_type": item.extractor_id.rsplit("_", 1)[0],
        "extractor_id": item.extractor_id,
        "collection_ids": [item.collection_id],
        "status": tier.status if item.canceled_at is None else "CANCELED",
        **moments,
        "documents_written": item.counts.documents_written,
        "documents_skipped": item.counts.skipped + item.counts.deduplicated,
        "errors": [],
    }


def audit_of(tier: TierRow, total: Counts) -> dict[str, Any]:
    """Return the books of a tier. Rows of a tier that still runs are not lost, only not heard of yet."""
    ended = tier.completed_at is not None
    return {
        "tier_num": tier.tier,
        "submitted": total.submitted,
        "processed": total.processed,
        "failed": total.failed,
        "skipped": total.skipped,
        "lost": total.lost if ended and tier.status not in {"CANCELED", "SKIPPED"} else 0,
        "balanced": total.lost == 0,
        "notes": [
            *(
                [f"{total.deduplicated} rows had documents already and were not submitted"]
                if total.deduplicated
                else []
            ),
            *([f"{total.canceled} rows were cancelled before they ran"] if total.canceled else []),
        ],
        "durability": "confirmed",
    }


def _progress(
    row: BatchRow, objects: int, counts: list[CountsRow], failed: tuple[int, list[FailedObject]], *, brief: bool
) -> dict[str, Any]:
    total = Counts.total(item.counts for item in counts)
    share = _share(row, counts)
    done = int(objects * share)
    seconds = ((row.completed_at or utc_now()) - row.started_at).total_seconds() if row.started_at else 0.0
    speed = done / seconds if seconds > 0 and done else None
    tiers = len(row.dag_tiers or ()) or 1
    progress: dict[str, Any] = {
        "processed": done,
        "total": objects,
        "percent": round(100 * share, 2),
        "items_per_second": round(speed, 3) if speed else None,
        "eta_seconds": round((objects - done) / speed, 1) if speed and not row.is_terminal else None,
        "batch_count": 1,
        "errors": total.failed,
        "first_error": failed[1][0].message if failed[1] else None,
        "documents_skipped": total.skipped + total.deduplicated,
        "objects_failed": failed[0],
        "documents_written": total.documents_written,
        "status_warnings": [],
    }
    if row.status in ACTIVE:
        progress["current_stage"] = {"name": "extraction", "index": row.current_tier or 0, "total": tiers}
    if not brief:
        progress["stage_history"] = []
    return progress


def _share(row: BatchRow, counts: list[CountsRow]) -> float:
    """The share of objects that are through all tiers; a tier that has not begun counts as untouched."""
    if row.status in {BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS}:
        return 1.0
    tiers = len(row.dag_tiers or ()) or 1
    current = row.current_tier or 0
    total = Counts.total(item.counts for item in counts if item.tier == current)
    done = total.processed + total.failed + total.skipped
    return (current + (done / total.submitted if total.submitted else 0.0)) / tiers
