"""Routes of reports, and of batches over all namespaces of an organization."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Query, Request

from prismhouse.api.batches.reports.service import Reports
from prismhouse.api.batches.schemas import ListBatches
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers, NamespaceCaller, Permission, namespace_named
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.kit.ids import NamespaceId

__all__ = ["of_batch", "routes"]

_BUCKET: list[Any] = ["Bucket Batches"]
_ALL: list[Any] = ["Batches"]
_ANALYTICS: list[Any] = ["Analytics", "Analytics - Performance"]
_ONE = "/v1/buckets/{bucket_identifier}/batches/{batch_id}"


_Locate = Callable[[Caller, str], Awaitable[NamespaceCaller]]


@dataclass(frozen=True, slots=True)
class _Anywhere:
    """A caller, and the namespace that the request names, if it names one."""

    caller: Caller
    namespace_id: NamespaceId | None = None
    namespace_name: str | None = None


def routes(service: Reports, callers: Callers) -> APIRouter:
    """Return the router of reports; it stands before that of batches, whose paths take any id."""
    router = APIRouter()
    _everywhere(router, service, callers)
    _of_bucket(router, service, callers)
    return router


def of_batch(
    callers: Callers, locate: _Locate, permission: Permission
) -> Callable[[Request], Awaitable[NamespaceCaller]]:
    """For routes with a batch id: the caller in the namespace of the request, else in that of the batch."""
    named, everywhere = callers.namespace(permission), callers.organization(permission)

    async def dependency(request: Request) -> NamespaceCaller:
        if namespace_named(request) is not None:
            return await named(request)
        inside = await locate(await everywhere(request), request.path_params["batch_id"])
        inside.caller.inside(inside.namespace_id).require(permission)
        return inside

    return dependency


def _anywhere(callers: Callers, permission: Permission) -> Callable[[Request], Awaitable[_Anywhere]]:
    """For routes of the organization that X-Namespace narrows where it is sent."""
    named, everywhere = callers.namespace(permission), callers.organization(permission)

    async def dependency(request: Request) -> _Anywhere:
        if namespace_named(request) is None:
            return _Anywhere(await everywhere(request))
        inside = await named(request)
        return _Anywhere(inside.caller, inside.namespace_id, inside.namespace_name)

    return dependency


def _everywhere(router: APIRouter, service: Reports, callers: Callers) -> None:
    read = _anywhere(callers, "read")

    @router.get("/v1/batches/queue", operation_id="get_queue_status_batches", summary="Batch Queue Status", tags=_ALL)
    async def queue(at: _Anywhere = Depends(read)) -> Answer:
        return answer(await service.queue(at.caller, namespace=at.namespace_id))

    @router.post(
        "/v1/batches/list",
        operation_id="list_all_batches",
        summary="List All Batches",
        tags=_ALL,
        openapi_extra=body_schema(ListBatches, required=False),
    )
    async def list_all(
        request: Request, at: _Anywhere = Depends(read), body: ListBatches = Depends(body_of(ListBatches))
    ) -> Answer:
        page = page_of(request, body)
        rows, total, cursor = await service.list_everywhere(
            at.caller, body, page, inside=at.namespace_id, name=at.namespace_name
        )
        paging = pagination(page, total=total, next_cursor=cursor)
        return answer({"results": rows, "total_count": total, "pagination": paging})

    @router.post(
        "/v1/batches/{batch_id}/cancel",
        operation_id="cancel_batch_by_id_batches",
        summary="Cancel Batch By Id",
        tags=_ALL,
    )
    async def cancel(
        batch_id: str,
        reason: str | None = None,
        caller: NamespaceCaller = Depends(of_batch(callers, service.locate, "write")),
    ) -> Answer:
        return answer(await service.cancel(caller.scope, batch_id, reason=reason))

    @router.get(
        "/v1/analytics/performance/batches/{batch_id}/diagnostics",
        operation_id="get_batch_diagnostics_analytics_performance_batches",
        summary="Get Batch Diagnostics",
        tags=_ANALYTICS,
    )
    async def diagnostics(
        batch_id: str, caller: NamespaceCaller = Depends(of_batch(callers, service.locate, "read"))
    ) -> Answer:
        return answer(await service.diagnostics(caller.scope, batch_id))


def _of_bucket(router: APIRouter, service: Reports, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.get(f"{_ONE}/audit", operation_id="get_batch_audit_buckets_batches", summary="Audit", tags=_BUCKET)
    async def audit(bucket_identifier: str, batch_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(await service.audit(caller.scope, bucket_identifier, batch_id))

    @router.get(
        f"{_ONE}/diagnose", operation_id="diagnose_batch_buckets_batches", summary="Diagnose Batch", tags=_BUCKET
    )
    async def diagnose(bucket_identifier: str, batch_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(await service.diagnose(caller.scope, bucket_identifier, batch_id))

    @router.get(f"{_ONE}/logs", operation_id="get_batch_logs_buckets_batches", summary="Get Batch Logs", tags=_BUCKET)
    async def logs(
        bucket_identifier: str,
        batch_id: str,
        tier_num: int | None = Query(None, ge=0, le=32_767),
        caller: NamespaceCaller = Depends(read),
    ) -> Answer:
        return answer(await service.logs(caller.scope, bucket_identifier, batch_id, tier=tier_num))

    @router.post(
        f"{_ONE}/estimate-cost",
        operation_id="estimate_batch_cost_buckets_batches",
        summary="Estimate Batch Cost",
        tags=_BUCKET,
    )
    async def estimate(
        bucket_identifier: str, batch_id: str, caller: NamespaceCaller = Depends(callers.namespace("write"))
    ) -> Answer:
        return answer(await service.estimate(caller.scope, bucket_identifier, batch_id))
