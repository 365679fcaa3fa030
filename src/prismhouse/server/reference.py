"""The API reference at /docs: one page of our own that reads /openapi.json and needs no other host."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib.resources import files

from fastapi import APIRouter, Response

from prismhouse.server.unbuilt import listed

__all__ = ["routes"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "/docs": ("page.html", "text/html; charset=utf-8"),
    "/docs/page.css": ("page.css", "text/css; charset=utf-8"),
    "/docs/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


def routes() -> APIRouter:
    """Return the routes of the page, its two files, and the list of what is not built."""
    router = APIRouter()
    folder = files("prismhouse.server").joinpath("reference_page")
    for path, (name, media_type) in _FILES.items():
        router.add_api_route(path, _file(folder.joinpath(name).read_bytes(), media_type), include_in_schema=False)
    unbuilt = json.dumps([asdict(operation) for operation in listed()]).encode()
    router.add_api_route("/docs/unbuilt.json", _file(unbuilt, "application/json"), include_in_schema=False)
    return router


def _file(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def give() -> Response:
        return Response(content, media_type=media_type, headers={"Content-Security-Policy": _POLICY})

    return give
