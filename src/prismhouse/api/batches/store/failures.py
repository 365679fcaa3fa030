"""Failures of a batch in groups of one cause each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["FailureGroup", "groups_of"]

_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Rows of a collection, and parts of rows, that failed for one reason; `message` is that of the first."""

    tier: int
    collection_id: str
    stage: str
    code: str
    error_type: str
    number: int
    message: str
    first_at: datetime
    last_at: datetime
    source_ids: Sequence[str]
    most_attempts: int


async def groups_of(tx: NamespaceReader, batch_ids: Sequence[str]) -> dict[str, list[FailureGroup]]:
    """Return the failures of batches, the most frequent first; a missing feature alone is none."""
    rows = await tx.fetch_all(
        f"""
        SELECT batch_id, tier, collection_id, stage, code, error_type, count(*) AS number,
          (array_agg(message ORDER BY created_at, source_id))[1] AS message, min(created_at) AS first_at,
          max(created_at) AS last_at, max(attempts) AS most_attempts,
          (array_agg(DISTINCT source_id))[1:{_NAMED}] AS source_ids
        FROM row_failures
        WHERE namespace_id = %(namespace_id)s AND batch_id = ANY(%(batch_ids)b) AND missing_feature IS NULL
        GROUP BY batch_id, tier, collection_id, stage, code, error_type
        ORDER BY batch_id, tier, number DESC, collection_id, stage, code
        """,
        {"batch_ids": list(batch_ids)},
    )
    found: dict[str, list[FailureGroup]] = {}
    for row in rows:
        found.setdefault(row.pop("batch_id"), []).append(FailureGroup(**row))
    return found
