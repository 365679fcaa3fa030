"""The HTTP application: routes, errors and the edge, over a house that is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from prismhouse import __version__
from prismhouse.api.models.routes import FORM_PATH
from prismhouse.api.web import errors
from prismhouse.server import reference, unbuilt
from prismhouse.server.middleware import Edge
from prismhouse.server.openapi import lifted
from prismhouse.server.routers import routers
from prismhouse.server.routing import RouteTable
from prismhouse.server.wiring import House
from prismhouse.storage.blobs.local_staging import FILE_PATH

__all__ = ["assemble", "create_app"]

_DESCRIPTION = "A multimodal data warehouse of your own: raw files in, searchable documents out."
# File bytes go through these in a stream, with limits of their own.
_STREAMED = (("PUT", FILE_PATH),)


class _Application(FastAPI):
    """FastAPI with a lifted OpenAPI description, and the edge around everything, crashes included."""

    body_bytes: int

    def openapi(self) -> dict[str, Any]:
        """Return the description; it is made at the first call."""
        if not self.openapi_schema:
            self.openapi_schema = lifted(super().openapi())
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        """Return the whole stack inside the edge, so that even the answer to a crash has a request id."""
        paths = [getattr(route, "path", "") for route in self.routes]
        roots = frozenset(path.split("/")[2] for path in paths if path.startswith("/v1/"))
        return Edge(
            super().build_middleware_stack(),
            body_bytes=self.body_bytes,
            roots=roots,
            unlimited=_STREAMED,
            forms=FORM_PATH,
        )


def create_app(house: House) -> FastAPI:
    """Return the application. Opening and closing the house is the caller's."""
    return assemble(routers(house), body_bytes=house.settings.limits.body_bytes)


def assemble(joined: Sequence[APIRouter], *, body_bytes: int) -> FastAPI:
    """Return an application of these routers, with everything that is not built answered 501."""
    app = _Application(
        title="Prismhouse",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.body_bytes = body_bytes
    errors.install(app)
    # Not include_router: it wraps every route once more, at 1.6 times the cost of a lookup.
    for router in [*joined, reference.routes()]:
        app.router.routes.extend(router.routes)
    app.router.routes.extend(unbuilt.routes())
    RouteTable.install(app.router)
    return app
