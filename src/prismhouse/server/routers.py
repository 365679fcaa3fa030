"""Every noun's routes, joined with its service: the one list that grows with a noun."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from prismhouse.api.batches.routes import routes as batch_routes
from prismhouse.api.buckets.routes import routes as bucket_routes
from prismhouse.api.collections.routes import routes as collection_routes
from prismhouse.api.documents.indexes.routes import routes as payload_index_routes
from prismhouse.api.documents.routes import routes as document_routes
from prismhouse.api.namespaces.routes import routes as namespace_routes
from prismhouse.api.objects.routes import routes as object_routes
from prismhouse.api.organizations.routes import routes as organization_routes
from prismhouse.api.retrievers.routes import routes as retriever_routes
from prismhouse.api.tasks.routes import routes as task_routes
from prismhouse.api.web.caller import Callers
from prismhouse.engine.inference.registry import listed
from prismhouse.server import health
from prismhouse.server.wiring import House

__all__ = ["routers"]


def routers(house: House) -> list[APIRouter]:
    """Return the routers of everything that is built."""
    callers = Callers(house.namespaces)
    return [
        health.routes(house.db, object_storage=house.blobs.fault, inference=_missing_models),
        organization_routes(house.organizations, callers),
        namespace_routes(house.namespaces, callers, deletion=house.namespace_deletion),
        task_routes(house.tasks, callers),
        bucket_routes(house.buckets, callers),
        object_routes(house.objects, callers),
        batch_routes(house.batches, callers),
        collection_routes(house.collections, callers),
        document_routes(house.documents, callers),
        payload_index_routes(house.payload_indexes, callers),
        retriever_routes(house.retrievers, callers),
    ]


async def _missing_models() -> str | None:
    models = await asyncio.to_thread(listed)
    if any(model.installed for model in models):
        return None
    return "No model can run here; `prismhouse models list` says what is missing."
