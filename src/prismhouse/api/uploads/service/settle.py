"""The one way in which uploads are confirmed, 1 to 100 at once: claim, look, adopt, and one transaction for all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from prismhouse.api.buckets.schemas import Policy
from prismhouse.api.buckets.service import BucketGone, BucketNotActive, BucketNotFound, BucketRow, Buckets
from prismhouse.api.objects.service import Created, Objects
from prismhouse.api.uploads.errors import StorageFailed
from prismhouse.api.uploads.model import Upload, UploadStatus
from prismhouse.api.uploads.service.look import Claim, Looked, Looking, hash_fault
from prismhouse.api.uploads.service.outcome import Outcome, Work, ended, filled_of, result_of
from prismhouse.api.uploads.store import confirm as store
from prismhouse.api.uploads.store import rows
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["Outcome", "Plan", "Settlement", "checked_policy"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How claims are settled.

    Args:
        policy: how a unique key is written.
        creates: False where the caller makes the object himself.
        submits: whether new objects are sent through a batch at once.
        task_id: the task whose job this is; None while a request waits.
        tolerant: whether a storage that does not answer for a file fails that claim alone, and not the whole.
        finish: called in the transaction that settles everything.
    """

    policy: Policy | None = None
    creates: bool = True
    submits: bool = False
    task_id: str | None = None
    tolerant: bool = False
    finish: Callable[[NamespaceWriter, Sequence[Outcome]], Awaitable[None]] | None = None


@dataclass(slots=True, kw_only=True)
class _Round:
    """Everything of one call."""

    scope: Scope
    bucket: BucketRow
    plan: Plan
    policy: Policy | None
    claims: Sequence[Claim]
    settled: dict[str, Outcome] = field(default_factory=dict)
    works: list[Work] = field(default_factory=list)
    generation: int = 0

    @property
    def ready(self) -> list[Work]:
        return [work for work in self.works if work.error is None]

    @property
    def adopted(self) -> list[str]:
        return [work.looked.stored.sha256 for work in self.works if work.looked is not None]

    def outcomes(self) -> list[Outcome]:
        """In the order of the claims; one id has one outcome, however often it is named."""
        return [self.settled[claim.upload_id] for claim in self.claims]


