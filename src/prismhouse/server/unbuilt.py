"""Operations of the API that are not built: answered 501 by name, from a list that may only shrink."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.routing import Route

from prismhouse.api.web.answers import Answer
from prismhouse.api.web.errors import envelope
from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["NotBuilt", "Unbuilt", "listed", "routes"]


class NotBuilt(WarehouseError):
    """{operation} ({method} {path}) is not built in this version."""

    code = Code.NOT_IMPLEMENTED
    hint = "docs/compatibility.md lists what is built and what is not."


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbuilt:
    """One line of the list."""

    method: str
    path: str
    operation_id: str
    tag: str


def listed() -> list[Unbuilt]:
    """Return the list; `unbuilt.tsv` is written by tests/tools/compatibility.py."""
    lines = files("prismhouse.server").joinpath("unbuilt.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [Unbuilt(method=method, path=path, operation_id=name, tag=tag) for method, path, name, tag in rows]


def routes() -> list[Route]:
    """Return one route for each line; they ask for no key and read no body."""
    return [_route(operation) for operation in listed()]


def _route(operation: Unbuilt) -> Route:
    error = NotBuilt(operation=operation.operation_id, method=operation.method, path=operation.path)

    async def refuse(_: Request) -> Answer:
        return envelope(error)

    route = Route(operation.path, refuse, methods=[operation.method], include_in_schema=False)
    route.methods = {operation.method}
    return route
