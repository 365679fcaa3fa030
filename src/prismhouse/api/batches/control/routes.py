"""Routes that steer batches."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Path, Query

from prismhouse.api.batches.schemas import BulkSubmit, HealTier, ResubmitBatch, RetryBatch, RetryTier
from prismhouse.api.batches.service.control import Control
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller

__all__ = ["routes"]

_TAGS: list[Any] = ["Bucket Batches"]
_AT = "/v1/buckets/{bucket_identifier}/batches"
_ONE = f"{_AT}/{{batch_id}}"
_TIER = f"{_ONE}/tiers/{{tier_num}}"
_MOST_TIERS = 32_767


def routes(service: Control, callers: Callers) -> APIRouter:
    """Return the router of what steers batches."""
    router = APIRouter()
    _many(router, service, callers)
    _one(router, service, callers)
    _tiers(router, service, callers)
    return router


def _many(router: APIRouter, service: Control, callers: Callers) -> None:
    @router.post(
        f"{_AT}/bulk-submit",
        operation_id="bulk_submit_batches_buckets",
        summary="Bulk Submit Batches",
        tags=_TAGS,
        openapi_extra=body_schema(BulkSubmit, required=False),
    )
    async def bulk_submit(
        bucket_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: BulkSubmit = Depends(body_of(BulkSubmit)),
    ) -> Answer:
        return answer(await service.bulk_submit(caller, bucket_identifier, body))

    @router.post(
        f"{_AT}/submit-all",
        operation_id="submit_all_drafts_buckets_batches",
        summary="Submit All Drafts",
        tags=_TAGS,
    )
    async def submit_all(
        bucket_identifier: str, caller: NamespaceCaller = Depends(callers.namespace("write"))
    ) -> Answer:
        return answer(await service.submit_all(caller.scope, bucket_identifier))


def _one(router: APIRouter, service: Control, callers: Callers) -> None:
    @router.post(
        f"{_ONE}/retry",
        operation_id="retry_batch_buckets_batches",
        summary="Retry Failed Documents",
        tags=_TAGS,
        openapi_extra=body_schema(RetryBatch),
    )
    async def retry(
        bucket_identifier: str,
        batch_id: str,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: RetryBatch = Depends(body_of(RetryBatch)),
    ) -> Answer:
        return answer(await service.retry(caller.scope, bucket_identifier, batch_id, body))

    @router.post(
        f"{_ONE}/resubmit",
        operation_id="resubmit_batch_buckets_batches",
        summary="Resubmit Batch",
        tags=_TAGS,
        openapi_extra=body_schema(ResubmitBatch, required=False),
    )
    async def resubmit(
        bucket_identifier: str,
        batch_id: str,
        from_tier: int | None = Query(None, ge=0, le=_MOST_TIERS),
        auto_submit: bool | None = None,
        trigger_processing: bool | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: ResubmitBatch = Depends(body_of(ResubmitBatch)),
    ) -> Answer:
        query = {"from_tier": from_tier, "auto_submit": auto_submit, "trigger_processing": trigger_processing}
        return answer(await service.resubmit(caller.scope, bucket_identifier, batch_id, body, **query))

    @router.delete(
        f"{_ONE}/documents",
        operation_id="delete_batch_documents_buckets_batches",
        summary="Delete Batch Documents",
        tags=_TAGS,
    )
    async def delete_documents(
        bucket_identifier: str,
        batch_id: str,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
    ) -> Answer:
        return answer(await service.delete_documents(caller.scope, bucket_identifier, batch_id))


def _tiers(router: APIRouter, service: Control, callers: Callers) -> None:
    @router.post(
        f"{_TIER}/retry",
        operation_id="retry_tier_buckets_batches_batch_id_num",
        summary="Retry Tier",
        tags=_TAGS,
        openapi_extra=body_schema(RetryTier, required=False),
    )
    async def retry_tier(
        bucket_identifier: str,
        batch_id: str,
        tier_num: int = Path(ge=0, le=_MOST_TIERS),
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: RetryTier = Depends(body_of(RetryTier)),
    ) -> Answer:
        return answer(await service.retry_tier(caller.scope, bucket_identifier, batch_id, tier_num, body))

    @router.post(
        f"{_TIER}/cancel",
        operation_id="cancel_tier_buckets_batches_batch_id_num",
        summary="Cancel Tier",
        tags=_TAGS,
    )
    async def cancel_tier(
        bucket_identifier: str,
        batch_id: str,
        tier_num: int = Path(ge=0, le=_MOST_TIERS),
        reason: str | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
    ) -> Answer:
        return answer(await service.cancel_tier(caller.scope, bucket_identifier, batch_id, tier_num, reason=reason))

    @router.post(
        f"{_TIER}/heal",
        operation_id="heal_tier_buckets_batches_batch_id_num",
        summary="Heal Tier",
        tags=_TAGS,
        openapi_extra=body_schema(HealTier),
    )
    async def heal(
        bucket_identifier: str,
        batch_id: str,
        tier_num: int = Path(ge=0, le=_MOST_TIERS),
        caller: NamespaceCaller = Depends(callers.namespace("write")),
        body: HealTier = Depends(body_of(HealTier)),
    ) -> Answer:
        return answer(await service.heal(caller.scope, bucket_identifier, batch_id, tier_num, body.action))

    @router.post(
        f"{_TIER}/jobs/{{ray_job_id}}/cancel",
        operation_id="cancel_job_buckets_batches_batch_id_tiers_num_ray",
        summary="Cancel Extractor Job",
        tags=_TAGS,
    )
    async def cancel_job(
        bucket_identifier: str,
        batch_id: str,
        ray_job_id: str,
        tier_num: int = Path(ge=0, le=_MOST_TIERS),
        reason: str | None = None,
        caller: NamespaceCaller = Depends(callers.namespace("write")),
    ) -> Answer:
        return answer(
            await service.cancel_job(caller.scope, bucket_identifier, batch_id, tier_num, ray_job_id, reason=reason)
        )
