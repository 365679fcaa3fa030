"""Webhooks over HTTP, for administrators. Routes of the organization: X-Namespace changes nothing."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.api.webhooks.deliveries.service import Deliveries
from prismhouse.api.webhooks.schemas import ListWebhooks, UpdateWebhook, Webhook
from prismhouse.api.webhooks.service import Webhooks

__all__ = ["routes"]

_TAGS: list[Any] = ["Webhooks"]
_WEBHOOKS = "/v1/organizations/webhooks"
_WEBHOOK = f"{_WEBHOOKS}/{{identifier}}"


def routes(service: Webhooks, deliveries: Deliveries, callers: Callers) -> APIRouter:
    """Return the routes of webhooks and of their deliveries."""
    router = APIRouter()
    _webhook_routes(router, service, callers)
    _delivery_routes(router, deliveries, callers)
    return router


def _webhook_routes(router: APIRouter, service: Webhooks, callers: Callers) -> None:
    @router.post(
        _WEBHOOKS,
        operation_id="create_webhook_organizations",
        tags=_TAGS,
        summary="Create a webhook",
        openapi_extra=body_schema(Webhook),
    )
    async def create(
        caller: Caller = Depends(callers.administrator()), body: Webhook = Depends(body_of(Webhook))
    ) -> Answer:
        return answer(await service.create(caller, body))

    @router.post(
        f"{_WEBHOOKS}/list",
        operation_id="list_webhooks_organizations",
        tags=_TAGS,
        summary="List webhooks",
        openapi_extra=body_schema(ListWebhooks, required=False),
    )
    async def list_webhooks(
        request: Request,
        caller: Caller = Depends(callers.administrator()),
        body: ListWebhooks = Depends(body_of(ListWebhooks)),
    ) -> Answer:
        page = page_of(request, body)
        results, total, cursor = await service.list_webhooks(caller, body, page)
        shown = pagination(page, total=total, next_cursor=cursor)
        return answer({"results": results, "pagination": shown, "total": total})

    @router.get(_WEBHOOK, operation_id="get_webhook_organizations", tags=_TAGS, summary="Get a webhook by id or name")
    async def read(identifier: str, caller: Caller = Depends(callers.administrator())) -> Answer:
        return answer(await service.read(caller, identifier))

    @router.put(
        _WEBHOOK,
        operation_id="update_webhook_organizations",
        tags=_TAGS,
        summary="Change a webhook; `is_active: true` also ends a pause",
        openapi_extra=body_schema(UpdateWebhook),
    )
    async def update(
        identifier: str,
        caller: Caller = Depends(callers.administrator()),
        body: UpdateWebhook = Depends(body_of(UpdateWebhook)),
    ) -> Answer:
        return answer(await service.update(caller, identifier, body))

    @router.delete(
        _WEBHOOK, operation_id="delete_webhook_organizations", tags=_TAGS, summary="Delete a webhook", status_code=204
    )
    async def delete(identifier: str, caller: Caller = Depends(callers.administrator())) -> Response:
        await service.delete(caller, identifier)
        return Response(status_code=204)


def _delivery_routes(router: APIRouter, service: Deliveries, callers: Callers) -> None:
    @router.post(
        f"{_WEBHOOK}/test",
        operation_id="test_webhook_organizations",
        tags=_TAGS,
        summary="Send a test event to a webhook, now",
    )
    async def test(identifier: str, caller: Caller = Depends(callers.administrator())) -> Answer:
        return answer(await service.test(caller, identifier))

    @router.get(
        f"{_WEBHOOK}/deliveries",
        operation_id="list_webhook_deliveries_organizations",
        tags=_TAGS,
        summary="List the deliveries of a webhook, newest first",
    )
    async def list_deliveries(
        request: Request,
        identifier: str,
        caller: Caller = Depends(callers.administrator()),
        status: Literal["pending", "delivered", "failed"] | None = Query(None),
    ) -> Answer:
        page = page_of(request)
        results, cursor = await service.page(caller, identifier, status=status, cursor=page.cursor, limit=page.limit)
        return answer({"results": results, "next_cursor": cursor, "has_more": cursor is not None})

    @router.post(
        f"{_WEBHOOK}/deliveries/{{delivery_id}}/redeliver",
        operation_id="redeliver_webhook_organizations",
        tags=_TAGS,
        summary="Deliver an event again",
    )
    async def redeliver(identifier: str, delivery_id: str, caller: Caller = Depends(callers.administrator())) -> Answer:
        return answer(await service.redeliver(caller, identifier, delivery_id))
