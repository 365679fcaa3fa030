"""Routes of buckets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, Request

from prismhouse.api.buckets.schemas import UNSERVED, CreateBucket, ListBuckets, UpdateBucket
from prismhouse.api.buckets.service import BucketRow, Buckets
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.api.web.paging import page_of, pagination
from prismhouse.kit.clock import iso

__all__ = ["routes"]

_TAGS: list[Any] = ["Buckets"]
_SECRET = ("secret", "token", "password", "credential", "private")


def routes(service: Buckets, callers: Callers) -> APIRouter:
    """Return the router of buckets."""
    router = APIRouter(tags=_TAGS)

    async def listed(request: Request, caller: NamespaceCaller, body: ListBuckets) -> Answer:
        page = page_of(request, body)
        rows, total, cursor = await service.list(caller.scope, body, page)
        return answer(
            {
                "results": [shown(row) for row in rows],
                "total_count": total,
                "pagination": pagination(page, total=total, next_cursor=cursor),
                "stats": _stats(rows),
            }
        )

    @router.post(
        "/v1/buckets", operation_id="create_bucket", summary="Create Bucket", openapi_extra=body_schema(CreateBucket)
    )
    async def create(
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: CreateBucket = Depends(body_of(CreateBucket)),
    ) -> Answer:
        return answer(shown(await service.create(caller.scope, body)))

    @router.get("/v1/buckets", operation_id="list_buckets_get", summary="List Buckets")
    async def list_get(
        request: Request, search: str | None = None, caller: NamespaceCaller = Depends(callers.namespace("read"))
    ) -> Answer:
        return await listed(request, caller, ListBuckets(search=search))

    @router.post(
        "/v1/buckets/list",
        operation_id="list_buckets",
        summary="List Buckets",
        openapi_extra=body_schema(ListBuckets, required=False),
    )
    async def list_post(
        request: Request,
        caller: NamespaceCaller = Depends(callers.namespace("read")),
        body: ListBuckets = Depends(body_of(ListBuckets)),
    ) -> Answer:
        return await listed(request, caller, body)

    @router.get("/v1/buckets/{bucket_identifier}", operation_id="get_bucket", summary="Get Bucket")
    async def get(bucket_identifier: str, caller: NamespaceCaller = Depends(callers.namespace("read"))) -> Answer:
        return answer(shown(await service.read(caller.scope, bucket_identifier)))

    @router.patch(
        "/v1/buckets/{bucket_identifier}",
        operation_id="patch_bucket",
        summary="Partially Update Bucket",
        openapi_extra=body_schema(UpdateBucket),
    )
    async def patch(
        bucket_identifier: str,
        force_schema_break: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: UpdateBucket = Depends(body_of(UpdateBucket)),
    ) -> Answer:
        row = await service.update(caller.scope, bucket_identifier, body, force_schema_break=force_schema_break)
        return answer(shown(row))

    @router.put(
        "/v1/buckets/{bucket_identifier}",
        operation_id="update_bucket",
        summary="Update Bucket",
        openapi_extra=body_schema(UpdateBucket),
    )
    async def put(
        bucket_identifier: str,
        force_schema_break: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: UpdateBucket = Depends(body_of(UpdateBucket)),
    ) -> Answer:
        row = await service.update(caller.scope, bucket_identifier, body, force_schema_break=force_schema_break)
        return answer(shown(row))

    @router.delete("/v1/buckets/{bucket_identifier}", operation_id="delete_bucket", summary="Delete Bucket")
    async def delete(
        bucket_identifier: str,
        force_foreclose: bool = False,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
    ) -> Answer:
        row, task_id = await service.delete(caller.scope, bucket_identifier, force=force_foreclose)
        return answer(
            {
                "task_id": task_id,
                "status": "PENDING",
                "bucket_id": row.bucket_id,
                "bucket_name": row.bucket_name,
                "object_count": row.object_count,
                "message": f"Bucket {row.bucket_name} is being deleted. Poll GET /v1/tasks/{task_id}. Collections fed "
                "by it keep their documents until you delete them.",
            }
        )

    return router


def shown(row: BucketRow) -> dict[str, Any]:
    """Return a bucket as the API shows it; secrets of the source adapter stay inside."""
    adapter = row.config.get("source_adapter")
    if adapter:
        adapter = {name: value for name, value in adapter.items() if not _is_secret(name)}
    answered = {
        "bucket_id": row.bucket_id,
        "bucket_name": row.bucket_name,
        "description": row.description,
        "bucket_schema": row.bucket_schema,
        "unique_key": row.unique_key,
        "metadata": row.metadata,
        "storage_class": row.config.get("storage_class"),
        "destination": row.config.get("destination"),
        "ingest_filter": row.config.get("ingest_filter"),
        "object_count": row.object_count,
        "failed_object_count": row.failed_object_count,
        "total_size_bytes": row.size_bytes,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "last_upload_at": iso(row.last_upload_at),
        "stats_updated_at": iso(row.stats_updated_at),
        "status": row.status,
        "is_locked": row.is_locked,
        "batch_stats": asdict(row.batches),
        "storage_stats": None,
        "source_adapter": adapter,
    }
    if unserved := [name for name in UNSERVED if row.config.get(name)]:
        answered["warnings"] = [f"{name} is kept but has no effect in this version." for name in unserved]
    return answered


def _is_secret(name: str) -> bool:
    return name == "connection" or any(word in name.lower() for word in _SECRET)


def _stats(rows: list[BucketRow]) -> dict[str, Any]:
    objects, size_bytes, count = sum(r.object_count for r in rows), sum(r.size_bytes for r in rows), len(rows) or 1
    return {
        "total_objects": objects,
        "total_size_bytes": size_bytes,
        "avg_objects_per_bucket": objects / count,
        "avg_size_per_bucket": size_bytes / count,
    }
