"""Creating uploads: everything is checked before a URL is issued, and all of a request is created or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismhouse.api.buckets.service import BucketNotActive, BucketRow, Buckets
from prismhouse.api.objects.service import Objects
from prismhouse.api.uploads.drafts import Draft, draft_of
from prismhouse.api.uploads.errors import FileTooLarge
from prismhouse.api.uploads.model import Upload, staged_key
from prismhouse.api.uploads.schemas import CreateUpload, CreateUploads
from prismhouse.api.uploads.store import rows
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import FieldFault, Invalid
from prismhouse.kit.ids import new_id
from prismhouse.settings import LimitSettings
from prismhouse.storage.blobs.staging import Staging
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["Creation", "Made", "Skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new upload with its URL, or the completed one that has the same file."""

    upload: Upload
    presigned_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Nothing was created: the object is there. `upload_id` and `s3_key` are nobody's."""

    draft: Draft
    bucket_id: str
    upload_id: str
    s3_key: str
    existing_object_id: str


class Creation:
    """Issues URLs."""

    def __init__(
        self, db: Database, *, buckets: Buckets, objects: Objects, staging: Staging, limits: LimitSettings
    ) -> None:
        self._db = db
        self._buckets = buckets
        self._objects = objects
        self._staging = staging
        self._max_bytes = limits.blob_bytes

    async def one(self, scope: Scope, identifier: str, request: CreateUpload) -> Made | Skipped:
        """Create one upload."""
        bucket = await self._open(scope, identifier)
        return (await self._create(scope, bucket, [request], [["body"]], {}, {}))[0]

    async def many(self, scope: Scope, identifier: str, request: CreateUploads) -> list[Made | Skipped]:
        """Create up to 100 uploads with a few statements."""
        bucket = await self._open(scope, identifier)
        locations: list[list[str | int]] = [["body", "uploads", index] for index in range(len(request.uploads))]
        shared, shared_fields = request.shared_metadata or {}, request.shared_object_metadata or {}
        return await self._create(scope, bucket, request.uploads, locations, shared, shared_fields)

    async def _open(self, scope: Scope, identifier: str) -> BucketRow:
        async with self._db.read() as tx:
            bucket = await self._buckets.resolve(tx.within(scope.namespace_id), identifier)
        if bucket.status != "ACTIVE" or bucket.is_locked:
            raise BucketNotActive(bucket_id=bucket.bucket_id, status="LOCKED" if bucket.is_locked else bucket.status)
        return bucket

    async def _create(
        self,
        scope: Scope,
        bucket: BucketRow,
        requests: Sequence[CreateUpload],
        locations: Sequence[list[str | int]],
        shared: Mapping[str, Any],
        shared_fields: Mapping[str, Any],
    ) -> list[Made | Skipped]:
        drafts: list[Draft] = []
        faults: list[FieldFault] = []
        for request, location in zip(requests, locations, strict=True):
            draft, found = draft_of(
                bucket,
                request,
                metadata={**shared, **(request.metadata or {})},
                object_metadata={**shared_fields, **(request.object_metadata or {})},
                location=location,
            )
            drafts.append(draft)
            faults += found
        if faults:
            raise Invalid(faults)
        self._check_sizes(requests)
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            await self._buckets.open_for_writes(scoped, bucket.bucket_id)
            return await self._write(scope, scoped, bucket, drafts)

    def _check_sizes(self, requests: Sequence[CreateUpload]) -> None:
        for request in requests:
            if (size_bytes := request.file_size_bytes or 0) > self._max_bytes:
                raise FileTooLarge(filename=request.filename, file_size_bytes=size_bytes, limit_bytes=self._max_bytes)

    async def _write(
        self, scope: Scope, tx: NamespaceWriter, bucket: BucketRow, drafts: Sequence[Draft]
    ) -> list[Made | Skipped]:
        """Insert what is new; its URLs are signed before the commit, so that a fault of the signer creates nothing."""
        taken = await self._taken(tx, bucket, drafts)
        known = await self._known(tx, bucket, drafts)
        ids = [new_id("upl") for _ in drafts]
        keys = [
            staged_key(scope.organization_id, scope.namespace_id, upload_id, draft.request.filename)
            for upload_id, draft in zip(ids, drafts, strict=True)
        ]
        made: dict[int, Made | Skipped] = {}
        for place, draft in enumerate(drafts):
            skips = draft.request.skip_duplicates
            if skips and (object_id := taken.get(draft.unique_value or "")):
                made[place] = Skipped(
                    draft=draft,
                    bucket_id=bucket.bucket_id,
                    upload_id=ids[place],
                    s3_key=keys[place],
                    existing_object_id=object_id,
                )
            elif skips and (upload := known.get(draft.request.file_hash or "")):
                made[place] = Made(upload=upload, presigned_url=None)
        new = [place for place in range(len(drafts)) if place not in made]
        if new:
            uploads = await rows.insert(
                tx,
                bucket.bucket_id,
                [drafts[place] for place in new],
                ids=[ids[place] for place in new],
                keys=[keys[place] for place in new],
            )
            for place, upload in zip(new, uploads, strict=True):
                made[place] = Made(upload=upload, presigned_url=self._url(upload))
        return [made[place] for place in range(len(drafts))]

    async def _taken(self, tx: NamespaceWriter, bucket: BucketRow, drafts: Sequence[Draft]) -> Mapping[str, str]:
        """Return unique key -> object id of those that are there."""
        values = sorted({draft.unique_value for draft in drafts if draft.unique_value is not None})
        return await self._objects.with_unique_values(tx, bucket.bucket_id, values) if values else {}

    async def _known(self, tx: NamespaceWriter, bucket: BucketRow, drafts: Sequence[Draft]) -> Mapping[str, Upload]:
        """Return SHA-256 -> the oldest completed upload of that file whose object, if it made one, is still there."""
        hashes = {
            draft.request.file_hash for draft in drafts if draft.request.file_hash and draft.request.skip_duplicates
        }
        found = await rows.by_hash(tx, bucket.bucket_id, sorted(hashes)) if hashes else []
        made = sorted({upload.object_id for upload in found if upload.object_id is not None})
        gone = set(await self._objects.missing(tx, bucket.bucket_id, made)) if made else set()
        known: dict[str, Upload] = {}
        for upload in found:
            if upload.object_id not in gone:
                known.setdefault(upload.sha256 or "", upload)
        return known

    def _url(self, upload: Upload) -> str:
        return self._staging.put_url(
            upload.s3_key,
            content_type=upload.content_type,
            size_bytes=upload.declared_size_bytes,
            expires_in_seconds=upload.presigned_url_expiration,
        )
