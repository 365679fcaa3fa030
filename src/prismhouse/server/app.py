"""The HTTP application: routes, errors and middleware, over a house that is open."""

from __future__ import annotations

from fastapi import FastAPI

from prismhouse import __version__
from prismhouse.api.buckets.routes import routes as bucket_routes
from prismhouse.api.collections.routes import routes as collection_routes
from prismhouse.api.namespaces.routes import routes as namespace_routes
from prismhouse.api.organizations.routes import routes as organization_routes
from prismhouse.api.tasks.routes import routes as task_routes
from prismhouse.api.web import errors
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.caller import Callers
from prismhouse.server.wiring import House

__all__ = ["create_app"]


def create_app(house: House) -> FastAPI:
    """Return the application. Opening and closing the house is the caller's."""
    app = FastAPI(title="Prismhouse", version=__version__)
    errors.install(app)

    @app.get("/v1/health", operation_id="healthcheck_health", tags=["Health"], summary="Healthcheck")
    async def health() -> Answer:
        async with house.db.read() as tx:
            await tx.fetch_value("SELECT 1")
        return answer({"status": "healthy", "version": __version__})

    callers = Callers(house.namespaces)
    app.include_router(bucket_routes(house.buckets, callers))
    app.include_router(collection_routes(house.collections, callers))
    app.include_router(task_routes(house.tasks, callers))
    app.include_router(namespace_routes(house.namespaces, callers, deletion=house.namespace_deletion))
    app.include_router(organization_routes(house.organizations, callers))
    return app
