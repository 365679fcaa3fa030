"""What events are called, and what one looks like when it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.kit.clock import iso
from prismhouse.kit.errors import Invalid, field_fault

__all__ = [
    "ANY",
    "EVENT_TYPES",
    "STANDARD_PREFIX",
    "check_event_type",
    "delivery_id",
    "delivery_of",
    "envelope",
    "operation_of",
    "resource_type_of",
]

ANY = "*"
STANDARD_PREFIX = "whsec_"
"""What a secret of Standard Webhooks begins with; its key follows in base64."""
_OF_CONTRACT = (
    "object.created", "objects.created.batch", "object.updated", "object.deleted",
    "document.created", "document.updated", "document.deleted", "documents.updated.batch", "documents.deleted.batch",
    "collection.created", "collection.updated", "collection.deleted",
    "collection.documents.written", "collection.documents.batch_completed",
    "cluster.created", "cluster.updated", "cluster.deleted",
    "cluster.execution.started", "cluster.execution.completed", "cluster.execution.failed",
    "trigger.created", "trigger.updated", "trigger.deleted", "trigger.paused", "trigger.resumed", "trigger.fired",
    "trigger.execution.completed", "trigger.execution.failed",
    "taxonomy.created", "taxonomy.updated", "taxonomy.deleted",
    "alert.created", "alert.updated", "alert.deleted", "alert.triggered",
    "alert.execution.completed", "alert.execution.failed",
    "annotation.created", "annotation.updated", "annotation.deleted",
    "resource.executed", "resource.execution_failed", "manifest.apply.resource_state",
)  # fmt: skip
# Told by the service's guides, or by us alone; the generated client does not know them.
_MORE = (
    "batch.completed", "batch.failed", "cluster.completed", "taxonomy.materialized",
    "objects.deleted.batch", "objects.soft_deleted.batch", "namespace_expiring",
)  # fmt: skip
EVENT_TYPES = (*_OF_CONTRACT, *_MORE)

_OPERATIONS = {"created": "insert", "written": "insert", "updated": "update", "deleted": "delete"}
# Events about many things are about what holds them.
_HOLDERS = {"objects": "bucket", "documents": "collection", "namespace_expiring": "namespace"}
_DIGITS = 16


def check_event_type(name: str, location: Sequence[str | int]) -> None:
    """Raise Invalid naming the known types."""
    if name not in EVENT_TYPES:
        raise Invalid([field_fault(location, f"is not an event type. There are: {', '.join(EVENT_TYPES)}.")])


def resource_type_of(event_type: str) -> str:
    """Return the first segment."""
    return event_type.partition(".")[0]


def operation_of(event_type: str) -> str:
    """Return insert, update, delete or other."""
    segments = event_type.split(".")[1:]
    return next((_OPERATIONS[one] for one in segments if one in _OPERATIONS), "other")


def envelope(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a receiver gets of an event's row."""
    kind = resource_type_of(event["event_type"])
    return {
        "event_id": event["event_id"],
        "event_type": event["event_type"],
        "occurred_at": iso(event["occurred_at"]),
        "namespace_id": event["namespace_id"],
        "subject": {"type": _HOLDERS.get(kind, kind), "id": event["resource_id"]},
        "metadata": event["payload"],
        "cache_scope": _cache_scope(event),
    }


def _cache_scope(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a cache the event makes stale: a key, a collection, or anything of the namespace."""
    named = {"namespace_id": event["namespace_id"]}
    collection_id = event["payload"].get("collection_id")
    if not collection_id:
        return {"scope": "namespace", **named}
    named["collection_id"] = collection_id
    if event["event_type"].startswith("document."):
        return {"scope": "key", **named, "document_id": event["resource_id"]}
    return {"scope": "collection", **named}


def delivery_id(number: int) -> str:
    """Return the id of the delivery with this number."""
    return f"dlv_{number:0{_DIGITS}x}"


def delivery_of(identifier: str) -> int | None:
    """Return the number of the delivery with this id, or None for text that is none."""
    prefix, _, digits = identifier.partition("_")
    if prefix != "dlv" or len(digits) != _DIGITS or not set(digits) <= set("0123456789abcdef"):
        return None
    number = int(digits, 16)
    return number if number < 2**63 else None
