"""Routes of objects."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import RootModel

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.objects.schemas import (
    BulkSoftDelete,
    CreateObject,
    CreateObjects,
    ListObjects,
    PatchObject,
    UpdateObject,
)
from prismhouse.api.objects.service import Objects
from prismhouse.api.objects.wire import Link, batch_result, selected, shown, stats_of, with_consistency
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema, free_body_of
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.query.aggregate import Aggregation

__all__ = ["routes"]

_TAGS: list[Any] = ["Bucket Objects"]
_OBJECTS = "/v1/buckets/{bucket_identifier}/objects"
_OBJECT = _OBJECTS + "/{object_identifier}"


class FreeBody(RootModel[dict[str, Any]]):
    """A JSON object with custom keys, judged in the service."""


def routes(service: Objects, callers: Callers) -> APIRouter:
    """Return the router of objects."""
    router = APIRouter(tags=_TAGS)

    def link_for(caller: NamespaceCaller) -> Link:
        return partial(service.link, caller.scope.namespace_id)

    async def listed(request: Request, caller: NamespaceCaller, bucket: str, body: ListObjects) -> Answer:
        page = page_of(request, body)
        objects, total, cursor = await service.list(caller.scope, bucket, body, page)
        link = link_for(caller) if body.return_presigned_urls else None
        results = [shown(stored, link=link) for stored in objects]
        if body.select:
            results = [selected(result, body.select) for result in results]
        content = {
            "results": results,
            "pagination": pagination(page, total=total, next_cursor=cursor),
            "stats": stats_of(objects),
        }
        return answer(content)

    @router.post(
        _OBJECTS, operation_id="create_object_buckets", summary="Create Object", openapi_extra=body_schema(CreateObject)
    )
    async def create(
        bucket_identifier: str,
        policy: Policy | None = None,
        auto_process: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: FreeBody = Depends(free_body_of(FreeBody)),
    ) -> Answer:
        created = await service.create(
            caller.scope, bucket_identifier, body.root, policy=policy, auto_process=auto_process
        )
        return answer(with_consistency(created))

    @router.get(_OBJECTS, operation_id="list_objects_get_buckets", summary="List Objects")
    async def list_get(
        request: Request, bucket_identifier: str, caller: NamespaceCaller = Depends(callers.namespace("read"))
    ) -> Answer:
        return await listed(request, caller, bucket_identifier, ListObjects())

    @router.post(
        f"{_OBJECTS}/list",
        operation_id="list_objects_buckets",
        summary="List Objects",
        openapi_extra=body_schema(ListObjects, required=False),
    )
    async def list_post(
        request: Request,
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
        body: ListObjects = Depends(body_of(ListObjects)),
    ) -> Answer:
        return await listed(request, caller, bucket_identifier, body)

    @router.post(
        f"{_OBJECTS}/batch",
        operation_id="create_objects_batch_buckets",
        summary="Create Objects in Batch",
        openapi_extra=body_schema(CreateObjects),
    )
    async def create_many(
        bucket_identifier: str,
        auto_process: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: CreateObjects = Depends(free_body_of(CreateObjects)),
    ) -> Answer:
        created, failures = await service.create_many(
            caller.scope, bucket_identifier, body.objects, auto_process=auto_process
        )
        return answer(batch_result(len(body.objects), created, failures), 200 if created else 422)

    @router.post(
        f"{_OBJECTS}/bulk-soft-delete",
        operation_id="bulk_soft_delete_objects_buckets",
        summary="Bulk Soft Delete Objects",
        openapi_extra=body_schema(BulkSoftDelete),
    )
    async def bulk_soft_delete(
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
        body: BulkSoftDelete = Depends(body_of(BulkSoftDelete)),
    ) -> Answer:
        hidden, collections = await service.soft_delete(caller.scope, bucket_identifier, body)
        requested = len(set(body.object_ids))
        return answer({"soft_deleted": hidden, "requested": requested, "collections": collections})

    @router.post(
        f"{_OBJECTS}/aggregate",
        operation_id="aggregate_objects_buckets",
        summary="Aggregate Objects",
        openapi_extra=body_schema(Aggregation),
    )
    async def aggregate(
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
        body: Aggregation = Depends(body_of(Aggregation)),
    ) -> Answer:
        return answer((await service.aggregate(caller.scope, bucket_identifier, body)).answer())

    @router.get(_OBJECT, operation_id="get_object_buckets", summary="Get Object")
    async def get(
        bucket_identifier: str,
        object_identifier: str,
        include_document_count: bool = True,
        return_presigned_urls: bool = False,
        return_url: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
    ) -> Answer:
        stored, count = await service.read(
            caller.scope, bucket_identifier, object_identifier, count_documents=include_document_count
        )
        link = link_for(caller) if return_presigned_urls or return_url else None
        return answer(shown(stored, document_count=count, link=link))

    @router.patch(
        _OBJECT,
        operation_id="patch_object_buckets",
        summary="Partially Update Object",
        openapi_extra=body_schema(PatchObject),
    )
    async def patch(
        bucket_identifier: str,
        object_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: FreeBody = Depends(free_body_of(FreeBody)),
    ) -> Answer:
        return answer(shown(await service.patch(caller.scope, bucket_identifier, object_identifier, body.root)))

    @router.put(
        _OBJECT,
        operation_id="update_object_buckets",
        summary="Update Object",
        openapi_extra=body_schema(UpdateObject),
    )
    async def put(
        bucket_identifier: str,
        object_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: FreeBody = Depends(free_body_of(FreeBody)),
    ) -> Answer:
        return answer(shown(await service.put(caller.scope, bucket_identifier, object_identifier, body.root)))

    @router.delete(_OBJECT, operation_id="delete_object_buckets", summary="Delete Object", status_code=204)
    async def delete(
        bucket_identifier: str,
        object_identifier: str,
        cascade: bool = True,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
    ) -> Response:
        await service.delete(caller.scope, bucket_identifier, object_identifier, cascade=cascade)
        return Response(status_code=204)

    return router
