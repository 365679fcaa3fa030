"""The HTTP application: routes, errors and middleware, over a house that is open."""

from __future__ import annotations

from fastapi import FastAPI

from prismhouse import __version__
from prismhouse.api.web import errors
from prismhouse.api.web.answers import Answer, answer
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

    return app
