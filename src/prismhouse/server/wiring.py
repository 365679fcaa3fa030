"""The composition root: joins the parts. adapters.py beside it chooses the adapters."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path

from prismhouse.api.annotations.service import Annotations
from prismhouse.api.archives.service import Archives
from prismhouse.api.audit.service import Audit
from prismhouse.api.batches.jobs import register_jobs as register_batch_jobs
from prismhouse.api.batches.reports.service import Reports
from prismhouse.api.batches.service import Batches
from prismhouse.api.batches.service.control import Control
from prismhouse.api.batches.service.failures import failures_of_object
from prismhouse.api.batches.service.leaving import RunningBatches
from prismhouse.api.batches.service.parts import ExtractorSettings, Parts
from prismhouse.api.batches.service.turns import Turns
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
    WRITING_THREADS,
    AnswerCache,
    AsBatchesDo,
    Inference,
    Pool,
    Room,
    Samples,
    Sources,
    Trials,
    Writers,
)
from prismhouse.api.models.routes import Models
from prismhouse.api.models.service import Bringing, Deployments, Keeping, Lender, QueryEmbedders
from prismhouse.api.namespaces.deletion import Deletion
from prismhouse.api.namespaces.expiry import Expiry
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.objects.jobs import register_jobs as register_object_jobs
from prismhouse.api.objects.service import Objects
from prismhouse.api.organizations.service import Organizations
from prismhouse.api.retrievers.service import Retrievers
from prismhouse.api.submissions.service import Submissions
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.uploads.jobs import register_jobs as register_upload_jobs
from prismhouse.api.uploads.service import Uploads
from prismhouse.api.web.links import Downloads
from prismhouse.api.web.streams import EventStreams
from prismhouse.api.webhooks.deliveries.deliverer import Deliverer
from prismhouse.api.webhooks.deliveries.service import Deliveries
from prismhouse.api.webhooks.events import Events
from prismhouse.api.webhooks.feed.service import Feed
from prismhouse.api.webhooks.jobs import register_jobs as register_webhook_jobs
from prismhouse.api.webhooks.service import Webhooks
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.inference.query import QueryEmbedder
from prismhouse.engine.inference.registry import use_models
from prismhouse.engine.inference.uploaded import FOLDER
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.engine.web.gather import GatherSettings
from prismhouse.server import adapters
from prismhouse.server.files import LocalFiles
from prismhouse.settings import Settings
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.blobs.staging import BlobLinks, Staging
from prismhouse.storage.compute.observed import ObservedCompute
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.outbound import Fetcher, Sender
from prismhouse.storage.postgres.database import Database

__all__ = ["House", "build", "models_dir"]

_CACHE_ON_NODES = "~/.cache/prismhouse/models"


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


def build(settings: Settings, dsn: str) -> House:
    """Return the house for one process on the database at `dsn`; nothing is connected or loaded yet."""
    database = settings.database
    db = Database(
        dsn,
        pool_size=database.pool_size,
        connect_timeout_seconds=database.connect_timeout_seconds,
        statement_timeout_seconds=database.statement_timeout_seconds,
    )
    files, compute, jobs = (
        adapters.files(settings),
        ObservedCompute(adapters.compute(settings)),
        ProcrastinateQueue(dsn),
    )
    blobs = files.blobs
    use_models(adapters.models(settings))
    catalogue, events, fetcher = Catalogue(), Events(), Fetcher(settings.outbound)
    embedder = QueryEmbedder(models_dir(settings), image_pixels=settings.limits.image_pixels)
    audit = Audit(db)
    feed = Feed(db, retention_days=settings.webhooks.retention_days)
    sender = Sender(settings.outbound, allow_http=settings.webhooks.allow_http)
    webhooks = Webhooks(db, audit=audit, sealer=adapters.sealer(settings), sender=sender)
    deliveries = Deliveries(db, webhooks=webhooks, audit=audit, sender=sender, settings=settings.webhooks)
    register_webhook_jobs(jobs, feed, deliveries)
    organizations = Organizations(db, audit=audit)
    tasks = Tasks(db)
    deletion = Deletion(db, jobs=jobs, receipts=tasks, blobs=blobs, staging=files.staging, audit=audit)
    expiry = Expiry(db, jobs=jobs, events=events, deletion=deletion)
    indexes = PayloadIndexes(db, jobs=jobs)
    namespaces = Namespaces(
        db, organizations=organizations, catalogue=catalogue, expiry=expiry, audit=audit, indexes=indexes
    )
    buckets = Buckets(db, tasks=tasks, jobs=jobs, audit=audit)
    downloads = Downloads(files.links)
    copies = LocalCopies(blobs, settings.data_dir / "copies", room_bytes=settings.blobs.copies_bytes)
    archives = Archives(
        db,
        blobs=blobs,
        staging=files.staging,
        copies=copies,
        downloads=downloads,
        jobs=jobs,
        blob_bytes=settings.limits.blob_bytes,
        unpacked=models_dir(settings) / FOLDER,
    )
    extraction = _extraction(settings)
    bringing = Bringing(db, archives=archives, compute=compute, limits=settings.limits)
    lender = Lender(
        db,
        archives=archives,
        compute=compute,
        limits=bringing.unpacking,
        unpacked_at=models_dir(settings) if settings.compute.kind == "local" else None,
    )
    models = Models(
        bringing=bringing,
        keeping=Keeping(db, archives=archives),
        deployments=Deployments(
            db,
            lender=lender,
            compute=compute,
            jobs=jobs,
            threads=extraction.threads,
            cache_dir=extraction.cache_dir,
        ),
        namespaces=namespaces,
        forms=settings.data_dir / "copies",
        form_bytes=settings.limits.model_bytes,
    )
    objects = Objects(
        db,
        buckets=buckets,
        blobs=blobs,
        fetcher=fetcher,
        events=events,
        limits=settings.limits,
        downloads=downloads,
    )
    collections = Collections(
        db, catalogue=catalogue, buckets=buckets, namespaces=namespaces, models=lender, audit=audit
    )
    models.keeping.guard(collections.using_model)
    documents = Documents(
        db,
        collections=collections,
        objects=objects,
        link_blob=downloads.of_reference,
        indexes=indexes,
        filter_depth=settings.limits.filter_depth,
        cursor_seconds=settings.limits.cursor_seconds,
    )
    objects.use(derived=documents)
    register_object_jobs(jobs, objects)
    uploads = Uploads(
        db,
        buckets=buckets,
        objects=objects,
        staging=files.staging,
        downloads=downloads,
        limits=settings.limits,
        tasks=tasks,
        jobs=jobs,
    )
    register_upload_jobs(jobs, uploads)
    parts = Parts(
        db=db,
        queue=jobs,
        compute=compute,
        gatherers=(gatherers := ObservedCompute(adapters.gatherers(settings))),
        blobs=blobs,
        copies=copies,
        tasks=tasks,
        events=events,
        sender=sender,
        buckets=buckets,
        objects=objects,
        collections=collections,
        documents=documents,
        catalogue=catalogue,
        worker=settings.worker,
        chunks_in_flight=adapters.chunks_in_flight(settings),
        limits=settings.limits,
        gathering=GatherSettings(
            outbound=settings.outbound, web=settings.web, image_pixels=settings.limits.image_pixels
        ),
        extraction=extraction,
        models=lender,
        turns=Turns(adapters.processes(settings)),
        gathering_turns=Turns(settings.web.crawls),
    )
    batches = Batches(parts)
    register_batch_jobs(parts, batches)
    deletion.admit(RunningBatches(parts))
    collections.guard_deletion(batches.active_of_collection)
    annotations = Annotations(db, documents=documents, events=events, audit=audit)
    documents.use(annotations)
    inference_compute = ObservedCompute(adapters.inference(settings))
    inference, trials = _inference(
        parts, catalogue, embedder, fetcher, files.local, compute=inference_compute, settings=settings
    )
    return House(
        settings=settings,
        dsn=dsn,
        db=db,
        blobs=blobs,
        staging=files.staging,
        links=files.links,
        local_files=files.local,
        fetcher=fetcher,
        sender=sender,
        compute=compute,
        gatherers=gatherers,
        jobs=jobs,
        catalogue=catalogue,
        embedder=embedder,
        audit=audit,
        organizations=organizations,
        namespaces=namespaces,
        namespace_deletion=deletion,
        tasks=tasks,
        models=models,
        submissions=Submissions(db, archives=archives, compute=compute, limit=settings.limits.custom_extractors),
        events=events,
        feed=feed,
        webhooks=webhooks,
        deliveries=deliveries,
        deliverer=Deliverer(db, feed=feed, webhooks=webhooks, sender=sender, settings=settings.webhooks),
        buckets=buckets,
        objects=objects,
        uploads=uploads,
        collections=collections,
        documents=documents,
        document_changes=DocumentChanges(db, collections=collections, documents=documents, audit=audit),
        several_documents=SeveralDocuments(
            db, collections=collections, audit=audit, filter_depth=settings.limits.filter_depth
        ),
        document_figures=Figures(db, collections=collections, filter_depth=settings.limits.filter_depth),
        document_lineage=Lineage(
            db, collections=collections, documents=documents, objects=objects, failures=failures_of_object
        ),
        document_scenes=Scenes(
            db,
            collections=collections,
            objects=objects,
            blobs=blobs,
            copies=copies,
            compute=compute,
            downloads=downloads,
            settings=settings.media,
        ),
        bulk_changes=BulkChanges(
            db, collections=collections, tasks=tasks, jobs=jobs, audit=audit, filter_depth=settings.limits.filter_depth
        ),
        payload_indexes=indexes,
        document_upserts=Upserts(db, namespaces=namespaces, collections=collections, documents=documents, jobs=jobs),
        promotions=Promotions(db, namespaces=namespaces, collections=collections, audit=audit),
        batches=batches,
        batch_reports=Reports(parts, batches),
        watching=Watching(parts),
        streams=EventStreams(limit=settings.limits.event_streams),
        batch_control=Control(parts),
        retrievers=Retrievers(
            db,
            collections=collections,
            embedder=embedder,
            filter_depth=settings.limits.filter_depth,
            link_blob=downloads.of_reference,
            audit=audit,
            models=QueryEmbedders(
                lender,
                compute=compute,
                threads=extraction.threads,
                cache_dir=extraction.cache_dir,
                slow_at_once=database.pool_size // 2,
            ),
        ),
        annotations=annotations,
        inference=inference,
        trials=trials,
        inference_compute=inference_compute,
    )


def _inference(
    parts: Parts,
    catalogue: Catalogue,
    embedder: QueryEmbedder,
    fetcher: Fetcher,
    own: LocalFiles | None,
    *,
    compute: Compute,
    settings: Settings,
) -> tuple[Inference, Trials]:
    """Return raw inference and the tests of extractors: with the models of queries, and processes of their own."""
    given, turns = settings.inference, Turns(settings.inference.processes)
    room = Room(calls=given.calls, held_bytes=given.held_bytes)
    sources = Sources(fetcher, room, own=own, file_bytes=given.file_bytes)
    extraction = replace(parts.extraction, cache_dir=str(models_dir(settings).absolute()))
    extract = AsBatchesDo(replace(parts, compute=compute, turns=turns, extraction=extraction))
    samples = Samples(catalogue=catalogue, extract=extract, sources=sources)
    inference = Inference(
        embedder=embedder,
        pool=Pool(compute, turns),
        sources=sources,
        samples=samples,
        catalogue=catalogue,
        settings=given,
        room=room,
        extraction=extraction,
        image_pixels=settings.limits.image_pixels,
        writers=Writers(extraction.cache_dir, Turns(WRITING_THREADS), image_pixels=settings.limits.image_pixels),
        cache=AnswerCache(most_bytes=given.cache_bytes, seconds=given.cache_seconds),
    )
    return inference, Trials(samples=samples, room=room)


def _extraction(settings: Settings) -> ExtractorSettings:
    """Give each extraction process its share of the cores, so that together they do not ask for more than there are."""
    share = max(1, (os.cpu_count() or 1) // (adapters.processes(settings) * settings.worker.processes))
    return ExtractorSettings(
        threads=settings.inference.threads or share,
        cache_dir=_extraction_cache(settings),
        media=MediaLimits.of(settings.media),
        models=adapters.models(settings),
    )


def _extraction_cache(settings: Settings) -> str:
    """Nodes of a cluster have no data folder, and may not make one: there each user keeps models at home."""
    if settings.compute.kind == "ray" and settings.inference.cache_dir is None:
        return _CACHE_ON_NODES
    return str(models_dir(settings).absolute())


def models_dir(settings: Settings) -> Path:
    """Return where converted models are kept."""
    return settings.inference.cache_dir or settings.data_dir / "models"
