"""The change feed over HTTP. A route of the organization; X-Namespace or `namespace_id` narrows it."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Query, Request

from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.caller import Caller, Callers, namespace_named
from prismhouse.api.web.paging import page_of
from prismhouse.api.webhooks.feed.service import Feed
from prismhouse.api.webhooks.model import check_event_type

__all__ = ["routes"]


def routes(service: Feed, callers: Callers) -> APIRouter:
    """Return the route of the change feed."""
    router = APIRouter()

    @router.get("/v1/events", operation_id="list_events", tags=["Events"], summary="List change feed events")
    async def list_events(
        request: Request,
        caller: Caller = Depends(callers.organization("read")),
        namespace_id: str | None = Query(None),
        event_type: str | None = Query(None),
    ) -> Answer:
        page = page_of(request)
        if event_type:
            check_event_type(event_type, ["query", "event_type"])
        found = await service.page(
            caller,
            cursor=page.cursor,
            limit=page.limit,
            namespaces=[named for named in (namespace_id, namespace_named(request)) if named],
            event_type=event_type or None,
        )
        return answer({"results": found.results, "next_cursor": found.next_cursor, "has_more": found.has_more})

    return router
