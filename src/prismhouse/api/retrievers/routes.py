"""HTTP operations on retrievers; `runs` has those that run them."""

from __future__ import annotations

from enum import Enum

from fastapi import APIRouter, Depends, Request

from prismhouse.api.retrievers.model import retriever_answer
from prismhouse.api.retrievers.runs.routes import routes as run_routes
from prismhouse.api.retrievers.schemas import CloneRetriever, CreateRetriever, ListRetrievers, PatchRetriever
from prismhouse.api.retrievers.service import Retrievers
from prismhouse.api.retrievers.shapes import stage_answer
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.kit import json

__all__ = ["routes"]

_TAGS: list[str | Enum] = ["Retrievers"]
_STAGES: list[str | Enum] = ["Retriever Stages"]


def routes(service: Retrievers, callers: Callers) -> APIRouter:
    """Return the routes of retrievers; those that run come first, for they are called most."""
    router = APIRouter()
    router.routes.extend(run_routes(service, callers).routes)
    _list_routes(router, service, callers)
    _one_routes(router, service, callers)
    return router


def _list_routes(router: APIRouter, service: Retrievers, callers: Callers) -> None:
    read, write = callers.namespace("read"), callers.namespace("write")

    async def listed(caller: NamespaceCaller, request: Request, body: ListRetrievers) -> Answer:
        page = page_of(request, body)
        found = await service.list_retrievers(caller.scope, body, page)
        return answer(
            {
                "results": [retriever_answer(one) for one in found.results],
                "total": found.total,
                "pagination": pagination(page, total=found.total, next_cursor=None),
            }
        )

    @router.get("/v1/retrievers", operation_id="list_retrievers_get", tags=_TAGS, summary="List Retrievers")
    async def list_retrievers_get(request: Request, caller: NamespaceCaller = Depends(read)) -> Answer:
        return await listed(caller, request, ListRetrievers(search=request.query_params.get("search")))

    @router.post(
        "/v1/retrievers/list",
        operation_id="list_retrievers",
        tags=_TAGS,
        summary="List Retrievers",
        openapi_extra=body_schema(ListRetrievers, required=False),
    )
    async def list_retrievers(
        request: Request,
        caller: NamespaceCaller = Depends(read),
        body: ListRetrievers = Depends(body_of(ListRetrievers)),
    ) -> Answer:
        return await listed(caller, request, body)

    @router.post(
        "/v1/retrievers",
        operation_id="create_retriever",
        tags=_TAGS,
        summary="Create Retriever",
        openapi_extra=body_schema(CreateRetriever),
    )
    async def create_retriever(
        caller: NamespaceCaller = Depends(write), body: CreateRetriever = Depends(body_of(CreateRetriever))
    ) -> Answer:
        made = await service.create(caller.scope, body, by=caller.caller.user_id)
        return answer(retriever_answer(made), headers={"Location": f"/v1/retrievers/{made.retriever_id}"})

    @router.get(
        "/v1/retrievers/stages", operation_id="list_stages_retrievers", tags=_STAGES, summary="List Retriever Stages"
    )
    async def list_stages(request: Request, caller: NamespaceCaller = Depends(read)) -> Answer:  # noqa: ARG001
        records = service.stages(request.query_params.get("category") or None)
        return answer(json.dumps([stage_answer(record) for record in records]))


def _one_routes(router: APIRouter, service: Retrievers, callers: Callers) -> None:
    read, write, delete = callers.namespace("read"), callers.namespace("write"), callers.namespace("delete")
    path = "/v1/retrievers/{retriever_id}"

    @router.get(path, operation_id="get_retriever", tags=_TAGS, summary="Get Retriever")
    async def get_retriever(retriever_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(retriever_answer(await service.read(caller.scope, retriever_id)))

    @router.patch(
        path,
        operation_id="patch_retriever",
        tags=_TAGS,
        summary="Update Retriever",
        openapi_extra=body_schema(PatchRetriever),
    )
    async def patch_retriever(
        retriever_id: str,
        caller: NamespaceCaller = Depends(write),
        body: PatchRetriever = Depends(body_of(PatchRetriever)),
    ) -> Answer:
        changed = await service.patch(caller.scope, retriever_id, body, by=caller.caller.user_id)
        return answer({"retriever": retriever_answer(changed)})

    @router.delete(path, operation_id="delete_retriever", tags=_TAGS, summary="Delete Retriever")
    async def delete_retriever(retriever_id: str, caller: NamespaceCaller = Depends(delete)) -> Answer:
        gone = await service.delete(caller.scope, retriever_id)
        return answer({"message": f"Retriever {gone.retriever_id} was deleted.", "success": True})

    @router.post(
        f"{path}/clone",
        operation_id="clone_retriever",
        tags=_TAGS,
        summary="Clone Retriever",
        openapi_extra=body_schema(CloneRetriever),
    )
    async def clone_retriever(
        retriever_id: str,
        caller: NamespaceCaller = Depends(write),
        body: CloneRetriever = Depends(body_of(CloneRetriever)),
    ) -> Answer:
        copy, source = await service.clone(caller.scope, retriever_id, body, by=caller.caller.user_id)
        return answer({"retriever": retriever_answer(copy), "source_retriever_id": source.retriever_id})
