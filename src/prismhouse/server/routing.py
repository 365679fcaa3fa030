"""Routes looked up by method and path segments: the 300th route costs what the first one does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RouteTable"]

_ANY = "{}"


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """Stands before a router. What it does not know (unknown paths, paths of several segments) the router answers.

    A last slash more or less means the same route. A literal segment goes before a parameter, whatever the order
    of registration. Segments are told apart before they are decoded: a name with a slash in it, sent as `%2F`, is one
    segment, and is never taken for the name without it. A HEAD request to a path that only has GET is answered as GET
    without the body; any other method that a path does not have is 405 with those that it has.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._fallback: ASGIApp = router.middleware_stack
        self._root = _Node()
        for route in router.routes:
            if isinstance(route, Route) and ":" not in route.path:
                self._add(route)

    @classmethod
    def install(cls, router: APIRouter) -> None:
        """Put a table of all present routes before `router`; call when every route is there."""
        router.middleware_stack = cls(router)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in _segments(route.path):
            node = node.children.setdefault(_ANY if segment.startswith("{") else segment, _Node())
        for method in route.methods or ():
            node.routes.setdefault(method, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its route."""
        if scope["type"] != "http":
            return await self._fallback(scope, receive, send)
        segments = _segments_sent(scope)
        routes: dict[str, Route] = {}
        for node in self._nodes(self._root, segments, 0):
            routes = node.routes | routes
        route = routes.get(scope["method"])
        if route is None and scope["method"] == "HEAD" and "GET" in routes:
            route = routes["GET"]
            scope, send = dict(scope, method="GET"), _without_body(send)
            scope.setdefault("state", {})["head"] = True
        if route is None and routes:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(routes))})
        if route is None:
            # A slash inside a name stays apart from those between names, for the router as well.
            scope["path"] = "".join("/" + segment.replace("/", "%2F") for segment in segments) or "/"
            return await self._fallback(scope, receive, send)
        names = [name[1:-1] if name.startswith("{") else None for name in _segments(route.path)]
        parameters = {name: segment for name, segment in zip(names, segments, strict=True) if name}
        scope.setdefault("router", self._router)
        scope.setdefault("state", {})["template"] = route.path
        scope.update({"endpoint": route.endpoint, "path_params": parameters, "route": route})
        await route.handle(scope, receive, send)
        return None

    def _nodes(self, node: _Node, segments: list[str], depth: int) -> Iterator[_Node]:
        """Yield the places that the segments lead to, literal ones first."""
        if depth == len(segments):
            yield node
            return
        for name in (segments[depth], _ANY):
            child = node.children.get(name)
            if child is not None and (name is not _ANY or segments[depth]):
                yield from self._nodes(child, segments, depth + 1)


def _segments(path: str) -> list[str]:
    return path.rstrip("/").split("/")[1:]


def _segments_sent(scope: Scope) -> list[str]:
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        return _segments(scope["path"])
    return [unquote(segment) for segment in _segments(raw.decode("latin-1"))]


def _without_body(send: Send) -> Send:
    async def head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head
