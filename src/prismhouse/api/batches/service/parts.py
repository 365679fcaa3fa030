"""What the verbs of batches work with, handed in at wiring."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from prismhouse.api.batches.model import BatchRow
from prismhouse.api.batches.service.turns import Turns
from prismhouse.api.batches.store.chunks import Chunk
from prismhouse.api.buckets.service import Buckets
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.service import Documents
from prismhouse.api.models.service import Lender
from prismhouse.api.objects.service import Objects
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.webhooks.events import Events
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.engine.inference.configured import NO_MODELS, ConfiguredModels
from prismhouse.engine.inference.lent import LentModel
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.web.gather import GatherSettings
from prismhouse.kit.ids import NamespaceId
from prismhouse.settings import LimitSettings, WorkerSettings
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.outbound import Sender
from prismhouse.storage.postgres.database import Database

__all__ = ["EXTRACT", "ExtractorSettings", "Parts"]

EXTRACT = "prismhouse.engine.extractors.run:run_rows"


class _Catalogue(Protocol):
    def by_id(self, extractor_id: str) -> ExtractorRecord: ...

    def get(self, name: str, version: str) -> ExtractorRecord: ...

    def configured(self, record: ExtractorRecord, parameters: Mapping[str, Any]) -> ExtractorRecord: ...

    def check(self, extractor_id: str, parameters: Mapping[str, Any]) -> None:
        """Raise for an extractor, or a model of its, that is not here any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorSettings:
    """How extraction runs in a compute process."""

    threads: int = 1
    cache_dir: str = ""
    function: str = EXTRACT
    media: MediaLimits = field(default_factory=MediaLimits)
    models: ConfiguredModels = NO_MODELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The house that batches stand in.

    `gatherers` are the processes for what waits for others, such as crawls; `gathering` is what these are told.
    `owed` are starts of chunks that could not be taken back, since no database answered.
    """

    db: Database
    queue: JobQueue
    compute: Compute
    gatherers: Compute
    blobs: BlobStore
    copies: LocalCopies
    tasks: Tasks
    events: Events
    sender: Sender
    buckets: Buckets
    objects: Objects
    collections: Collections
    documents: Documents
    catalogue: _Catalogue
    worker: WorkerSettings
    chunks_in_flight: int
    limits: LimitSettings
    extraction: ExtractorSettings
    gathering: GatherSettings = field(default_factory=GatherSettings)
    models: Lender | None = None
    turns: Turns = field(default_factory=lambda: Turns(2))
    gathering_turns: Turns = field(default_factory=lambda: Turns(2))
    owed: deque[tuple[NamespaceId, BatchRow, Chunk]] = field(default_factory=deque)

    def lent(
        self, namespace_id: NamespaceId, parameters: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Sequence[LentModel]]:
        """Give the user's model that parameters of an extractor name, where they name one."""
        return nullcontext(()) if self.models is None else self.models.held(namespace_id, parameters)
