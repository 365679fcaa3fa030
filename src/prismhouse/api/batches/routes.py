"""Routes of batches."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Query, Request, Response

from prismhouse.api.batches.reports.routes import of_batch
from prismhouse.api.batches.schemas import (
    AddObjects,
    CreateBatch,
    ListBatches,
    PatchBatch,
    SubmitBatch,
    TriggerCollection,
)
from prismhouse.api.batches.service.batches import Batches
from prismhouse.api.batches.service.moments import Seen
from prismhouse.api.batches.service.watch import Watching
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.api.web.streams import EventStreams, asks_for_events
from prismhouse.kit.clock import iso

__all__ = ["routes"]

_BUCKET: list[Any] = ["Bucket Batches"]
_ALL: list[Any] = ["Batches"]
_AT = "/v1/buckets/{bucket_identifier}/batches"


def routes(
    service: Batches, callers: Callers, *, watching: Watching | None = None, streams: EventStreams | None = None
) -> APIRouter:
    """Return the router of batches. With `watching` and `streams`, a batch is also read as a stream of events."""
    router = APIRouter()
    _writing(router, service, callers)
    _reading(router, service, callers)
    _reading_one(router, service, callers, _Live(watching, streams) if watching and streams else None)
    return router


class _Live:
    """A batch as events, for who asks for them."""

    def __init__(self, watching: Watching, streams: EventStreams) -> None:
        self._watching = watching
        self._streams = streams

    async def answer(self, request: Request, caller: NamespaceCaller, batch_id: str, bucket: str | None) -> Response:
        """Return the stream; 204, which tells a browser not to come again, when the client has seen the end."""
        moment = await self._watching.find(caller.scope, batch_id, bucket=bucket)
        seen = Seen.of(request.headers.get("last-event-id"))
        if moment.batch.is_terminal and moment.seen == seen:
            return Response(status_code=204)
        return self._streams.answer(
            lambda: self._watching.events(caller.namespace_id, moment, seen=seen),
            organization_id=caller.caller.organization_id,
        )


def _writing(router: APIRouter, service: Batches, callers: Callers) -> None:
    @router.post(
        _AT,
        operation_id="create_batch_buckets_batches",
        summary="Create Batch",
        tags=_BUCKET,
        openapi_extra=body_schema(CreateBatch),
    )
    async def create(
        bucket_identifier: str,
        skip_validation: bool = False,
        auto_submit: bool | None = None,
        trigger_processing: bool | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: CreateBatch = Depends(body_of(CreateBatch)),
    ) -> Answer:
        query = {"skip_validation": skip_validation}
        asked = auto_submit if auto_submit is not None else trigger_processing
        if asked is not None:
            query["auto_submit"] = asked
        return answer(await service.create(caller, bucket_identifier, body, **query))

    @router.post(
        f"{_AT}/{{batch_id}}/objects",
        operation_id="add_objects_to_batch_buckets_batches",
        summary="Add Objects To Batch",
        tags=_BUCKET,
        openapi_extra=body_schema(AddObjects),
    )
    async def add_objects(
        bucket_identifier: str,
        batch_id: str,
        skip_validation: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: AddObjects = Depends(body_of(AddObjects)),
    ) -> Answer:
        return answer(
            await service.add_objects(
                caller.scope, bucket_identifier, batch_id, body.object_ids, check=not skip_validation
            )
        )

    @router.post(
        f"{_AT}/{{batch_id}}/submit",
        operation_id="submit_batch_buckets_batches",
        summary="Submit Batch",
        tags=_BUCKET,
        openapi_extra=body_schema(SubmitBatch, required=False),
    )
    async def submit(
        bucket_identifier: str,
        batch_id: str,
        force: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: SubmitBatch = Depends(body_of(SubmitBatch)),
    ) -> Answer:
        return answer(await service.submit(caller.scope, bucket_identifier, batch_id, body, force=force))

    @router.post(
        f"{_AT}/{{batch_id}}/cancel",
        operation_id="cancel_batch_buckets_batches",
        summary="Cancel Batch",
        tags=_BUCKET,
    )
    async def cancel(
        bucket_identifier: str,
        batch_id: str,
        reason: str | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
    ) -> Answer:
        return answer(await service.cancel(caller.scope, batch_id, bucket=bucket_identifier, reason=reason))

    @router.patch(
        f"{_AT}/{{batch_id}}",
        operation_id="patch_batch_buckets_batches",
        summary="Patch Batch",
        tags=_BUCKET,
        openapi_extra=body_schema(PatchBatch),
    )
    async def patch(
        bucket_identifier: str,
        batch_id: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: PatchBatch = Depends(body_of(PatchBatch)),
    ) -> Answer:
        metadata = body.metadata.model_dump(exclude_none=True) if body.metadata is not None else None
        return answer(await service.patch(caller.scope, bucket_identifier, batch_id, metadata))

    @router.delete(
        f"{_AT}/{{batch_id}}",
        operation_id="delete_batch_buckets_batches",
        summary="Delete Batch",
        tags=_BUCKET,
    )
    async def delete(
        bucket_identifier: str,
        batch_id: str,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
    ) -> Answer:
        await service.delete(caller.scope, bucket_identifier, batch_id)
        return answer({"message": f"Batch {batch_id} was deleted; its documents stay.", "success": True})

    @router.post(
        "/v1/collections/{collection_identifier}/trigger",
        operation_id="trigger_collection",
        summary="Trigger Collection Processing",
        tags=["Collections"],
        status_code=202,
        openapi_extra=body_schema(TriggerCollection, required=False),
    )
    async def trigger(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: TriggerCollection = Depends(body_of(TriggerCollection)),
    ) -> Answer:
        return answer(await service.trigger(caller, collection_identifier, body), 202)


def _reading(router: APIRouter, service: Batches, callers: Callers) -> None:
    async def listed(request: Request, caller: NamespaceCaller, body: ListBatches, bucket: str | None) -> Answer:
        page = page_of(request, body)
        rows, total, cursor = await service.list_batches(caller, body, page, bucket=bucket)
        return answer(
            {
                "results": rows,
                "total_count": total,
                "pagination": pagination(page, total=total, next_cursor=cursor),
            }
        )

    @router.post(
        f"{_AT}/list",
        operation_id="list_batches_buckets",
        summary="List Batches",
        tags=_BUCKET,
        openapi_extra=body_schema(ListBatches, required=False),
    )
    async def list_of_bucket(
        request: Request,
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
        body: ListBatches = Depends(body_of(ListBatches)),
    ) -> Answer:
        return await listed(request, caller, body, bucket_identifier)

    @router.get(
        f"{_AT}/{{batch_id}}/failed-documents",
        operation_id="get_failed_documents_buckets_batches_batch",
        summary="Get Failed Documents",
        tags=_BUCKET,
    )
    async def failed_documents(
        bucket_identifier: str,
        batch_id: str,
        tier_num: int | None = Query(None, ge=0),
        collection_id: str | None = None,
        limit: int = Query(100, ge=1, le=1000),
        offset: int = Query(0, ge=0),
        caller: NamespaceCaller = Depends(callers.namespace("read")),
    ) -> Answer:
        rows, total = await service.failed_rows(
            caller.scope,
            bucket_identifier,
            batch_id,
            tier=tier_num,
            collection_id=collection_id,
            limit=limit,
            offset=offset,
        )
        results = [_failed(row) for row in rows]
        return answer({"batch_id": batch_id, "results": results, "total": total, "limit": limit, "offset": offset})


def _reading_one(router: APIRouter, service: Batches, callers: Callers, live: _Live | None) -> None:
    async def read(request: Request, caller: NamespaceCaller, batch_id: str, bucket: str | None = None) -> Response:
        if live is not None and asks_for_events(request):
            return await live.answer(request, caller, batch_id, bucket)
        return answer(await service.read(caller.scope, batch_id, bucket=bucket), headers={"Vary": "Accept"})

    @router.get(f"{_AT}/{{batch_id}}", operation_id="get_batch_buckets_batches", summary="Get Batch", tags=_BUCKET)
    async def get(
        request: Request,
        bucket_identifier: str,
        batch_id: str,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
    ) -> Response:
        return await read(request, caller, batch_id, bucket_identifier)

    @router.get("/v1/batches/{batch_id}", operation_id="get_batch_by_id_batches", summary="Get Batch By Id", tags=_ALL)
    async def get_by_id(
        request: Request, batch_id: str, caller: NamespaceCaller = Depends(of_batch(callers, service.locate, "read"))
    ) -> Response:
        return await read(request, caller, batch_id)


def _failed(row: Any) -> dict[str, Any]:
    return {
        "object_id": row["object_id"],
        "document_id": row["document_id"],
        "collection_id": row["collection_id"],
        "tier_num": row["tier"],
        "partial": row["part"] > 0,
        "stage": row["stage"],
        "code": row["code"],
        "error": row["message"],
        "error_type": row["error_type"],
        "attempts": row["attempts"],
        "retry_count": row["retry_count"],
        "created_at": iso(row["created_at"]),
    }
