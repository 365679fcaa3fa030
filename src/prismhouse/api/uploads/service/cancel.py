"""Ending uploads before they are confirmed: the state first, the bytes after the commit."""

from __future__ import annotations

from prismhouse.api.buckets.service import Buckets
from prismhouse.api.objects.service import Objects
from prismhouse.api.uploads.discard import discarded
from prismhouse.api.uploads.errors import UploadEnded, UploadNotFound
from prismhouse.api.uploads.model import UploadStatus
from prismhouse.api.uploads.store import rows
from prismhouse.api.web.caller import Scope
from prismhouse.kit.ids import BucketId
from prismhouse.storage.blobs.staging import Staging
from prismhouse.storage.postgres.database import Database

__all__ = ["Cancellation"]

_UPLOADS_AT_A_TIME = 500


class Cancellation:
    """Cancels uploads; a file that stays behind is the sweep's."""

    def __init__(self, db: Database, *, buckets: Buckets, objects: Objects, staging: Staging) -> None:
        self._db = db
        self._buckets = buckets
        self._objects = objects
        self._staging = staging

    async def one(self, scope: Scope, upload_id: str, identifier: str | None, *, delete_file: bool) -> None:
        """Cancel; a cancelled upload stays so. Of a confirmation that runs meanwhile only one of the two wins."""
        async with self._db.write() as tx:
            scoped = tx.within(scope.namespace_id)
            bucket_id = None
            if identifier is not None:
                bucket_id = (await self._buckets.resolve(scoped, identifier)).bucket_id
            found = await rows.find(scoped, upload_id, bucket_id=bucket_id)
            if found is None:
                raise UploadNotFound(resource="upload", id=upload_id)
            if not await rows.cancel(scoped, upload_id):
                now = await rows.find(scoped, upload_id)
                if now is None:
                    raise UploadNotFound(resource="upload", id=upload_id)
                if now.status is not UploadStatus.CANCELED:
                    raise UploadEnded(upload_id=upload_id, status=now.status.value)
        if delete_file:
            await discarded(self._staging, found.s3_key)

    async def empty_bucket(self, scope: Scope, bucket_id: BucketId) -> None:
        """Delete all uploads of a bucket that is being deleted, with their files."""
        while True:
            async with self._db.write() as tx:
                scoped = tx.within(scope.namespace_id)
                gone = await rows.delete_some(scoped, bucket_id, _UPLOADS_AT_A_TIME)
                hashes = sorted({row["sha256"] for row in gone if row["sha256"] is not None})
                await self._objects.unreferenced(scoped, hashes)
            for row in gone:
                await discarded(self._staging, row["s3_key"])
            if len(gone) < _UPLOADS_AT_A_TIME:
                return
