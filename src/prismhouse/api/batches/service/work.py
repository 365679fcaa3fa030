"""A chunk on its way: what was loaded for it, and what came of its rows so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prismhouse.api.batches.model import BatchRow
from prismhouse.api.batches.service.documents import Written
from prismhouse.api.batches.service.extract import Extracted
from prismhouse.api.batches.service.sources import Origin
from prismhouse.api.batches.store.chunks import Chunk, Outcome
from prismhouse.api.batches.store.ledger import FailedRow
from prismhouse.engine.extractors.port import ExtractorRecord, RowFailure
from prismhouse.engine.inference.lent import LentModel
from prismhouse.engine.pipeline.cost import Rate
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.clock import utc_now
from prismhouse.settings import WorkerSettings
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = ["Dropped", "Work", "failed_row"]

# A chunk may take so many times what it was cut for.
_PATIENCE = 2


class Dropped(Exception):
    """The batch was cancelled or failed meanwhile: nothing of this chunk may be written."""


@dataclass(slots=True)
class Work:
    """A chunk on its way. `swept` is the generation of the sweep of bytes before it was begun."""

    batch: BatchRow
    chunk: Chunk
    collection: Any
    record: ExtractorRecord
    origins: Mapping[str, Origin]
    rate: Rate
    swept: int
    indexes: Sequence[VectorIndex] = ()
    lent: Sequence[LentModel] = ()
    measured: Rate = field(default_factory=Rate)
    settled: set[str] = field(default_factory=set)
    again: list[str] = field(default_factory=list)
    left: Sequence[str] = ()
    isolated: Sequence[str] = ()
    written: list[Written] = field(default_factory=list)
    failed: list[FailedRow] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    amounts: dict[tuple[str, str], float] = field(default_factory=dict)
    began_at: datetime = field(default_factory=utc_now)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each source, as far as they are known."""
        return {
            name: sum(blob.size_bytes or len(blob.text or "") for blob in origin.source.blobs)
            for name, origin in self.origins.items()
        }

    def is_enough(self, worker: WorkerSettings) -> bool:
        """Whether what there is should be stored before more is made: rows were dearer, or gave more, than thought."""
        late = self.measured.seconds > _PATIENCE * worker.chunk_seconds
        return bool(self.settled or self.again) and (late or len(self.written) >= worker.chunk_documents)

    def fail_all(self, failure: RowFailure) -> None:
        """Let every row end in this failure."""
        ids = self.chunk.source_ids
        self.settled = set(ids)
        self.failed = [failed_row(self, name, failure, None) for name in ids]
        self.counts = Counts(failed=len(ids))
        self.outcomes = dict.fromkeys(ids, Outcome("f"))


def failed_row(work: Work, name: str, failure: RowFailure, done: Extracted | None, *, part: int = 0) -> FailedRow:
    origin = work.origins.get(name)
    return FailedRow(
        source_id=name,
        object_id=origin.object_id if origin else name,
        document_id=origin.document_id if origin else None,
        failure=failure,
        attempts=done.attempts if done else work.chunk.attempt,
        part=part,
    )
