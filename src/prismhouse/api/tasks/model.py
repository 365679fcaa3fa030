"""States and types of tasks, and what a list may be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["STATUSES", "TASK_TYPES", "TERMINAL", "WAITING", "condition", "known_status", "known_type", "ordering"]

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
_FIELDS = ("task_id", "task_type", "status", "namespace_id")
_SORTS = ("created_at", "updated_at", "task_id", "task_type", "status")
_MAX_DEPTH = 10
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


def condition(tree: Mapping[str, Any], values: dict[str, Any], *, depth: int = 0) -> str:
    """Return SQL for a tree of AND, OR, NOT and leaves over the four filterable columns, adding to `values`."""
    if depth > _MAX_DEPTH:
        raise Invalid([field_fault(["body", "filters"], f"is nested more than {_MAX_DEPTH} deep")])
    if "field" in tree:
        return _leaf(str(tree["field"]), str(tree.get("operator", "eq")).lower(), tree.get("value"), values)
    parts = []
    for name, value in tree.items():
        if name == "case_sensitive":
            continue
        if name not in {"AND", "OR", "NOT"}:
            parts.append(_leaf(name, "in" if isinstance(value, list) else "eq", value, values))
            continue
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(node, dict) for node in value):
            raise Invalid([field_fault(["body", "filters", name], "must be a list of conditions")])
        inner = [condition(node, values, depth=depth + 1) for node in value]
        if inner:
            joined = f"({' AND '.join(inner) if name == 'AND' else ' OR '.join(inner)})"
            parts.append(f"NOT {joined}" if name == "NOT" else joined)
    return " AND ".join(parts) or "true"


def _leaf(field: str, operator: str, value: Any, values: dict[str, Any]) -> str:
    listed = value if isinstance(value, list) else [value]
    if field not in _FIELDS or operator not in {"eq", "ne", "in", "nin"} or not all(isinstance(v, str) for v in listed):
        text = f"fields are {', '.join(_FIELDS)}; operators eq, ne, in, nin; values strings"
        raise Invalid([field_fault(["body", "filters", field], text)])
    where = ["body", "filters", field]
    if field == "status":
        listed = [known_status(one, where) for one in listed]
    elif field == "task_type":
        listed = [known_type(one, where) for one in listed]
    name = f"filter_{len(values)}"
    values[name] = listed
    test = f"{field} = ANY(%({name})s::text[])"
    return test if operator in {"eq", "in"} else f"NOT coalesce({test}, false)"