class Settlement:
    """Confirms uploads. Nothing excludes anybody: the first transaction to commit wins, the others find it done."""

    def __init__(self, db: Database, *, buckets: Buckets, objects: Objects, looking: Looking) -> None:
        self._db = db
        self._buckets = buckets
        self._objects = objects
        self._looking = looking

    async def settle(self, scope: Scope, bucket: BucketRow, claims: Sequence[Claim], plan: Plan) -> list[Outcome]:
        """Confirm what can be confirmed; return what became of each claim, in order.

        Raises what storage or database raise, and then leaves every upload as one that may be confirmed again.
        """
        run = _Round(scope=scope, bucket=bucket, plan=plan, policy=_policy(bucket, plan), claims=claims)
        await self._begin(run)
        try:
            await self._look(run)
            await self._commit(run)
        except BaseException:
            await self._give_back(run)
            raise
        await self._discard(run)
        return run.outcomes()

    async def _begin(self, run: _Round) -> None:
        first: dict[str, Claim] = {}
        for claim in run.claims:
            first.setdefault(claim.upload_id, claim)
        known = [upload_id for upload_id in first if "\x00" not in upload_id]
        to = UploadStatus.IN_PROGRESS if run.plan.task_id is None else UploadStatus.PROCESSING
        async with self._db.write() as tx:
            scoped = tx.within(run.scope.namespace_id)
            begun = await store.begin(scoped, run.bucket.bucket_id, known, to=to, task_id=run.plan.task_id)
            rest = [upload_id for upload_id in known if upload_id not in begun]
            others = await rows.find_many(scoped, rest, bucket_id=run.bucket.bucket_id) if rest else {}
            run.generation = await self._objects.generation(scoped)
        for upload_id, claim in first.items():
            upload = begun.get(upload_id)
            if upload is None:
                run.settled[upload_id] = ended(upload_id, others.get(upload_id))
            else:
                run.works.append(self._work(run, len(run.works), claim, upload))

    def _work(self, run: _Round, index: int, claim: Claim, upload: Upload) -> Work:
        work = Work(index=index, claim=claim, upload=upload)
        if not run.plan.creates or not upload.create_object_on_confirm:
            return work
        try:
            checked_policy(run.bucket, run.policy)
            blob = {"property": upload.blob_property, "type": upload.blob_type, "upload_id": upload.upload_id}
            work.draft = self._objects.placement.draft(
                run.bucket,
                upload.object_metadata,
                index=index,
                blob=blob,
                skip_duplicates=upload.skip_duplicates,
                policy=run.policy,
            )
        except WarehouseError as error:
            work.error = error
        return work

    async def _look(self, run: _Round) -> None:
        works = run.ready
        found = await self._looking.all(run.scope.namespace_id, [(work.claim, work.upload) for work in works])
        fatal: BaseException | None = None
        for work, result in zip(works, found, strict=True):
            if isinstance(result, Looked):
                work.looked = result
                work.error = hash_fault(work.upload, result)
                if work.draft is not None:
                    self._objects.placement.fill(work.draft, filled_of(work.upload, result))
                continue
            fault: BaseException = result
            if isinstance(result, OSError):
                fault = StorageFailed(upload_id=work.upload.upload_id, reason=str(result))
            if isinstance(fault, WarehouseError) and (fault.code.status < 500 or run.plan.tolerant):
                work.error = fault
            else:
                fatal = fatal or fault
        if fatal is not None:
            raise fatal

    async def _commit(self, run: _Round) -> None:
        async with self._db.write() as tx:
            scoped = tx.within(run.scope.namespace_id)
            kept = not run.ready or await self._open(run, scoped)
            await self._settle_others(run, scoped)
            if not kept:
                # Only now: of what others have settled, the staged file is gone by right.
                files = [(work.upload, work.looked) for work in run.ready if work.looked is not None]
                await self._looking.again(run.scope.namespace_id, files)
            if works := run.ready:
                await self._place(run, scoped, works)
            if garbage := [work.looked.stored.sha256 for work in run.works if work.looked and work.error]:
                await self._objects.unreferenced(scoped, garbage)
            uploads = await store.write(scoped, [result_of(work) for work in run.works]) if run.works else {}
            for work in run.works:
                upload_id = work.upload.upload_id
                run.settled[upload_id] = Outcome(
                    upload_id=upload_id, upload=uploads.get(upload_id), error=work.error, refusal=work.refusal
                )
            if run.plan.finish is not None:
                await run.plan.finish(scoped, run.outcomes())

    async def _open(self, run: _Round, tx: NamespaceWriter) -> bool:
        """Hold the bucket, and the bytes; say whether these are there, and not taken by a sweep meanwhile."""
        try:
            await self._buckets.open_for_writes(tx, run.bucket.bucket_id)
        except (BucketNotActive, BucketNotFound, BucketGone) as error:
            for work in run.ready:
                work.error = error
            return True
        return await self._objects.keep_bytes(tx, run.adopted, since=run.generation)

    async def _settle_others(self, run: _Round, tx: NamespaceWriter) -> None:
        """Leave out what another confirmation, or a cancellation, has ended meanwhile."""
        if not run.works:
            return
        held = await store.hold(tx, [work.upload.upload_id for work in run.works])
        lost = [work for work in run.works if work.upload.upload_id not in held]
        if not lost:
            return
        now = await rows.find_many(tx, [work.upload.upload_id for work in lost])
        for work in lost:
            run.settled[work.upload.upload_id] = ended(work.upload.upload_id, now.get(work.upload.upload_id))
        await self._objects.unreferenced(tx, [work.looked.stored.sha256 for work in lost if work.looked is not None])
        run.works = [work for work in run.works if work.upload.upload_id in held]

    async def _place(self, run: _Round, tx: NamespaceWriter, works: Sequence[Work]) -> None:
        """Make the objects, and name what was there already."""
        drafts = [work.draft for work in works if work.draft is not None]
        created: Mapping[int, Created] = {}
        failures: Mapping[int, WarehouseError] = {}
        if drafts:
            created, failures = await self._objects.placement.place(
                run.scope, tx, run.bucket, drafts, policy=run.policy
            )
        for work in works:
            work.created = created.get(work.index)
            work.error = failures.get(work.index)
        await self._name_duplicates(run, tx, [work for work in works if work.error is None])
        fresh = [work for work in works if work.created is not None and work.created.replayed_by is None]
        if run.plan.submits and fresh:
            await self._submit(run, tx, fresh)

    async def _name_duplicates(self, run: _Round, tx: NamespaceWriter, works: Sequence[Work]) -> None:
        repeated = [
            work
            for work in works
            if work.upload.skip_duplicates and (work.created is None or work.created.replayed_by is not None)
        ]
        if not repeated or not run.plan.creates:
            return
        hashes = sorted({work.looked.stored.sha256 for work in repeated if work.looked is not None})
        before: dict[str, Upload] = {}
        for upload in await rows.by_hash(tx, run.bucket.bucket_id, hashes):
            before.setdefault(upload.sha256 or "", upload)
        for work in works:  # the first of this call that has the file
            if work.looked is not None and work.upload.skip_duplicates:
                before.setdefault(work.looked.stored.sha256, work.upload)
        for work in repeated:
            found = before.get(work.looked.stored.sha256) if work.looked is not None else None
            if found is not None and found.upload_id != work.upload.upload_id:
                work.duplicate_of = found

    async def _submit(self, run: _Round, tx: NamespaceWriter, works: Sequence[Work]) -> None:
        processing = self._objects.processing(True)
        if processing is None:
            return
        object_ids = [work.created.object.object_id for work in works if work.created is not None]
        batch_id, task_id, refusal = await processing.submit_or_keep(tx, run.scope, run.bucket.bucket_id, object_ids)
        for work in works:
            work.batch, work.refusal = (batch_id, task_id), refusal

    async def _give_back(self, run: _Round) -> None:
        """Let uploads be confirmed again, and leave bytes to the sweep. A job keeps its uploads: it is run again."""
        if run.adopted:
            await asyncio.shield(self._objects.abandon(run.scope.namespace_id, run.adopted))
        if run.plan.task_id is not None or not run.works:
            return
        try:
            async with self._db.write() as tx:
                scoped = tx.within(run.scope.namespace_id)
                ids = [work.upload.upload_id for work in run.works]
                await store.put_back(scoped, ids, "The confirmation failed; confirm again.")
        except WarehouseError as error:
            _log.warning("uploads stay in progress; they can be confirmed again", reason=error.message)

    async def _discard(self, run: _Round) -> None:
        done = [work.upload.s3_key for work in run.works if work.error is None]
        for fault in await self._looking.discard(done):
            _log.warning("a staged file is left to the next sweep", exc_info=fault)


def checked_policy(bucket: BucketRow, policy: Policy | None) -> Policy | None:
    """Return by which rule the unique key is written; raise Invalid where the bucket has one and there is no rule."""
    if bucket.unique_key is None:
        return None
    chosen = policy or _default_policy(bucket)
    if chosen is None:
        message = "The bucket has a unique key and no default policy; pass insert, update or upsert."
        raise Invalid([field_fault(["query", "policy"], message, "missing")])
    return chosen


def _policy(bucket: BucketRow, plan: Plan) -> Policy | None:
    if bucket.unique_key is None or not plan.creates:
        return None
    return plan.policy or _default_policy(bucket)


def _default_policy(bucket: BucketRow) -> Policy | None:
    policy: Policy | None = (bucket.unique_key or {}).get("default_policy")
    return policy
