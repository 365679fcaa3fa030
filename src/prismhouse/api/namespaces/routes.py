"""Namespaces over HTTP. These routes are of the organization: they ignore X-Namespace."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request

from prismhouse.api.namespaces import wire
from prismhouse.api.namespaces.deletion import Deletion
from prismhouse.api.namespaces.extractors import discovered, extractor_list
from prismhouse.api.namespaces.listing import Listing
from prismhouse.api.namespaces.schemas import (
    CreateNamespace,
    ListNamespaces,
    NamespacesStats,
    PatchNamespace,
    PutNamespace,
)
from prismhouse.api.namespaces.service import LIST_COUNT_BOUND, ONE_COUNT_BOUND, Namespaces
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers, NamespaceNotFound
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.kit import json

__all__ = ["routes"]

_ALL = "/v1/namespaces"
_ONE = f"{_ALL}/{{namespace_identifier}}"
_TAGS: list[Any] = ["Namespaces"]


def routes(service: Namespaces, callers: Callers, *, deletion: Deletion) -> APIRouter:
    """Return the routes of namespaces."""
    router = APIRouter()
    _list_routes(router, service, callers)
    _write_routes(router, service, callers, deletion)
    _stats_routes(router, service, callers)
    _extractor_routes(router, service, callers)
    return router


def _list_routes(router: APIRouter, service: Namespaces, callers: Callers) -> None:
    async def listed(request: Request, caller: Caller, body: ListNamespaces, *, summary: bool) -> Answer:
        page = page_of(request, body)
        listing = Listing.of(body, page)
        rows, counts, total = await service.page(caller, **listing.query())
        shown = rows[: page.limit]
        content = {
            "results": [
                wire.namespace(row, counts.get(row["namespace_id"]), bound=LIST_COUNT_BOUND, summary=summary)
                for row in shown
            ],
            "pagination": pagination(page, total=total, next_cursor=listing.next_cursor(rows)),
            "total_count": total,
            "stats": wire.list_stats(shown, counts, bound=LIST_COUNT_BOUND),
        }
        return answer(content)

    @router.get(_ALL, operation_id="list_namespaces_get", tags=_TAGS, summary="List namespaces")
    async def list_get(request: Request, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        return await listed(request, caller, ListNamespaces(), summary=False)

    @router.post(
        f"{_ALL}/list",
        operation_id="list_namespaces",
        tags=_TAGS,
        summary="List namespaces with filters",
        openapi_extra=body_schema(ListNamespaces, required=False),
    )
    async def list_post(
        request: Request,
        view: Literal["full", "summary"] = "full",
        include_system: bool = False,  # noqa: ARG001 - there are no system namespaces on a server of one's own
        caller: Caller = Depends(callers.organization("read")),
        body: ListNamespaces = Depends(body_of(ListNamespaces)),
    ) -> Answer:
        return await listed(request, caller, body, summary=view == "summary")


def _write_routes(router: APIRouter, service: Namespaces, callers: Callers, deletion: Deletion) -> None:
    @router.post(
        _ALL,
        operation_id="create_namespace",
        tags=_TAGS,
        summary="Create a namespace",
        openapi_extra=body_schema(CreateNamespace),
    )
    async def create(
        caller: Caller = Depends(callers.organization("write")),
        body: CreateNamespace = Depends(body_of(CreateNamespace)),
    ) -> Answer:
        row = await service.create(caller, body)
        location = {"Location": f"{_ALL}/{row['namespace_id']}"}
        return answer(wire.namespace(row, None, bound=ONE_COUNT_BOUND), headers=location)

    @router.get(_ONE, operation_id="get_namespace", tags=_TAGS, summary="Get a namespace")
    async def read(namespace_identifier: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        row, counts, models = await service.read(caller, namespace_identifier)
        budget = {"budget": row["config"].get("spend_budget")}
        return answer(wire.namespace(row, counts, bound=ONE_COUNT_BOUND, models=models) | budget)

    @router.patch(
        _ONE,
        operation_id="patch_namespace",
        tags=_TAGS,
        summary="Change a namespace",
        openapi_extra=body_schema(PatchNamespace),
    )
    async def patch(
        namespace_identifier: str,
        caller: Caller = Depends(callers.organization("write")),
        body: PatchNamespace = Depends(body_of(PatchNamespace)),
    ) -> Answer:
        changed = await service.patch(caller, namespace_identifier, body)
        row, counts, models = await service.read(caller, changed["namespace_id"])
        return answer(wire.namespace(row, counts, bound=ONE_COUNT_BOUND, models=models))

    @router.put(
        _ONE,
        operation_id="update_namespace",
        tags=_TAGS,
        summary="Change a namespace's name and payload indexes",
        openapi_extra=body_schema(PutNamespace),
    )
    async def put(
        namespace_identifier: str,
        caller: Caller = Depends(callers.organization("write")),
        body: PutNamespace = Depends(body_of(PutNamespace)),
    ) -> Answer:
        changed = await service.put(caller, namespace_identifier, body)
        row, counts, models = await service.read(caller, changed["namespace_id"])
        return answer(wire.namespace(row, counts, bound=ONE_COUNT_BOUND, models=models))

    @router.delete(_ONE, operation_id="delete_namespace", tags=_TAGS, summary="Delete a namespace and all in it")
    async def delete(
        namespace_identifier: str, force: bool = False, caller: Caller = Depends(callers.organization("delete"))
    ) -> Answer:
        return answer(await deletion.request(caller, namespace_identifier, force=force))


def _stats_routes(router: APIRouter, service: Namespaces, callers: Callers) -> None:
    @router.post(
        f"{_ALL}/stats/batch",
        operation_id="get_namespace_stats_batch",
        tags=_TAGS,
        summary="Count what is in several namespaces",
        openapi_extra=body_schema(NamespacesStats),
    )
    async def stats_batch(
        caller: Caller = Depends(callers.organization("read")),
        body: NamespacesStats = Depends(body_of(NamespacesStats)),
    ) -> Answer:
        found = await service.stats(caller, body.namespace_ids)
        shown = {
            name: wire.stats(counts["namespace_id"], counts, bound=ONE_COUNT_BOUND) for name, counts in found.items()
        }
        return answer({"stats": shown})

    @router.get(f"{_ONE}/stats", operation_id="get_namespace_stats", tags=_TAGS, summary="Count what is in a namespace")
    async def stats(namespace_identifier: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        found = await service.stats(caller, [namespace_identifier])
        if namespace_identifier not in found:
            raise NamespaceNotFound(namespace_identifier)
        counts = found[namespace_identifier]
        return answer(wire.stats(counts["namespace_id"], counts, bound=ONE_COUNT_BOUND))


def _extractor_routes(router: APIRouter, service: Namespaces, callers: Callers) -> None:
    tags: list[Any] = ["Namespace Extractors"]

    @router.get(
        f"{_ALL}/{{namespace_id}}/extractors",
        operation_id="list_extractors_namespaces",
        tags=tags,
        summary="List the extractors that can run in a namespace",
    )
    async def extractors(
        namespace_id: str,
        source: Literal["builtin", "custom", "all"] = "all",
        include_disabled: bool = False,  # noqa: ARG001 - no extractor can be disabled
        caller: Caller = Depends(callers.organization("read")),
    ) -> Answer:
        row, _, _ = await service.read(caller, namespace_id)
        return answer(extractor_list(service.extractors(), source=source, namespace_id=row["namespace_id"]))

    @router.get(
        "/v1/extractors",
        operation_id="list_org_extractors",
        tags=["Extractors"],
        summary="List the extractors that can run in an organization",
    )
    async def organization_extractors(
        source: Literal["builtin", "custom", "all"] = "all",
        include_disabled: bool = False,  # noqa: ARG001 - no extractor can be disabled
        caller: Caller = Depends(callers.organization("read")),  # noqa: ARG001 - a key is needed, whoever it is
    ) -> Answer:
        return answer(extractor_list(service.extractors(), source=source, namespace_id=""))

    @router.get(
        "/v1/discovery/extractors",
        operation_id="list_extractors_discovery",
        tags=["Discovery"],
        summary="List the extractors that can be used, for programs that choose one",
    )
    async def discovery(
        caller: Caller = Depends(callers.organization("read")),  # noqa: ARG001 - a key is needed, whoever it is
    ) -> Answer:
        usable = [one for one in service.extractors() if one.get("validation_status") != "failed"]
        return answer(json.dumps([discovered(one) for one in usable]))

    @router.get(
        f"{_ALL}/{{namespace_id}}/extractors/{{extractor_id}}",
        operation_id="get_extractor_namespaces",
        tags=tags,
        summary="Get one extractor",
    )
    async def extractor(
        namespace_id: str, extractor_id: str, caller: Caller = Depends(callers.organization("read"))
    ) -> Answer:
        await service.read(caller, namespace_id)
        return answer(dict(service.extractor(extractor_id)))
