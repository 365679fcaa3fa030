"""Joins the parts of a house. adapters.py beside this folder chooses the adapters."""

from __future__ import annotations

from prismhouse.api.annotations.service import Annotations
from prismhouse.api.audit.service import Audit
from prismhouse.api.batches.jobs import register_jobs as register_batch_jobs
from prismhouse.api.batches.reports.service import Reports
from prismhouse.api.batches.service import Batches
from prismhouse.api.batches.service.control import Control
from prismhouse.api.batches.service.failures import failures_of_object
from prismhouse.api.batches.service.leaving import RunningBatches
from prismhouse.api.batches.service.parts import Parts
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
from prismhouse.api.models.service import QueryEmbedders
from prismhouse.api.namespaces.deletion import Deletion
from prismhouse.api.namespaces.expiry import Expiry
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.objects.jobs import register_jobs as register_object_jobs
from prismhouse.api.objects.service import Objects
from prismhouse.api.organizations.service import Organizations
from prismhouse.api.retrievers.service import Retrievers
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
from prismhouse.engine.web.gather import GatherSettings
from prismhouse.server import adapters
from prismhouse.server.wiring.extraction import extraction, models_dir
from prismhouse.server.wiring.house import House
from prismhouse.server.wiring.inference import inference
from prismhouse.server.wiring.users_models import users_models
from prismhouse.settings import Settings
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.compute.observed import ObservedCompute
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.outbound import Fetcher, Sender
from prismhouse.storage.postgres.database import Database

__all__ = ["build"]


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
    given = extraction(settings)
    brought = users_models(
        db,
        files=files,
        copies=copies,
        downloads=downloads,
        compute=compute,
        jobs=jobs,
        namespaces=namespaces,
        extraction=given,
        settings=settings,
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
        db, catalogue=catalogue, buckets=buckets, namespaces=namespaces, models=brought.lender, audit=audit
    )
    brought.models.keeping.guard(collections.using_model)
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
        extraction=given,
        models=brought.lender,
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
    raw, trials = inference(
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
        models=brought.models,
        submissions=brought.submissions,
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
                brought.lender,
                compute=compute,
                threads=given.threads,
                cache_dir=given.cache_dir,
                slow_at_once=database.pool_size // 2,
            ),
        ),
        annotations=annotations,
        inference=raw,
        trials=trials,
        inference_compute=inference_compute,
    )
