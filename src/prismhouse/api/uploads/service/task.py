"""The job behind confirmations that nobody waits for: its task has the result of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from prismhouse.api.buckets.service import BucketNotFound, Buckets
from prismhouse.api.tasks.model import TERMINAL
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.uploads.errors import reason_of
from prismhouse.api.uploads.service.look import Claim
from prismhouse.api.uploads.service.settle import Outcome, Plan, Settlement
from prismhouse.api.uploads.store import confirm as store
from prismhouse.api.web.caller import Actor, Scope
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId, OrganizationId, TaskId
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["ConfirmationJob"]

_log = structlog.get_logger(__name__)


class ConfirmationJob:
    """Confirms uploads, and writes the results to the task in the same transaction."""

    def __init__(self, db: Database, *, buckets: Buckets, tasks: Tasks, settlement: Settlement) -> None:
        self._db = db
        self._buckets = buckets
        self._tasks = tasks
        self._settlement = settlement

    async def run(self, **arguments: Any) -> None:
        """Confirm, whatever an earlier try has done; raise what should be tried again."""
        await self._run(arguments, tolerant=False)

    async def give_up(self, error: BaseException, **arguments: Any) -> None:
        """Confirm what can be confirmed without the files that storage does not give, or say why nothing can."""
        try:
            await self._run(arguments, tolerant=True)
        except Exception as last:  # noqa: BLE001 - recorded in the task
            _log.warning("uploads cannot be confirmed", task_id=arguments["task_id"], exc_info=last)
            reason = reason_of(error) if isinstance(error, WarehouseError) else f"{type(error).__name__}: {error}"
        else:
            return
        ids = [claim["upload_id"] for claim in arguments["claims"]]
        async with self._db.write() as tx:
            await store.put_back(tx.within(NamespaceId(arguments["namespace_id"])), ids, reason)
            await self._tasks.update(tx, TaskId(arguments["task_id"]), status="FAILED", error=reason)

    async def _run(self, arguments: Mapping[str, Any], *, tolerant: bool) -> None:
        namespace_id, task_id = NamespaceId(arguments["namespace_id"]), TaskId(arguments["task_id"])
        scope = Scope(
            organization_id=OrganizationId(arguments["organization_id"]),
            namespace_id=namespace_id,
            actor=Actor(**arguments["actor"]),
        )
        claims = [Claim(**claim) for claim in arguments["claims"]]
        async with self._db.write() as tx:
            try:
                bucket = await self._buckets.resolve(tx.within(namespace_id), arguments["bucket_id"])
            except BucketNotFound as error:
                await self._tasks.update(tx, task_id, status="FAILED", error=reason_of(error))
                return
            task = await self._tasks.seen(tx, scope.organization_id, task_id)
            if task["status"] in TERMINAL:  # a worker that died after its commit leaves its job to be run again
                return
            await self._tasks.update(tx, task_id, status="IN_PROGRESS")

        async def finish(tx: NamespaceWriter, outcomes: Sequence[Outcome]) -> None:
            await self._finish(tx, task_id, outcomes, single=arguments["single"])

        plan = Plan(
            policy=arguments["policy"],
            submits=arguments["submits"],
            task_id=task_id,
            tolerant=tolerant,
            finish=finish,
        )
        await self._settlement.settle(scope, bucket, claims, plan)

    async def _finish(self, tx: NamespaceWriter, task_id: TaskId, outcomes: Sequence[Outcome], *, single: bool) -> None:
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        refused = [outcome for outcome in outcomes if outcome.refusal is not None]
        status = "COMPLETED_WITH_ERRORS" if failed or refused else "COMPLETED"
        if len(failed) == len(outcomes):
            status = "FAILED"
        error: str | None = None
        data: dict[str, Any] = {"succeeded_count": len(outcomes) - len(failed), "failed_count": len(failed)}
        if single:
            data = _details(outcomes[0])
            fault = outcomes[0].error or outcomes[0].refusal
            error = None if fault is None else reason_of(fault)
        elif failed:
            error = f"{len(failed)} of {len(outcomes)} uploads were not confirmed; outputs name each with its reason"
        await self._tasks.update(
            tx.unscoped,
            task_id,
            status=status,
            outputs=[_output(outcome) for outcome in outcomes],
            additional_data=data,
            error=error,
        )


def _details(outcome: Outcome) -> dict[str, Any]:
    upload = outcome.upload
    named = {} if upload is None else {"object_id": upload.object_id, "batch_id": upload.batch_id}
    return {name: value for name, value in named.items() if value is not None}


def _output(outcome: Outcome) -> dict[str, Any]:
    """Return one result as the task lists it."""
    upload, fault = outcome.upload, outcome.error or outcome.refusal
    output: dict[str, Any] = {
        "upload_id": outcome.upload_id,
        "success": outcome.error is None,
        "status": "FAILED" if upload is None else upload.status.value,
        "object_id": None if upload is None else upload.object_id,
        "message": None if upload is None else upload.message,
        "error": None,
    }
    if fault is not None:
        output["error"] = {
            "code": fault.wire_code or fault.code.name.lower(),
            "type": fault.code.wire_type,
            "message": fault.message,
            "details": fault.details or None,
        }
    return output
