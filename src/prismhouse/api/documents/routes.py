"""HTTP operations on documents."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from prismhouse.api.documents.schemas import (
    BatchGet,
    BatchList,
    KeyedQuery,
    ListDocuments,
    ListNamespaceDocuments,
    joined,
)
from prismhouse.api.documents.service import Documents
from prismhouse.api.documents.service.vectors import Wanted
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema, faults_of
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import page_of
from prismhouse.api.web.storable import unstorable
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault

__all__ = ["routes"]

_IN_COLLECTION: list[str | Enum] = ["Collection Documents"]
_EVERYWHERE: list[str | Enum] = ["Documents"]
_DEFAULT_LIMIT = 10


def routes(service: Documents, callers: Callers) -> APIRouter:
    """Return the routes of documents."""
    router = APIRouter()
    _collection_routes(router, service, callers)
    _namespace_routes(router, service, callers)
    return router


def _collection_routes(router: APIRouter, service: Documents, callers: Callers) -> None:
    read = callers.namespace("read")
    base = "/v1/collections/{collection_identifier}/documents"

    async def listed(caller: NamespaceCaller, collection: str, request: Request, body: ListDocuments) -> Answer:
        page = page_of(request, body, default_limit=_DEFAULT_LIMIT)
        _apply_flags(request, body)
        found = await service.list_in(caller.scope, collection, request=body, page=page)
        return answer(found.content())

    @router.post(
        f"{base}/list",
        operation_id="list_documents",
        tags=_IN_COLLECTION,
        summary="List Documents",
        openapi_extra=body_schema(ListDocuments, required=False),
    )
    async def list_documents(
        request: Request,
        collection_identifier: str,
        caller: NamespaceCaller = Depends(read),
        body: ListDocuments = Depends(body_of(ListDocuments)),
    ) -> Answer:
        return await listed(caller, collection_identifier, request, body)

    @router.get(base, operation_id="list_documents_0", tags=_IN_COLLECTION, summary="List Documents")
    async def list_documents_get(
        request: Request,
        collection_identifier: str,
        caller: NamespaceCaller = Depends(read),
        body: ListDocuments = Depends(body_of(ListDocuments)),
    ) -> Answer:
        return await listed(caller, collection_identifier, request, _from_query(request, body))

    @router.get(f"{base}/count", operation_id="count_documents", tags=_IN_COLLECTION, summary="Count Documents")
    async def count_documents(collection_identifier: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        collection_id, count = await service.count_in(caller.scope, collection_identifier)
        return answer({"collection_id": collection_id, "count": count})

    @router.get(f"{base}/{{document_id}}", operation_id="get_document", tags=_IN_COLLECTION, summary="Get Document")
    async def get_document(
        request: Request,
        collection_identifier: str,
        document_id: str,
        caller: NamespaceCaller = Depends(read),
    ) -> Answer:
        found = await service.get(
            caller.scope,
            document_id,
            collection=collection_identifier,
            wanted=_wanted(request),
            presign=_flag(request, "return_presigned_urls"),
            expand=_listed(request, "expand"),
        )
        return answer(found)


def _namespace_routes(router: APIRouter, service: Documents, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.post(
        "/v1/documents/list",
        operation_id="list_documents_ns",
        tags=_EVERYWHERE,
        summary="List Documents across collections",
        openapi_extra=body_schema(ListNamespaceDocuments, required=False),
    )
    async def list_everywhere(
        request: Request,
        caller: NamespaceCaller = Depends(read),
        body: ListNamespaceDocuments = Depends(body_of(ListNamespaceDocuments)),
    ) -> Answer:
        page = page_of(request, body, default_limit=_DEFAULT_LIMIT)
        _apply_flags(request, body)
        found = await service.list_everywhere(caller.scope, request=body, page=page)
        return answer(found.content())

    @router.post(
        "/v1/documents/list/batch",
        operation_id="list_documents_batch",
        tags=_EVERYWHERE,
        summary="Run several list queries",
        openapi_extra=body_schema(BatchList),
    )
    async def list_batch(
        request: Request,
        caller: NamespaceCaller = Depends(read),
        body: BatchList = Depends(body_of(BatchList)),
    ) -> Answer:
        async def one(query: KeyedQuery) -> bytes:
            key = json.dumps(query.key)
            try:
                page = page_of(request, query.request, default_limit=_DEFAULT_LIMIT)
                found = await service.list_everywhere(caller.scope, request=query.request, page=page)
            except WarehouseError as error:
                return b'{"key":%s,"response":null,"error":%s}' % (key, json.dumps(error.message))
            return b'{"key":%s,"response":%s,"error":null}' % (key, found.content())

        keys = [query.key for query in body.queries]
        if len(set(keys)) < len(keys):
            raise Invalid([field_fault(["body", "queries"], "Every query needs a `key` of its own.")])
        return answer(joined(await asyncio.gather(*map(one, body.queries)), {"warnings": None}))

    @router.post(
        "/v1/documents/batch-get",
        operation_id="batch_get",
        tags=_EVERYWHERE,
        summary="Get documents by id",
        openapi_extra=body_schema(BatchGet),
    )
    async def batch_get(
        caller: NamespaceCaller = Depends(read),
        body: BatchGet = Depends(body_of(BatchGet)),
    ) -> Answer:
        found, missing = await service.get_many(caller.scope, body.document_ids, presign=body.return_presigned_urls)
        return answer(joined(found, {"not_found": missing}, name="documents"))

    @router.get("/v1/documents/{document_id}", operation_id="get_document_ns", tags=_EVERYWHERE, summary="Get Document")
    async def get_document(request: Request, document_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        found = await service.get(
            caller.scope,
            document_id,
            wanted=_wanted(request),
            presign=_flag(request, "return_presigned_urls"),
            expand=_listed(request, "expand"),
        )
        return answer(found)

    @router.get(
        "/v1/objects/{object_id}/documents",
        operation_id="get_documents_by_object",
        tags=["Document Lineage"],
        summary="List the documents of an object",
    )
    async def object_documents(request: Request, object_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        page = page_of(request)
        collections = request.query_params.getlist("collection_ids")
        found = await service.of_object(caller.scope, object_id, collections=collections, page=page)
        return answer(found.content())


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in {"true", "1"}


def _listed(request: Request, name: str) -> list[str]:
    return [part.strip() for part in request.query_params.get(name, "").split(",") if part.strip()]


def _apply_flags(request: Request, body: ListDocuments) -> None:
    """The flags count when the query or the body sets them."""
    body.return_presigned_urls = body.return_presigned_urls or _flag(request, "return_presigned_urls")
    body.return_vectors = body.return_vectors or _flag(request, "return_vectors")


def _wanted(request: Request) -> Wanted:
    given = request.query_params.get("return_vector_names", "")
    names: bool | list[str] | None = _listed(request, "return_vector_names") or None
    if given.lower() in {"true", "1", "false", "0"}:
        names = given.lower() in {"true", "1"}
    return Wanted(values=_flag(request, "return_vectors"), names=names)


def _from_query(request: Request, body: ListDocuments) -> ListDocuments:
    """Fill what the body leaves out from the query string; text that is not JSON is an error, never ignored."""
    given: dict[str, Any] = {}
    query = request.query_params
    if filters := query.get("filters"):
        given["filters"] = _parsed(filters, "filters")
    if search := query.get("search"):
        given["search"] = search
    if sort := query.get("sort"):
        name, _, direction = sort.partition(":")
        in_short = {"field": name, "direction": direction or "asc"}
        given["sort"] = _parsed(sort, "sort") if sort.startswith("{") else in_short
    if faults := unstorable(given, ["query"]):
        raise Invalid(faults)
    try:
        return ListDocuments.model_validate(given | body.model_dump(exclude_unset=True))
    except ValidationError as error:
        raise faults_of(error, ListDocuments, "query") from error


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Invalid([field_fault(["query", name], "must be JSON")]) from error
