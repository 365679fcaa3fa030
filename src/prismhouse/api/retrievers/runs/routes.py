"""HTTP operations that run retrievers, and the record of runs."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request

from prismhouse.api.retrievers.schemas import (
    AdhocExecute,
    ExecuteBatch,
    ExecuteRetriever,
    ExplainRetriever,
    SearchFeatures,
)
from prismhouse.api.retrievers.service import Retrievers
from prismhouse.api.retrievers.shapes import execution_answer, explain_answer
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import Page, page_of

__all__ = ["routes"]

_TAGS: list[str | Enum] = ["Retrievers"]
_ADHOC: list[str | Enum] = ["Adhoc Retrievers"]
_FEATURES: list[str | Enum] = ["Feature Search"]


def routes(service: Retrievers, callers: Callers) -> APIRouter:
    """Return the routes that run."""
    router = APIRouter()
    _adhoc_routes(router, service, callers)
    _run_routes(router, service, callers)
    _past_routes(router, service, callers)
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
        "/v1/features/search",
        operation_id="feature_search",
        tags=_FEATURES,
        summary="Search Features",
        openapi_extra=body_schema(SearchFeatures),
    )
    async def feature_search(
        caller: NamespaceCaller = Depends(read), body: SearchFeatures = Depends(body_of(SearchFeatures))
    ) -> Answer:
        return answer(await service.search_features(caller.scope, body))

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
        "/v1/retrievers/{retriever_id}/execute/batch",
        operation_id="execute_batch_retrievers",
        tags=_TAGS,
        summary="Execute Retriever for Several Queries",
        openapi_extra=body_schema(ExecuteBatch),
    )
    async def execute_batch(
        retriever_id: str,
        request: Request,
        caller: NamespaceCaller = Depends(read),
        body: ExecuteBatch = Depends(body_of(ExecuteBatch)),
    ) -> Answer:
        return answer(await service.execute_batch(caller.scope, retriever_id, _with_flags(request, body)))

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


def _past_routes(router: APIRouter, service: Retrievers, callers: Callers) -> None:
    read = callers.namespace("read")

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


def _history(page: Page, total: int) -> dict[str, Any]:
    return {
        "total": total,
        "limit": page.limit,
        "offset": page.offset,
        "has_next": page.offset + page.limit < total,
    }
