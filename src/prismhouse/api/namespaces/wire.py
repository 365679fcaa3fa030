"""Namespaces as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.kit.clock import iso
from prismhouse.storage.postgres.database import Record

__all__ = ["list_stats", "namespace", "stats"]


def namespace(
    row: Record,
    counts: Mapping[str, Any] | None,
    *,
    bound: int,
    models: Mapping[str, str] | None = None,
    summary: bool = False,
) -> dict[str, Any]:
    """Return the record. A count that stopped at `bound` is null here: unknown, never a wrong number."""
    config = row["config"]
    counts = counts or {"document_count": 0, "object_count": 0, "bucket_count": 0, "collection_count": 0}
    documents, objects = counts["document_count"], counts["object_count"]
    indexes = row["payload_indexes"]
    shown = {
        "object": "namespace",
        "namespace_id": row["namespace_id"],
        "namespace_name": row["namespace_name"],
        "namespace_type": row["namespace_type"],
        "scope": "org",
        "description": row["description"],
        "mode": row["mode"],
        "feature_extractors": row["feature_extractors"],
        "payload_indexes": indexes,
        "payload_index_count": len(indexes),
        "vector_configs": row["vector_configs"],
        "vector_inference_map": dict(models or {}),
        "dynamic_vector_indexes": None,
        "infrastructure": config.get("infrastructure"),
        "trusted_issuers": config.get("trusted_issuers"),
        "tiering": config.get("tiering"),
        "pinned": _pin(config.get("pinned")),
        "spend_budget": config.get("spend_budget"),
        "cost_cap_override": config.get("cost_cap_override"),
        "auto_create_indexes": bool(config.get("auto_create_indexes")),
        "adaptive_indexing": bool(config.get("adaptive_indexing")),
        "document_count": documents if documents < bound else None,
        "document_count_complete": documents < bound,
        "bucket_count": counts["bucket_count"],
        "collection_count": counts["collection_count"],
        "object_count": objects if objects < bound else None,
        "clone_status": None,
        "clone_phase": None,
        "clone_error": None,
        "clone_task_id": None,
        "source_namespace_id": None,
        "namespace_ready": row["status"] == "active",
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "expires_at": iso(row["expires_at"]),
    }
    if summary:
        del shown["payload_indexes"]
    return shown


def _pin(value: Any) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    return {"enabled": bool(value), "warm_query_encoder": False}


def stats(namespace_id: str, counts: Mapping[str, Any], *, bound: int) -> dict[str, Any]:
    """Return the counts; here a count at the bound is a lower bound and `document_count_complete` is false."""
    return {
        "namespace_id": namespace_id,
        "document_count": counts["document_count"],
        "document_count_complete": counts["document_count"] < bound,
        "bucket_count": counts["bucket_count"],
        "collection_count": counts["collection_count"],
        "object_count": counts["object_count"],
    }


def list_stats(rows: Sequence[Record], counts: Mapping[str, Mapping[str, Any]], *, bound: int) -> dict[str, Any]:
    """Return sums and averages over the namespaces of the page."""
    number = max(len(rows), 1)
    sums = {
        "feature_extractors": sum(len(row["feature_extractors"]) for row in rows),
        "payload_indexes": sum(len(row["payload_indexes"]) for row in rows),
        **{
            f"{noun}s": sum(found[f"{noun}_count"] for found in counts.values())
            for noun in ("document", "bucket", "collection", "object")
        },
    }
    return {
        **{f"total_{name}": total for name, total in sums.items()},
        "total_documents_complete": all(found["document_count"] < bound for found in counts.values()),
        **{f"avg_{name}_per_namespace": total / number for name, total in sums.items()},
    }
