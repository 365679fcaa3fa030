"""How rows ended, counted; and what that makes of a tier and of a batch. No row leaves without a count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from prismhouse.engine.extractors.port import ErrorType

__all__ = ["Counts", "FailureCategory", "Outcome", "batch_outcome", "category_of", "tier_outcome"]


class Outcome(StrEnum):
    """How a tier or a batch ended."""

    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"


class FailureCategory(StrEnum):
    """Why a whole batch failed."""

    TIMEOUT = "timeout"
    INFRASTRUCTURE = "infrastructure"
    ORPHANED = "orphaned"
    PIPELINE = "pipeline"
    VALIDATION = "validation"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows of a collection, of a tier or of a batch.

    `submitted` rows end as `processed` (gave documents), `failed` or `skipped` (rightly gave none). Rows in
    `deduplicated` had documents before and were not submitted. Rows in `incomplete` are processed ones that lost a
    part of their input, such as one bad image among several; a missing feature alone does not make a row incomplete.
    Rows in `canceled` were taken back before they ran and are not submitted any more.
    """

    fetched: int = 0
    after_filter: int = 0
    deduplicated: int = 0
    missing_inputs: int = 0
    submitted: int = 0
    processed: int = 0
    failed: int = 0
    skipped: int = 0
    incomplete: int = 0
    canceled: int = 0
    documents_written: int = 0

    @property
    def lost(self) -> int:
        """Rows that were submitted and never heard of again."""
        return max(0, self.submitted - self.processed - self.failed - self.skipped)

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in Counts.__dataclass_fields__})

    @classmethod
    def total(cls, parts: Iterable[Counts]) -> Counts:
        """Return the sum."""
        return sum(parts, cls())


def tier_outcome(counts: Counts) -> Outcome:
    """Return how a tier ended whose rows have all been heard of.

    A tier that had rows to run and wrote nothing has failed, unless what it was asked for stood already. One that
    lost a row, or a part of one, or of which rows were taken back, has errors.
    """
    useful = counts.documents_written or counts.deduplicated
    if counts.failed and not useful:
        return Outcome.FAILED
    if counts.failed or counts.lost or counts.incomplete or counts.canceled:
        return Outcome.COMPLETED_WITH_ERRORS
    return Outcome.COMPLETED


def batch_outcome(tiers: Iterable[Counts]) -> Outcome:
    """Return how a batch ended: a failed tier fails it, and so does having written nothing that was asked for."""
    parts = list(tiers)
    total = Counts.total(parts)
    outcomes = [tier_outcome(part) for part in parts]
    if Outcome.FAILED in outcomes or not (total.documents_written or total.deduplicated):
        return Outcome.FAILED
    return Outcome.COMPLETED_WITH_ERRORS if Outcome.COMPLETED_WITH_ERRORS in outcomes else Outcome.COMPLETED


def category_of(error_types: Iterable[str]) -> FailureCategory:
    """Return why a batch failed whose rows failed for `error_types`; without a failed row, nothing matched."""
    kinds = set(error_types)
    if not kinds or kinds == {ErrorType.PERMANENT}:
        return FailureCategory.VALIDATION
    if ErrorType.PERMANENT in kinds:
        return FailureCategory.PIPELINE
    return FailureCategory.INFRASTRUCTURE
