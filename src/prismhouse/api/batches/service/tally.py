"""What a chunk came to, counted once it is stored."""

from __future__ import annotations

from collections.abc import Iterable

from prismhouse.api.batches.store.ledger import FailedRow
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.telemetry.families import CHUNK_SECONDS, DOCUMENTS, FAILURES, ROWS

__all__ = ["tally"]


def tally(extractor_id: str, counts: Counts, failed: Iterable[FailedRow], *, seconds: float) -> None:
    """Count a chunk that was committed `seconds` after it was begun."""
    ROWS.add(extractor_id, "processed", number=counts.processed)
    ROWS.add(extractor_id, "failed", number=counts.failed)
    ROWS.add(extractor_id, "skipped", number=counts.skipped)
    DOCUMENTS.add(extractor_id, number=counts.documents_written)
    for row in failed:
        FAILURES.add(extractor_id, row.failure.code)
    CHUNK_SECONDS.observe(extractor_id, seconds=seconds)
