"""Routes looked up by method and path segments: the 300th route costs what the first one does."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import APIRouter
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RouteTable"]

_ANY = "{}"


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """Stands before a router. What it does not know (404, 405, odd paths) the router itself answers.

    A last slash more or less means the same route. A literal segment goes before a parameter, whatever the order
    of registration. A HEAD request to a path that only has GET is answered as GET without the body.
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
        segments = _segments(scope["path"])
        route = self._find(self._root, segments, 0, scope["method"])
        if route is None and scope["method"] == "HEAD":
            route = self._find(self._root, segments, 0, "GET")
            if route is not None:
                scope, send = dict(scope, method="GET"), _without_body(send)
        if route is None:
            return await self._fallback(scope, receive, send)
        scope["path"] = _with_slash_of(route.path, scope["path"])
        match, child = route.matches(scope)
        if match is not Match.FULL:
            return await self._fallback(scope, receive, send)
        scope.setdefault("router", self._router)
        scope.setdefault("state", {})["template"] = route.path
        scope.update(child)
        await route.handle(scope, receive, send)
        return None

    def _find(self, node: _Node, segments: list[str], depth: int, method: str) -> Route | None:
        if depth == len(segments):
            return node.routes.get(method)
        for name in (segments[depth], _ANY):
            child = node.children.get(name)
            if child is not None and (name is not _ANY or segments[depth]):
                found = self._find(child, segments, depth + 1, method)
                if found is not None:
                    return found
        return None


def _segments(path: str) -> list[str]:
    return path.rstrip("/").split("/")[1:]


def _with_slash_of(route_path: str, path: str) -> str:
    bare = path.rstrip("/")
    return f"{bare}/" if route_path.endswith("/") else bare


def _without_body(send: Send) -> Send:
    async def head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head
