"""What is audited, in the API's words, and how a row is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

__all__ = [
    "ACTIONS",
    "EQUAL",
    "RESOURCE_TYPES",
    "Action",
    "AuditQuery",
    "ResourceType",
    "Status",
    "audit_id",
    "changed",
    "sequence_of",
]

Action = Literal[
    "user_created", "user_updated", "user_deleted",
    "api_key_created", "api_key_rotated", "api_key_revoked", "api_key_scope_updated", "api_key_internal_flagged",
    "permission_updated",
    "storage_connection_created", "storage_connection_updated", "storage_connection_deleted",
    "storage_connection_tested", "storage_connection_failed",
    "namespace_created", "namespace_updated", "namespace_deleted", "namespace_accessed",
    "collection_created", "collection_updated", "collection_deleted", "collection_accessed",
    "document_deleted", "document_bulk_soft_deleted",
    "bucket_created", "bucket_updated", "bucket_deleted", "bucket_accessed",
    "retriever_created", "retriever_updated", "retriever_deleted", "retriever_accessed", "retriever_queried",
    "cluster_created", "cluster_updated", "cluster_deleted", "cluster_executed", "cluster_accessed",
    "taxonomy_created", "taxonomy_updated", "taxonomy_deleted", "taxonomy_accessed",
    "alert_created", "alert_updated", "alert_deleted", "alert_accessed", "alert_triggered",
    "annotation_created", "annotation_updated", "annotation_deleted",
    "secret_created", "secret_updated", "secret_deleted", "secret_accessed",
    "webhook_created", "webhook_updated", "webhook_deleted",
]  # fmt: skip
ResourceType = Literal[
    "organization", "user", "api_key", "namespace", "collection", "document", "bucket", "retriever", "cluster",
    "taxonomy", "storage_connection", "alert", "annotation", "secret", "webhook",
]  # fmt: skip
Status = Literal["success", "failure"]
ACTIONS: tuple[str, ...] = get_args(Action)
RESOURCE_TYPES: tuple[str, ...] = get_args(ResourceType)

EQUAL = ("resource_type", "resource_id", "actor_id", "action")
"""The columns that are asked for by value."""

_DIGITS = 16
_MAX_SEQUENCE = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which rows: None asks for any. Both ends of the time are included."""

    resource_type: str | None = None
    resource_id: str | None = None
    actor_id: str | None = None
    action: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def values(self) -> dict[str, Any]:
        """Return what is asked for, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def audit_id(sequence: int) -> str:
    """Return the id of the row with this number."""
    return f"aud_{sequence:0{_DIGITS}x}"


def sequence_of(identifier: str) -> int | None:
    """Return the number of the row with this id, or None for text that is no audit id."""
    prefix, _, digits = identifier.partition("_")
    if prefix != "aud" or len(digits) != _DIGITS or not set(digits) <= set("0123456789abcdef"):
        return None
    number = int(digits, 16)
    return number if number <= _MAX_SEQUENCE else None


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs, as `{field: {"old": ..., "new": ...}}`, for the fields that `after` names."""
    return {name: {"old": before.get(name), "new": value} for name, value in after.items() if before.get(name) != value}
