"""The whole of a batch as it is answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prismhouse.api.batches.model import BatchRow, BatchStatus
from prismhouse.api.batches.service.describe import errors, progress, state
from prismhouse.api.batches.service.describe.gathered import Gathered, gather
from prismhouse.api.batches.service.describe.jobs import dropped
from prismhouse.api.batches.service.describe.tiers import tier_task
from prismhouse.api.batches.store.ledger import FailedObject
from prismhouse.kit.clock import iso, utc_now
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["answers", "described"]

_CREDIT_USD = 0.001


async def answers(tx: NamespaceReader, rows: Sequence[BatchRow], *, brief: bool = False) -> list[dict[str, Any]]:
    """Return batches as they are answered, with a fixed number of statements however many there are.

    Args:
        brief: as lists show them: without the history of stages, with 100 object ids and 10 failed objects at most.
    """
    if not rows:
        return []
    return [described(known, brief=brief) for known in await gather(tx, rows, brief=brief)]


def described(known: Gathered, *, brief: bool) -> dict[str, Any]:
    """Return one batch as it is answered."""
    row, total = known.row, known.total
    started = row.started_at is not None
    word, why = state.lifecycle(known)
    eta = progress.eta_seconds(known)
    objects = list(known.object_ids)
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
        "effective_dedup_strategy": None,
        "dedup_audit": _dedup_audit(known) if started else None,
        "status": row.status,
        "lifecycle": word,
        "lifecycle_reason": why,
        "status_message": state.message(known, progress.finished_objects(known)),
        "status_diagnostics": _diagnostics(known),
        "queue_context": state.queue_context(known),
        "health": state.health(known),
        "last_activity_at": iso(state.last_activity(known)),
        "estimated_completion": None if eta is None else iso(utc_now() + timedelta(seconds=eta)),
        "task_id": row.task_id,
        "tier_tasks": [tier_task(known, tier) for tier in known.tiers],
        "progress": progress.progress(known, brief=brief),
        "webhook_url": row.webhook_url,
        "documents_written": total.documents_written if started else None,
        **_replaced(row),
        **dropped({kind: known.amount(kind) for kind in ("pages_dropped", "segments_dropped")}),
        "documents_resolvable": row.is_terminal,
        "documents_resolvable_error": row.failure_reason if row.status is BatchStatus.FAILED else None,
        "cost": _cost(known),
        **_failures(known),
        "retry_count": row.retry_count,
        "max_retries": 0,  # of a failed batch by itself: rows are tried again while it runs
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


def _failures(known: Gathered) -> dict[str, Any]:
    row = known.row
    lost = sum((tier.audit or {}).get("lost", 0) for tier in known.tiers)
    return {
        "failure_reason": row.failure_reason,
        "failure_category": row.failure_category,
        "error": row.failure_reason if row.status is BatchStatus.FAILED else None,
        "error_summary": errors.summary(known.failures),
        "failed_objects": [_failed(item) for item in known.failed[1]] or None,
        "failed_object_count": known.failed[0],
        "partial_objects": [_partial(item) for item in known.partial[1]] or None,
        "partial_object_count": known.partial[0],
        "unaccounted_object_count": lost or None,
    }


def _failed(item: FailedObject) -> dict[str, Any]:
    return {
        "object_id": item.object_id,
        "error": item.message,
        "error_type": item.error_type,
        "timestamp": iso(item.created_at),
    }


def _partial(item: FailedObject) -> dict[str, Any]:
    return {"object_id": item.object_id, "error": item.message, "missing_feature": item.missing_feature}


def _replaced(row: BatchRow) -> dict[str, int | None]:
    """What a replacing run wrote anew and deleted; and what was deleted on request, whatever the strategy."""
    ended = row.dedup_strategy == "replace" and row.is_terminal
    return {
        "documents_replaced": row.documents_replaced if ended else None,
        "documents_deleted": row.documents_deleted,
    }


def _dedup_audit(known: Gathered) -> dict[str, Any]:
    return {
        item.collection_id: {
            "dedup_strategy": known.row.dedup_strategy,
            "total_input": item.counts.after_filter,
            "skipped": item.counts.deduplicated,
            "processed": item.counts.submitted,
            "skipped_object_ids": list(known.skipped_ids.get(item.collection_id, ())),
        }
        for item in known.counts
    }


def _cost(known: Gathered) -> dict[str, Any] | None:
    """Credits by the rates of the extractors, for what they processed; None where that was not counted."""
    spent = known.amount("credits")
    if not spent and known.total.processed and not known.amounts:
        return None
    amount = math.ceil(round(sum(spent.values()), 6))
    return {
        "credits_consumed": amount,
        "cost_usd": round(amount * _CREDIT_USD, 6),
        "credit_rate_usd": _CREDIT_USD,
        "metered_model_usd": None,
    }


def _diagnostics(known: Gathered) -> dict[str, Any] | None:
    """The numbers behind a terminal status."""
    if not known.row.is_terminal or known.row.started_at is None:
        return None
    total = known.total
    return {
        "object_count": known.row.object_count,
        "rows_fetched": total.fetched,
        "rows_after_filter": total.after_filter,
        "rows_deduplicated": total.deduplicated,
        "rows_submitted": total.submitted,
        "rows_processed": total.processed,
        "rows_failed": total.failed,
        "rows_skipped": total.skipped,
        "rows_incomplete": total.incomplete,
        "documents_written": total.documents_written,
    }
