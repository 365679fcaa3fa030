"""Every noun's routes, joined with its service: the one list that grows with a noun."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter

from prismhouse.api.annotations.routes import routes as annotation_routes
from prismhouse.api.audit.denials import Denials
from prismhouse.api.audit.routes import routes as audit_routes
from prismhouse.api.batches.control.routes import routes as batch_control_routes
from prismhouse.api.batches.reports.routes import routes as batch_report_routes
from prismhouse.api.batches.routes import routes as batch_routes
from prismhouse.api.buckets.routes import routes as bucket_routes
from prismhouse.api.collections.routes import routes as collection_routes
from prismhouse.api.documents.changes.routes import routes as document_change_routes
from prismhouse.api.documents.figures.routes import routes as document_figure_routes
from prismhouse.api.documents.indexes.routes import routes as payload_index_routes
from prismhouse.api.documents.lineage.routes import routes as document_lineage_routes
from prismhouse.api.documents.routes import routes as document_routes
from prismhouse.api.documents.scenes.routes import routes as document_scene_routes
from prismhouse.api.documents.vectors.routes import routes as brought_vector_routes
from prismhouse.api.inference.routes import routes as inference_routes
from prismhouse.api.models.routes import routes as model_routes
from prismhouse.api.namespaces.routes import routes as namespace_routes
from prismhouse.api.objects.routes import routes as object_routes
from prismhouse.api.organizations.routes import routes as organization_routes
from prismhouse.api.retrievers.routes import routes as retriever_routes
from prismhouse.api.submissions.routes import routes as submission_routes
from prismhouse.api.tasks.routes import routes as task_routes
from prismhouse.api.uploads.routes import routes as upload_routes
from prismhouse.api.web.caller import Callers
from prismhouse.api.webhooks.feed.routes import routes as feed_routes
from prismhouse.api.webhooks.routes import routes as webhook_routes
from prismhouse.engine.inference.registry import listed
from prismhouse.server import files, health, metrics
from prismhouse.server.wiring import House
from prismhouse.storage.compute.port import Compute

__all__ = ["routers"]


def routers(house: House) -> list[APIRouter]:
    """Return the routers of everything that is built."""
    callers = Callers(house.namespaces, denied=Denials(house.audit).note)
    local = house.local_files
    return [
        *([] if local is None else [files.routes(local, limit_bytes=house.settings.limits.blob_bytes)]),
        metrics.routes(
            house.db,
            callers,
            access=house.settings.metrics.access,
            proxied=house.settings.server.public_url is not None,
        ),
        health.routes(house.db, object_storage=house.blobs.fault, inference=partial(_inference_fault, house.compute)),
        audit_routes(house.audit, callers),
        organization_routes(house.organizations, callers),
        brought_vector_routes(house.namespaces, house.document_upserts, house.promotions, house.documents, callers),
        namespace_routes(house.namespaces, callers, deletion=house.namespace_deletion),
        task_routes(house.tasks, callers),
        model_routes(house.models, callers),
        submission_routes(house.submissions, callers),
        bucket_routes(house.buckets, callers),
        object_routes(house.objects, callers),
        upload_routes(house.uploads, callers),
        batch_report_routes(house.batch_reports, callers),
        batch_routes(house.batches, callers, watching=house.watching, streams=house.streams),
        batch_control_routes(house.batch_control, callers),
        collection_routes(house.collections, callers),
        document_routes(house.documents, callers),
        document_lineage_routes(house.document_lineage, callers),
        document_scene_routes(house.document_scenes, callers),
        payload_index_routes(house.payload_indexes, callers),
        document_figure_routes(house.document_figures, callers),
        document_change_routes(house.document_changes, house.several_documents, house.bulk_changes, callers),
        retriever_routes(house.retrievers, callers),
        annotation_routes(house.annotations, callers),
        inference_routes(house.inference, house.trials, callers),
        webhook_routes(house.webhooks, house.deliveries, callers),
        feed_routes(house.feed, callers),
    ]


async def _inference_fault(compute: Compute) -> str | None:
    return await compute.fault() or await _missing_models()


async def _missing_models() -> str | None:
    models = await asyncio.to_thread(listed)
    if any(model.installed for model in models):
        return None
    return "No model can run here; `prismhouse models list` says what is missing."
