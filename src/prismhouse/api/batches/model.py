"""A batch as a value: its states, and what they mean in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.ids import BatchId, BucketId, NamespaceId, OrganizationId, TaskId

__all__ = ["ACTIVE", "TERMINAL", "BatchRow", "BatchStatus", "CountsRow", "TierRow", "same_statuses"]


class BatchStatus(StrEnum):
    """DRAFT -> QUEUED -> PROCESSING -> one of the terminal ones."""

    DRAFT = "DRAFT"
    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


ACTIVE = frozenset({BatchStatus.QUEUED, BatchStatus.PROCESSING})
TERMINAL = frozenset(
    {BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS, BatchStatus.FAILED, BatchStatus.CANCELED}
)
_SPELLINGS = {"PENDING": "QUEUED", "IN_PROGRESS": "PROCESSING", "CANCELLED": "CANCELED"}


def same_statuses(asked: str) -> str:
    """Return the status that batches really carry for one a client asked for."""
    return _SPELLINGS.get(asked.upper(), asked.upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A stored batch."""

    namespace_id: NamespaceId
    batch_id: BatchId
    sequence: int
    organization_id: OrganizationId
    bucket_id: BucketId
    type: str
    batch_name: str | None
    metadata: Mapping[str, Any]
    dedup_strategy: str
    requested_collections: Sequence[str] | None
    source_filters: Mapping[str, Any] | None
    salted: bool
    include_processing_history: bool
    webhook_url: str | None
    object_count: int
    status: BatchStatus
    dag_tiers: Sequence[Sequence[str]] | None
    current_tier: int | None
    task_id: TaskId | None
    submitted_by_key_id: str | None
    submitted_by_key_prefix: str | None
    documents_replaced: int
    documents_deleted: int | None
    run: int
    from_tier: int
    replaces_before: datetime | None
    retry_count: int
    last_retry_at: datetime | None
    priority: int
    failure_reason: str | None
    failure_category: str | None
    created_at: datetime
    updated_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> BatchRow:
        """Return the row for a record of the `batches` table."""
        return cls(**{**record, "status": BatchStatus(record["status"])})

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in TERMINAL

    @property
    def collection_ids(self) -> list[str]:
        """What it runs, in order; what was asked for while it is a draft."""
        if self.dag_tiers is None:
            return list(self.requested_collections or [])
        return [name for tier in self.dag_tiers for name in tier]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRow:
    """A tier of a batch."""

    tier: int
    task_id: TaskId
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    fed_run: int | None = None
    audit: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsRow:
    """What became of the rows of one collection in one tier."""

    tier: int
    collection_id: str
    extractor_id: str
    updated_at: datetime
    counts: Counts
    canceled_at: datetime | None = None
    started_at: datetime | None = None
    documents_before: int | None = None

    @property
    def done(self) -> int:
        """Rows that have been heard of."""
        return self.counts.processed + self.counts.failed + self.counts.skipped
