"""What a process works with, and how that begins and ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prismhouse.api.annotations.service import Annotations
from prismhouse.api.audit.service import Audit
from prismhouse.api.batches.reports.service import Reports
from prismhouse.api.batches.service import Batches
from prismhouse.api.batches.service.control import Control
from prismhouse.api.batches.service.watch import Watching
from prismhouse.api.buckets.service import Buckets
from prismhouse.api.collections.service import Collections
from prismhouse.api.documents.changes.service import BulkChanges, DocumentChanges, SeveralDocuments
from prismhouse.api.documents.figures.service import Figures
from prismhouse.api.documents.indexes.service import PayloadIndexes
from prismhouse.api.documents.lineage.service import Lineage
from prismhouse.api.documents.scenes.service import Scenes
from prismhouse.api.documents.service import Documents
from prismhouse.api.documents.vectors.service import Promotions, Upserts
from prismhouse.api.inference.service import (
    Inference,
    Trials,
)
from prismhouse.api.models.routes import Models
from prismhouse.api.namespaces.deletion import Deletion
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.objects.service import Objects
from prismhouse.api.organizations.service import Organizations
from prismhouse.api.retrievers.service import Retrievers
from prismhouse.api.submissions.service import Submissions
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.uploads.service import Uploads
from prismhouse.api.web.streams import EventStreams
from prismhouse.api.webhooks.deliveries.deliverer import Deliverer
from prismhouse.api.webhooks.deliveries.service import Deliveries
from prismhouse.api.webhooks.events import Events
from prismhouse.api.webhooks.feed.service import Feed
from prismhouse.api.webhooks.service import Webhooks
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.inference.query import QueryEmbedder
from prismhouse.server import adapters
from prismhouse.server.files import LocalFiles
from prismhouse.settings import Settings
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.blobs.staging import BlobLinks, Staging
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.outbound import Fetcher, Sender
from prismhouse.storage.postgres.database import Database

__all__ = ["House"]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything a process works with. `open` before use, `close` after."""

    settings: Settings
    dsn: str
    db: Database
    blobs: BlobStore
    staging: Staging
    links: BlobLinks
    local_files: LocalFiles | None
    fetcher: Fetcher
    sender: Sender
    compute: Compute
    gatherers: Compute
    jobs: ProcrastinateQueue
    catalogue: Catalogue
    embedder: QueryEmbedder
    audit: Audit
    organizations: Organizations
    namespaces: Namespaces
    namespace_deletion: Deletion
    tasks: Tasks
    models: Models
    submissions: Submissions
    events: Events
    feed: Feed
    webhooks: Webhooks
    deliveries: Deliveries
    deliverer: Deliverer
    buckets: Buckets
    objects: Objects
    uploads: Uploads
    collections: Collections
    documents: Documents
    document_changes: DocumentChanges
    several_documents: SeveralDocuments
    bulk_changes: BulkChanges
    document_lineage: Lineage
    document_scenes: Scenes
    document_figures: Figures
    payload_indexes: PayloadIndexes
    document_upserts: Upserts
    promotions: Promotions
    batches: Batches
    batch_reports: Reports
    watching: Watching
    streams: EventStreams
    batch_control: Control
    retrievers: Retrievers
    annotations: Annotations
    inference: Inference
    trials: Trials
    inference_compute: Compute

    async def open(self) -> None:
        """Connect to the database; raise DatabaseUnavailable."""
        await self.db.open()

    async def run_jobs(self, stop: asyncio.Event) -> None:
        """Run queued jobs, deliver events, and keep house, until `stop` is set; then finish or give back what runs."""
        from prismhouse.storage.jobs.worker import run_worker

        await self.compute.open()
        worker, stop_timeout = self.settings.worker, self.settings.server.shutdown_timeout_seconds
        async with asyncio.TaskGroup() as together:
            together.create_task(self.deliverer.run(stop, stop_timeout_seconds=stop_timeout))
            together.create_task(
                run_worker(
                    self.jobs,
                    stop=stop,
                    concurrency=adapters.concurrency(self.settings),
                    stalled_after_seconds=worker.stalled_after_seconds,
                    stop_timeout_seconds=stop_timeout,
                )
            )

    async def close(self) -> None:
        """Give back connections and stop helper processes."""
        await self.retrievers.close()
        await self.document_scenes.close()
        await self.embedder.close()
        await self.compute.close()
        await self.inference_compute.close()
        await self.gatherers.close()
        self.inference.writers.close()
        await self.fetcher.close()
        await self.sender.close()
        await self.namespaces.settle()
        await self.payload_indexes.settle()
        await self.db.close()
