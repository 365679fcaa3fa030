"""HTTP operations on collections and on the extractor catalogue."""

from __future__ import annotations

from enum import Enum

from fastapi import APIRouter, Depends, Request

from prismhouse.api.collections.schemas import (
    CloneCollection,
    CreateCollection,
    ListCollections,
    UpdateCollection,
)
from prismhouse.api.collections.service import Collections
from prismhouse.api.collections.wire import collection_answer, features_answer, menu_answer
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.api.web.storable import unstorable
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid

__all__ = ["routes"]

_TAGS: list[str | Enum] = ["Collections"]


def routes(service: Collections, callers: Callers) -> APIRouter:
    """Return the routes of collections."""
    router = APIRouter()
    _catalogue_routes(router, service)
    read, write, delete = callers.namespace("read"), callers.namespace("write"), callers.namespace("delete")

    async def listed(caller: NamespaceCaller, request: Request, body: ListCollections) -> Answer:
        page = page_of(request, body)
        found = await service.list_collections(caller.scope, body, page)
        return answer(
            {
                "results": [collection_answer(one) for one in found.results],
                "pagination": pagination(page, total=found.total, next_cursor=found.next_cursor),
                "total_count": found.total,
            }
        )

    @router.get("/v1/collections", operation_id="list_collections_get", tags=_TAGS, summary="List Collections")
    async def list_collections_get(request: Request, caller: NamespaceCaller = Depends(read)) -> Answer:
        search = request.query_params.get("search")
        if faults := unstorable(search, ["query", "search"]):
            raise Invalid(faults)
        return await listed(caller, request, ListCollections(search=search))

    @router.post(
        "/v1/collections/list",
        operation_id="list_collections",
        tags=_TAGS,
        summary="List Collections",
        openapi_extra=body_schema(ListCollections, required=False),
    )
    async def list_collections(
        request: Request,
        caller: NamespaceCaller = Depends(read),
        body: ListCollections = Depends(body_of(ListCollections)),
    ) -> Answer:
        return await listed(caller, request, body)

    @router.post(
        "/v1/collections",
        operation_id="create_collection",
        tags=_TAGS,
        summary="Create Collection",
        openapi_extra=body_schema(CreateCollection),
    )
    async def create_collection(
        caller: NamespaceCaller = Depends(write),
        body: CreateCollection = Depends(body_of(CreateCollection)),
    ) -> Answer:
        made = await service.create(caller.scope, body)
        location = {"Location": f"/v1/collections/{made.row.collection_id}"}
        return answer(collection_answer(made), headers=location)

    @router.get(
        "/v1/collections/{collection_identifier}/features",
        operation_id="describe_collection_features",
        tags=_TAGS,
        summary="Describe Collection Features",
    )
    async def describe_features(collection_identifier: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        found = await service.get(caller.scope, collection_identifier)
        return answer(features_answer(found.row))

    @router.post(
        "/v1/collections/{collection_identifier}/clone",
        operation_id="clone_collection",
        tags=_TAGS,
        summary="Clone Collection",
        openapi_extra=body_schema(CloneCollection),
    )
    async def clone_collection(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(write),
        body: CloneCollection = Depends(body_of(CloneCollection)),
    ) -> Answer:
        copy, original = await service.clone(caller.scope, collection_identifier, body)
        made = collection_answer(copy)
        return answer({"collection": made, "source_collection_id": original.collection_id})

    @router.get(
        "/v1/collections/{collection_identifier}",
        operation_id="get_collection",
        tags=_TAGS,
        summary="Get Collection",
    )
    async def get_collection(collection_identifier: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        found = await service.get(caller.scope, collection_identifier)
        return answer(collection_answer(found))

    @router.patch(
        "/v1/collections/{collection_identifier}",
        operation_id="update_collection",
        tags=_TAGS,
        summary="Update Collection",
        openapi_extra=body_schema(UpdateCollection),
    )
    async def update_collection(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(write),
        body: UpdateCollection = Depends(body_of(UpdateCollection)),
    ) -> Answer:
        changed = await service.update(caller.scope, collection_identifier, body)
        return answer(collection_answer(changed))

    @router.delete(
        "/v1/collections/{collection_identifier}",
        operation_id="delete_collection",
        tags=_TAGS,
        summary="Delete Collection",
    )
    async def delete_collection(collection_identifier: str, caller: NamespaceCaller = Depends(delete)) -> Answer:
        gone = await service.delete(caller.scope, collection_identifier)
        message = f"Collection {gone.name} was deleted with its documents."
        return answer({"message": message, "success": True, "collection_id": gone.collection_id})

    return router


def _catalogue_routes(router: APIRouter, service: Collections) -> None:
    """Literal paths, before those with an identifier. The catalogue is public."""

    @router.get("/v1/collections/features", operation_id="discover_features", tags=["Features"], summary="Features")
    async def discover_features() -> Answer:
        return answer(menu_answer(service.menu()))

    async def list_extractors() -> Answer:
        return answer(json.dumps(service.extractors()))

    async def get_extractor(feature_extractor_id: str) -> Answer:
        return answer(service.extractor(feature_extractor_id))

    for base, declared in (("/v1/collections/features/extractors", True), ("/v1/feature-extractors", False)):
        router.add_api_route(
            base,
            list_extractors,
            operation_id="list_feature_extractors" if declared else "list_feature_extractors_alias",
            tags=["Feature Extractors"],
            summary="List Feature Extractors",
            include_in_schema=declared,
        )
        router.add_api_route(
            f"{base}/{{feature_extractor_id}}",
            get_extractor,
            operation_id="get_feature_extractor_by" if declared else "get_feature_extractor_alias",
            tags=["Feature Extractors"],
            summary="Get Feature Extractor",
            include_in_schema=declared,
        )
