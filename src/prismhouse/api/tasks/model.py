"""States and types of tasks, and what a list may be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["STATUSES", "TASK_TYPES", "TERMINAL", "WAITING", "known_status", "known_type", "ordering"]

STATUSES = (
    "PENDING", "QUEUED", "IN_PROGRESS", "PROCESSING", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED",
    "INTERRUPTED", "UNKNOWN", "SKIPPED", "DRAFT", "ACTIVE", "ARCHIVED", "SUSPENDED", "DEACTIVATED",
)  # fmt: skip
TERMINAL = frozenset({"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED", "SKIPPED", "INTERRUPTED"})
WAITING = frozenset({"PENDING", "QUEUED"})
TASK_TYPES = (
    "api_namespaces_create", "api_namespaces_delete", "api_namespaces_snapshot_create",
    "api_namespaces_snapshot_restore", "api_namespaces_migrations_run", "api_buckets_objects_create",
    "api_buckets_delete", "api_buckets_batches_process", "api_buckets_batches_submit", "api_buckets_uploads_create",
    "api_buckets_uploads_confirm", "api_buckets_uploads_batch_confirm", "api_collections_documents_create",
    "api_collections_documents_bulk_update", "api_collections_documents_bulk_delete", "api_collections_reembed",
    "api_collections_extraction_artifacts", "api_taxonomies_create", "api_taxonomies_execute",
    "api_taxonomies_materialize", "api_evaluations_run", "api_evaluations_dataset_create", "api_retrievers_publish",
    "api_manifest_apply", "api_retrievers_execute", "api_collections_export", "api_collections_trigger",
    "engine_feature_extractor_run", "engine_inference_run", "engine_object_processing", "engine_cluster_build",
    "thumbnail", "video_segment", "audio_segment", "converted_video", "materialize", "plugin_custom", "model_custom",
)  # fmt: skip
_SORTS = ("created_at", "updated_at", "task_id", "task_type", "status")
_NAMES = {"canceled": "CANCELED", "cancelled": "CANCELED"}


def known_status(value: str, where: list[str]) -> str:
    """Return the status as it is stored, whatever case it was given in; raise Invalid naming all."""
    status = _NAMES.get(value.lower(), value.upper())
    if status not in STATUSES:
        raise Invalid([field_fault(where, f"must be one of {', '.join(STATUSES)}")])
    return status


def known_type(value: str, where: list[str]) -> str:
    """Return the task type as it is stored, whatever case it was given in; raise Invalid naming all."""
    if value.lower() not in TASK_TYPES:
        raise Invalid([field_fault(where, f"must be one of {', '.join(TASK_TYPES)}")])
    return value.lower()


def ordering(sort: Mapping[str, Any] | None) -> tuple[str, bool]:
    """Return (column, descending); newest first when nothing is asked."""
    option = sort or {}
    field, direction = option.get("field", "created_at"), str(option.get("direction", "asc" if sort else "desc"))
    if field not in _SORTS or direction.lower() not in {"asc", "desc"}:
        raise Invalid([field_fault(["body", "sort"], f"field must be one of {', '.join(_SORTS)}; direction asc, desc")])
    return str(field), direction.lower() == "desc"
