"""Confirming uploads: at once, or by a job with a task to ask about. settle.py does the work of both."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import BucketNotActive, BucketRow, Buckets
from prismhouse.api.objects.service import Objects
from prismhouse.api.tasks.service import Tasks
from prismhouse.api.uploads.errors import BatchNotSubmitted, UploadNotFound, reason_of
from prismhouse.api.uploads.model import Upload, UploadStatus
from prismhouse.api.uploads.schemas import ConfirmUpload, ConfirmUploads
from prismhouse.api.uploads.service.look import Claim, Looking
from prismhouse.api.uploads.service.settle import Outcome, Plan, Settlement, checked_policy
from prismhouse.api.uploads.service.task import ConfirmationJob
from prismhouse.api.uploads.store import confirm as store
from prismhouse.api.uploads.store import rows
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.storable import unstorable
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import Invalid
from prismhouse.kit.ids import TaskId
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["BATCH_TASK", "CONFIRM_JOB", "TASK", "Confirmation"]

CONFIRM_JOB = "uploads.confirm"
TASK = "api_buckets_uploads_confirm"
BATCH_TASK = "api_buckets_uploads_batch_confirm"


class Confirmation:
    """What a user asks for, and the job behind it."""

    def __init__(
        self,
        db: Database,
        *,
        buckets: Buckets,
        objects: Objects,
        tasks: Tasks,
        jobs: JobQueue,
        looking: Looking,
        settlement: Settlement,
        sync_bytes: int,
    ) -> None:
        self._db = db
        self._buckets = buckets
        self._objects = objects
        self._tasks = tasks
        self._jobs = jobs
        self._looking = looking
        self._settlement = settlement
        self._sync_bytes = sync_bytes
        job = ConfirmationJob(db, buckets=buckets, tasks=tasks, settlement=settlement)
        jobs.register(CONFIRM_JOB, job.run, on_give_up=job.give_up)

    async def one(
        self,
        scope: Scope,
        upload_id: str,
        request: ConfirmUpload,
        *,
        identifier: str | None,
        policy: Policy | None,
        asynchronous: bool,
    ) -> Upload:
        """Confirm one upload, or have a job do it: then it is PROCESSING, and its task tells the rest.

        Raises why it is not confirmed; what was settled before is the answer again.
        """
        _refuse_unstorable(request)
        bucket, upload = await self._found(scope, upload_id, identifier)
        if upload.status in {UploadStatus.COMPLETED, UploadStatus.PROCESSING}:
            return upload
        _check_active(bucket)
        if upload.create_object_on_confirm:
            checked_policy(bucket, policy)
        if request.auto_submit_batch:
            self._objects.processing(True)
        claim = Claim(upload_id=upload.upload_id, etag=request.etag, file_size_bytes=request.file_size_bytes)
        if asynchronous or (_is_open(upload) and await self._looking.size_of(upload) >= self._sync_bytes):
            begun = await self._enqueue_one(scope, bucket, upload, claim, policy, request.auto_submit_batch)
            if begun is not None:
                return begun
        plan = Plan(policy=policy, submits=request.auto_submit_batch)
        outcome = (await self._settlement.settle(scope, bucket, [claim], plan))[0]
        return _answered(outcome)

    async def many(
        self, scope: Scope, identifier: str, request: ConfirmUploads, *, policy: Policy | None
    ) -> dict[str, Any]:
        """Have a job confirm uploads of a bucket; return its task."""
        _refuse_unstorable(request)
        async with self._db.read() as tx:
            bucket = await self._buckets.resolve(tx.within(scope.namespace_id), identifier)
        _check_active(bucket)
        checked_policy(bucket, policy)
        claims = [Claim(**item.model_dump()) for item in request.confirmations]
        async with self._db.write() as tx:
            task_id = await self._tasks.create(
                tx,
                organization_id=scope.organization_id,
                namespace_id=scope.namespace_id,
                task_type=BATCH_TASK,
                inputs=[claim.upload_id for claim in claims],
                additional_data={
                    "bucket_id": bucket.bucket_id,
                    "namespace_id": scope.namespace_id,
                    "confirmations_count": len(claims),
                },
                description=f"Confirm {len(claims)} upload{'s' * (len(claims) > 1)} to bucket {bucket.bucket_name}",
            )
            await self._begin(tx.within(scope.namespace_id), bucket, claims, task_id)
            await self._enqueue(tx.within(scope.namespace_id), scope, bucket, claims, task_id, policy, submits=False)
            return await self._tasks.seen(tx, scope.organization_id, task_id)

    async def _enqueue_one(
        self, scope: Scope, bucket: BucketRow, upload: Upload, claim: Claim, policy: Policy | None, submits: bool
    ) -> Upload | None:
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            task_id = TaskId(str(uuid.uuid4()))
            begun = await self._begin(scoped, bucket, [claim], task_id)
            if not begun:
                return None
            await self._tasks.create(
                tx,
                task_id=task_id,
                organization_id=scope.organization_id,
                namespace_id=scope.namespace_id,
                task_type=TASK,
                inputs=[{"bucket_id": bucket.bucket_id, "upload_id": upload.upload_id}],
                additional_data={
                    "bucket_id": bucket.bucket_id,
                    "namespace_id": scope.namespace_id,
                    "upload_id": upload.upload_id,
                },
                description=f"Confirm upload {upload.filename} to bucket {bucket.bucket_name}",
            )
            await self._enqueue(scoped, scope, bucket, [claim], task_id, policy, submits=submits, single=True)
            return begun[upload.upload_id]

    async def _begin(
        self, tx: NamespaceWriter, bucket: BucketRow, claims: Sequence[Claim], task_id: TaskId
    ) -> dict[str, Upload]:
        ids = list(dict.fromkeys(claim.upload_id for claim in claims))
        return await store.begin(tx, bucket.bucket_id, ids, to=UploadStatus.PROCESSING, task_id=task_id)

    async def _enqueue(
        self,
        tx: NamespaceWriter,
        scope: Scope,
        bucket: BucketRow,
        claims: Sequence[Claim],
        task_id: TaskId,
        policy: Policy | None,
        *,
        submits: bool,
        single: bool = False,
    ) -> None:
        job = {
            "organization_id": scope.organization_id,
            "namespace_id": scope.namespace_id,
            "actor": asdict(scope.actor),
            "bucket_id": bucket.bucket_id,
            "task_id": task_id,
            "claims": [asdict(claim) for claim in claims],
            "policy": policy,
            "submits": submits,
            "single": single,
        }
        await self._jobs.enqueue(tx.unscoped, CONFIRM_JOB, [job])

    async def _found(self, scope: Scope, upload_id: str, identifier: str | None) -> tuple[BucketRow, Upload]:
        async with self._db.read() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket = None if identifier is None else await self._buckets.resolve(scoped, identifier)
            upload = None
            if "\x00" not in upload_id:
                upload = await rows.find(scoped, upload_id, bucket_id=None if bucket is None else bucket.bucket_id)
            if upload is None:
                raise UploadNotFound(resource="upload", id=upload_id)
            return bucket or await self._buckets.resolve(scoped, upload.bucket_id), upload


def _is_open(upload: Upload) -> bool:
    """Say whether a file may be there to be confirmed."""
    if upload.status is UploadStatus.FAILED:
        return upload.expires_at > utc_now()
    return upload.status in {UploadStatus.PENDING, UploadStatus.IN_PROGRESS}


def _check_active(bucket: BucketRow) -> None:
    if bucket.status != "ACTIVE" or bucket.is_locked:
        raise BucketNotActive(bucket_id=bucket.bucket_id, status="LOCKED" if bucket.is_locked else bucket.status)


def _refuse_unstorable(request: ConfirmUpload | ConfirmUploads) -> None:
    if faults := unstorable(request.model_dump(), ["body"]):
        raise Invalid(faults)


def _answered(outcome: Outcome) -> Upload:
    if outcome.refusal is not None and outcome.upload is not None:
        raise BatchNotSubmitted(
            upload_id=outcome.upload_id,
            object_id=outcome.upload.object_id,
            batch_id=outcome.upload.batch_id,
            reason=reason_of(outcome.refusal),
        ) from outcome.refusal
    busy = outcome.upload is not None and outcome.upload.status is UploadStatus.PROCESSING
    if outcome.error is not None and not busy:
        raise outcome.error
    if outcome.upload is None:
        raise UploadNotFound(resource="upload", id=outcome.upload_id)
    return outcome.upload
