"""What the verbs of batches work with, handed in at wiring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prismhouse.api.buckets.service import Buckets
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.service import Documents
from prismhouse.engine.extractors.port import ExtractorRecord
from prismhouse.kit.ids import NamespaceId, OrganizationId, TaskId
from prismhouse.settings import LimitSettings, WorkerSettings
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter, Writer

__all__ = ["EXTRACT", "ExtractorSettings", "Parts"]

EXTRACT = "prismhouse.engine.extractors.run:run_rows"


class _Tasks(Protocol):
    async def create(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId,
        namespace_id: NamespaceId,
        task_type: str,
        inputs: Sequence[Any],
        additional_data: Mapping[str, Any],
        description: str | None = None,
        status: str = "PENDING",
        task_id: TaskId | None = None,
    ) -> TaskId: ...

    async def update(
        self,
        tx: Writer,
        task_id: TaskId,
        *,
        status: str | None = None,
        outputs: Sequence[Any] | None = None,
        additional_data: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None: ...

    async def read(self, organization_id: OrganizationId, task_id: TaskId) -> dict[str, Any]: ...

    def on_kill(self, task_type: str, handler: Callable[[OrganizationId, Any], Awaitable[None]]) -> None: ...


class _Events(Protocol):
    async def emit(
        self,
        tx: Writer,
        *,
        organization_id: OrganizationId,
        namespace_id: NamespaceId,
        event_type: str,
        resource_id: str,
        payload: Mapping[str, Any],
    ) -> None: ...


class _Objects(Protocol):
    async def load(self, tx: NamespaceReader, object_ids: Sequence[str]) -> Mapping[str, Any]: ...

    async def mark(self, tx: NamespaceWriter, outcomes: Mapping[str, tuple[str, str | None]]) -> None: ...

    async def select_ids(
        self, tx: NamespaceReader, bucket_id: str, *, filters: Any = None, limit: int
    ) -> Sequence[str]: ...

    async def missing(self, tx: NamespaceReader, bucket_id: str, object_ids: Sequence[str]) -> Sequence[str]: ...


class _Catalogue(Protocol):
    def get(self, name: str, version: str) -> ExtractorRecord: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorSettings:
    """How extraction runs in a compute process."""

    threads: int = 1
    cache_dir: str = ""
    function: str = EXTRACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The house that batches stand in."""

    db: Database
    queue: JobQueue
    compute: Compute
    blobs: BlobStore
    tasks: _Tasks
    events: _Events
    buckets: Buckets
    objects: _Objects
    collections: Collections
    documents: Documents
    catalogue: _Catalogue
    worker: WorkerSettings
    limits: LimitSettings
    extraction: ExtractorSettings
