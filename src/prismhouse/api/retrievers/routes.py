"""HTTP operations on retrievers."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request

from prismhouse.api.retrievers.model import retriever_answer
from prismhouse.api.retrievers.schemas import (
    AdhocExecute,
    CloneRetriever,
    CreateRetriever,
    ExecuteRetriever,
    ExplainRetriever,
    ListRetrievers,
    PatchRetriever,
)
from prismhouse.api.retrievers.service import Retrievers
from prismhouse.api.retrievers.shapes import execution_answer, explain_answer, stage_answer
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import Page, page_of, pagination
from prismhouse.kit import json

__all__ = ["routes"]

_TAGS: list[str | Enum] = ["Retrievers"]
_ADHOC: list[str | Enum] = ["Adhoc Retrievers"]
_STAGES: list[str | Enum] = ["Retriever Stages"]


def routes(service: Retrievers, callers: Callers) -> APIRouter:
    """Return the routes of retrievers; those that run come first, for they are called most."""
    router = APIRouter()
    _adhoc_routes(router, service, callers)
    _run_routes(router, service, callers)
    _list_routes(router, service, callers)
    _one_routes(router, service, callers)
    return router


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in {"true", "1"}


def _with_flags(request: Request, body: Any) -> Any:
    """Let `return_vectors` and `return_presigned_urls` stand in the query too."""
    for name in ("return_vectors", "return_presigned_urls"):
        if _flag(request, name):
            setattr(body, name, True)
    return body


def _adhoc_routes(router: APIRouter, service: Retrievers, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.post(
        "/v1/retrievers/execute",
        operation_id="execute_adhoc_retriever",
        tags=_ADHOC,
        summary="Execute Ad Hoc Retriever",
        openapi_extra=body_schema(AdhocExecute),
    )
    async def execute_adhoc_retriever(
        request: Request, caller: NamespaceCaller = Depends(read), body: AdhocExecute = Depends(body_of(AdhocExecute))
    ) -> Answer:
        found = await service.execute_adhoc(caller.scope, _with_flags(request, body))
        return answer(found, headers={"X-Execution-Mode": "adhoc"})

    @router.post(
        "/v1/retrievers/executions/list",
        operation_id="list_adhoc_executions_retrievers",
        tags=_ADHOC,
        summary="List Ad Hoc Executions",
    )
    async def list_adhoc_executions(request: Request, caller: NamespaceCaller = Depends(read)) -> Answer:
        page = page_of(request)
        rows, total = await service.executions(caller.scope, None, status=None, page=page)
        return answer({"results": [execution_answer(row) for row in rows], "pagination": _history(page, total)})

    @router.get(
        "/v1/retrievers/executions/{execution_id}",
        operation_id="get_adhoc_execution_retrievers",
        tags=_ADHOC,
        summary="Get Ad Hoc Execution",
    )
    async def get_adhoc_execution(execution_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(execution_answer(await service.execution(caller.scope, None, execution_id)))


def _run_routes(router: APIRouter, service: Retrievers, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.post(
        "/v1/retrievers/{retriever_id}/execute",
        operation_id="execute_retriever",
        tags=_TAGS,
        summary="Execute Retriever",
        openapi_extra=body_schema(ExecuteRetriever, required=False),
    )
    async def execute_retriever(
        retriever_id: str,
        request: Request,
        caller: NamespaceCaller = Depends(read),
        body: ExecuteRetriever = Depends(body_of(ExecuteRetriever)),
    ) -> Answer:
        if request.query_params:
            body = _with_flags(request, body)
        legacy = _flag(request, "include_legacy_results")
        return answer(await service.execute(caller.scope, retriever_id, body, legacy_results=legacy))

    @router.post(
        "/v1/retrievers/{retriever_id}/execute/explain",
        operation_id="explain_retriever_execution_id_execute",
        tags=_TAGS,
        summary="Explain Retriever Execution",
        openapi_extra=body_schema(ExplainRetriever, required=False),
    )
    async def explain_retriever(
        retriever_id: str,
        caller: NamespaceCaller = Depends(read),
        body: ExplainRetriever = Depends(body_of(ExplainRetriever)),  # noqa: ARG001 - read, so that a bad body is refused
    ) -> Answer:
        retriever, compiled = await service.plan(caller.scope, retriever_id)
        return answer(explain_answer(retriever, compiled.pipeline.stages))

    @router.post(
        "/v1/retrievers/{retriever_id}/executions/list",
        operation_id="list_executions_retrievers",
        tags=_TAGS,
        summary="List Executions",
    )
    async def list_executions(retriever_id: str, request: Request, caller: NamespaceCaller = Depends(read)) -> Answer:
        page = page_of(request)
        rows, total = await service.executions(caller.scope, retriever_id, status=None, page=page)
        return answer({"results": [execution_answer(row) for row in rows], "pagination": _history(page, total)})

    @router.get(
        "/v1/retrievers/{retriever_id}/executions/{execution_id}",
        operation_id="get_execution_retrievers",
        tags=_TAGS,
        summary="Get Execution",
    )
    async def get_execution(retriever_id: str, execution_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(execution_answer(await service.execution(caller.scope, retriever_id, execution_id)))


def _list_routes(router: APIRouter, service: Retrievers, callers: Callers) -> None:
    read, write = callers.namespace("read"), callers.namespace("write")

    async def listed(caller: NamespaceCaller, request: Request, body: ListRetrievers) -> Answer:
        page = page_of(request, body)
        found = await service.list_retrievers(caller.scope, search=body.search, page=page)
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


def _history(page: Page, total: int) -> dict[str, Any]:
    return {
        "total": total,
        "limit": page.limit,
        "offset": page.offset,
        "has_next": page.offset + page.limit < total,
    }
