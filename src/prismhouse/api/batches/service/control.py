"""The verbs that steer batches: retry, resubmit, one tier, many batches, and what a batch wrote."""

from __future__ import annotations

from typing import Any

from prismhouse.api.batches.schemas import BulkSubmit, HealAction, ResubmitBatch, RetryBatch, RetryTier
from prismhouse.api.batches.service.bulk import bulk_submit, submit_all
from prismhouse.api.batches.service.create import By
from prismhouse.api.batches.service.heal import heal
from prismhouse.api.batches.service.parts import Parts
from prismhouse.api.batches.service.resubmit import resubmit
from prismhouse.api.batches.service.retry import retry
from prismhouse.api.batches.service.stop import outcome_of
from prismhouse.api.batches.service.tier_control import cancel_job, cancel_tier, retry_tier
from prismhouse.api.batches.service.unwrite import JOB, delete_documents, delete_rest
from prismhouse.api.web.caller import NamespaceCaller, Scope
from prismhouse.kit.ids import NamespaceId

__all__ = ["Control"]


class Control:
    """Steer batches of one bucket: each verb is one transaction, but for those that say otherwise."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        parts.queue.register(JOB, self._delete_rest)

    async def retry(self, scope: Scope, bucket: str, batch_id: str, request: RetryBatch) -> dict[str, Any]:
        """Run the rows that failed once more."""
        async with self._parts.db.write() as unit:
            return await retry(self._parts, unit.within(scope.namespace_id), batch_id, request, bucket=bucket)

    async def resubmit(
        self, scope: Scope, bucket: str, batch_id: str, request: ResubmitBatch, **query: Any
    ) -> dict[str, Any]:
        """Make a batch that has ended a draft again and submit it; `query` wins over the body."""
        asked = [query.get("auto_submit"), request.auto_submit]
        old = [query.get("trigger_processing"), request.trigger_processing]
        auto = next((value for value in (*asked, *old) if value is not None), True)
        from_query = query.get("from_tier")
        from_tier = from_query if from_query is not None else request.from_tier
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            return await resubmit(self._parts, tx, batch_id, bucket=bucket, from_tier=from_tier, auto_submit=auto)

    async def retry_tier(
        self, scope: Scope, bucket: str, batch_id: str, tier: int, request: RetryTier
    ) -> dict[str, Any]:
        """Run what a tier did not do, and what follows from it."""
        async with self._parts.db.write() as unit:
            tx, priority = unit.within(scope.namespace_id), request.priority
            answer = await retry_tier(self._parts, tx, batch_id, tier, bucket=bucket, priority=priority)
        ignored = request.model_dump(exclude_none=True, exclude={"priority"})
        return {**answer, "ignored_overrides": sorted(ignored)}

    async def cancel_tier(
        self, scope: Scope, bucket: str, batch_id: str, tier: int, *, reason: str | None = None
    ) -> dict[str, Any]:
        """Stop one tier; what the others can do with what is there, they do."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            stopped = await cancel_tier(self._parts, tx, batch_id, tier, bucket=bucket, reason=reason)
        outcome = await outcome_of(self._parts, scope.namespace_id, batch_id, stopped)
        return {
            "batch_id": batch_id,
            "tier_num": tier,
            "status": "CANCELED",
            "cancellation": outcome,
            "message": f"Tier {tier} was cancelled; its documents stay.",
        }

    async def cancel_job(
        self, scope: Scope, bucket: str, batch_id: str, tier: int, job: str, *, reason: str | None = None
    ) -> dict[str, Any]:
        """Stop one extractor job of a tier; the others of the tier go on."""
        async with self._parts.db.write() as unit:
            tx = unit.within(scope.namespace_id)
            stopped, name = await cancel_job(self._parts, tx, batch_id, tier, job, bucket=bucket, reason=reason)
        outcome = await outcome_of(self._parts, scope.namespace_id, batch_id, stopped)
        return {
            "batch_id": batch_id,
            "tier_num": tier,
            "ray_job_id": job,
            "collection_id": name,
            "status": "CANCELED",
            "cancellation": outcome,
            "message": f"The extraction of {name} was cancelled; its documents stay.",
        }

    async def heal(self, scope: Scope, bucket: str, batch_id: str, tier: int, action: HealAction) -> dict[str, Any]:
        """Look for one kind of trouble in a tier and put it right."""
        async with self._parts.db.write() as unit:
            return await heal(self._parts, unit.within(scope.namespace_id), batch_id, tier, action, bucket=bucket)

    async def delete_documents(self, scope: Scope, bucket: str, batch_id: str) -> dict[str, Any]:
        """Delete what a batch that has ended wrote: a part in each transaction."""
        return await delete_documents(
            self._parts, scope.namespace_id, batch_id, bucket=bucket, principal=scope.principal_id
        )

    async def bulk_submit(self, caller: NamespaceCaller, bucket: str, request: BulkSubmit) -> dict[str, Any]:
        """Send a whole bucket through its collections, in batches."""
        who = caller.caller
        by = By(organization_id=who.organization_id, key_id=who.key_id, key_prefix=who.key_prefix)
        async with self._parts.db.write() as unit:
            tx = unit.within(caller.namespace_id)
            row = await self._parts.buckets.resolve(tx, bucket)
            await self._parts.buckets.open_for_writes(tx, row.bucket_id)
            return await bulk_submit(self._parts, tx, row, request, by=by)

    async def submit_all(self, scope: Scope, bucket: str) -> dict[str, Any]:
        """Submit the drafts of a bucket, each in a transaction of its own."""
        return await submit_all(self._parts, scope.namespace_id, bucket)

    async def _delete_rest(self, *, namespace_id: NamespaceId, batch_id: str, principal_id: str | None = None) -> None:
        await delete_rest(self._parts, namespace_id=namespace_id, batch_id=batch_id, principal_id=principal_id)
