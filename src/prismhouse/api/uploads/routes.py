"""Routes of uploads."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Query, Request, Response

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.uploads.schemas import ConfirmUpload, ConfirmUploads, CreateUpload, CreateUploads, ListUploads
from prismhouse.api.uploads.service import Uploads
from prismhouse.api.uploads.wire import confirmed, confirming, made, shown, stats_of
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import PagingKeys, page_of, pagination

__all__ = ["routes"]

_TAGS: list[Any] = ["Bucket Uploads"]
_UPLOADS = "/v1/buckets/{bucket_identifier}/uploads"
_UPLOAD = _UPLOADS + "/{upload_id}"
_ALIAS = "/v1/uploads/{upload_id}"
_DEFAULT_LIMIT = 20
_MAX_LIMIT = 100


def routes(service: Uploads, callers: Callers) -> APIRouter:
    """Return the router of uploads."""
    router = APIRouter(tags=_TAGS)

    @router.post(
        _UPLOADS, operation_id="create_upload_buckets", summary="Create Upload", openapi_extra=body_schema(CreateUpload)
    )
    async def create(
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: CreateUpload = Depends(body_of(CreateUpload)),
    ) -> Answer:
        return answer(made(await service.create(caller.scope, bucket_identifier, body)))

    @router.post(
        f"{_UPLOADS}/batch",
        operation_id="create_uploads_batch_buckets",
        summary="Batch Create Uploads",
        openapi_extra=body_schema(CreateUploads),
    )
    async def create_many(
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: CreateUploads = Depends(body_of(CreateUploads)),
    ) -> Answer:
        results = [made(result) for result in await service.create_many(caller.scope, bucket_identifier, body)]
        return answer({"uploads": results, "total": len(results)})

    @router.post(
        f"{_UPLOADS}/confirm/batch",
        operation_id="confirm_uploads_batch_buckets",
        summary="Batch Confirm Uploads",
        openapi_extra=body_schema(ConfirmUploads),
    )
    async def confirm_many(
        bucket_identifier: str,
        policy: Policy | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: ConfirmUploads = Depends(body_of(ConfirmUploads)),
    ) -> Answer:
        task = await service.confirm_many(caller.scope, bucket_identifier, body, policy=policy)
        return answer(confirming(task, len(body.confirmations)))

    @router.post(
        f"{_UPLOAD}/confirm",
        operation_id="confirm_upload_buckets",
        summary="Confirm Upload",
        openapi_extra=body_schema(ConfirmUpload, required=False),
    )
    async def confirm(
        bucket_identifier: str,
        upload_id: str,
        asynchronous: bool = Query(False, alias="async"),
        policy: Policy | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: ConfirmUpload = Depends(body_of(ConfirmUpload)),
    ) -> Answer:
        upload = await service.confirm(
            caller.scope, upload_id, body, identifier=bucket_identifier, policy=policy, asynchronous=asynchronous
        )
        return answer(confirmed(upload))

    @router.post(
        f"{_ALIAS}/confirm",
        operation_id="confirm_upload",
        summary="Confirm Upload",
        openapi_extra=body_schema(ConfirmUpload, required=False),
    )
    async def confirm_by_id(
        upload_id: str,
        asynchronous: bool = Query(False, alias="async"),
        policy: Policy | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: ConfirmUpload = Depends(body_of(ConfirmUpload)),
    ) -> Answer:
        upload = await service.confirm(caller.scope, upload_id, body, policy=policy, asynchronous=asynchronous)
        return answer(confirmed(upload))

    @router.post(
        f"{_UPLOADS}/list",
        operation_id="list_uploads_buckets",
        summary="List Uploads",
        openapi_extra=body_schema(ListUploads, required=False),
    )
    async def listed(
        request: Request,
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
        body: ListUploads = Depends(body_of(ListUploads)),
    ) -> Answer:
        page = page_of(request, _paging(request, body), default_limit=_DEFAULT_LIMIT, max_limit=_MAX_LIMIT)
        uploads, total, cursor = await service.list(caller.scope, bucket_identifier, body, page)
        scope, linked = caller.scope, body.return_presigned_urls
        results = [
            shown(upload, presigned_url=service.download_url(scope, upload) if linked else None) for upload in uploads
        ]
        paging = pagination(page, total=total, next_cursor=cursor)
        return answer({"results": results, "pagination": paging, "stats": stats_of(results)})

    async def read(caller: NamespaceCaller, upload_id: str, bucket: str | None, *, linked: bool) -> Answer:
        upload = await service.read(caller.scope, upload_id, identifier=bucket)
        url = service.download_url(caller.scope, upload) if linked else None
        return answer(shown(upload, presigned_url=url))

    @router.get(_UPLOAD, operation_id="get_upload_buckets", summary="Get Upload")
    async def get(
        bucket_identifier: str,
        upload_id: str,
        return_presigned_urls: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
    ) -> Answer:
        return await read(caller, upload_id, bucket_identifier, linked=return_presigned_urls)

    @router.get(_ALIAS, operation_id="get_upload", summary="Get Upload")
    async def get_by_id(
        upload_id: str,
        return_presigned_urls: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
    ) -> Answer:
        return await read(caller, upload_id, None, linked=return_presigned_urls)

    @router.delete(_UPLOAD, operation_id="delete_upload_buckets", summary="Delete Upload", status_code=204)
    async def delete(
        bucket_identifier: str,
        upload_id: str,
        delete_s3_object: bool = True,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
    ) -> Response:
        await service.cancel(caller.scope, upload_id, identifier=bucket_identifier, delete_file=delete_s3_object)
        return Response(status_code=204)

    @router.delete(_ALIAS, operation_id="delete_upload", summary="Delete Upload", status_code=204)
    async def delete_by_id(
        upload_id: str,
        delete_s3_object: bool = True,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
    ) -> Response:
        await service.cancel(caller.scope, upload_id, delete_file=delete_s3_object)
        return Response(status_code=204)

    return router


def _paging(request: Request, body: ListUploads) -> PagingKeys:
    """Return the body's paging keys, without the defaults that the official client sends over its own parameters."""
    defaults = set()
    if body.limit == _DEFAULT_LIMIT and not request.query_params.keys().isdisjoint({"limit", "page_size"}):
        defaults.add("limit")
    if body.offset == 0 and not request.query_params.keys().isdisjoint({"offset", "page"}):
        defaults.add("offset")
    return body.model_copy(update=dict.fromkeys(defaults))
