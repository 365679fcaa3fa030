"""Archives: put into storage by clients, kept by their hash, deleted when nothing names them any more.

Bytes are stored before the rows that name them. A row of `archives` stands from before they are used, so that whatever
a crash leaves over is found: bytes without a name are swept an hour after somebody last meant to use them.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from prismhouse.api.archives import store
from prismhouse.api.archives.errors import (
    ArchiveDiffers,
    ArchiveGone,
    ArchiveMissing,
    ArchiveOverBound,
    ArchiveTooLarge,
    ArchiveUploadNotFound,
    UploadOver,
)
from prismhouse.api.web.forms import Piece
from prismhouse.api.web.links import Downloads
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import NamespaceId, OrganizationId
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.blobs.port import BlobMissing, BlobStore, StoredBlob
from prismhouse.storage.blobs.staging import Staging
from prismhouse.storage.jobs.queue import JobQueue
from prismhouse.storage.postgres.database import Database, Record, Writer

__all__ = ["Archives", "Issued"]

SWEEP_JOB = "archives.sweep"
_EVERY_QUARTER = "7,22,37,52 * * * *"
_IDLE_SECONDS = 3600.0
_AT_A_TIME = 50
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A URL that takes one file."""

    upload_id: str
    presigned_url: str
    s3_key: str
    expires_at: datetime


class Archives:
    """Files of organizations. All bytes of one lie in a place of its own in the blob store."""

    def __init__(
        self,
        db: Database,
        *,
        blobs: BlobStore,
        staging: Staging,
        copies: LocalCopies,
        downloads: Downloads,
        jobs: JobQueue,
        blob_bytes: int,
        unpacked: Path | None = None,
    ) -> None:
        self._unpacked = unpacked
        self._db = db
        self._blobs = blobs
        self._staging = staging
        self._copies = copies
        self._downloads = downloads
        self._blob_bytes = blob_bytes

        async def sweep() -> None:
            if swept := await self.sweep():
                _log.info("archives that nothing names were deleted", files=swept)

        jobs.register(SWEEP_JOB, sweep, cron=_EVERY_QUARTER)

    async def issue(
        self,
        tx: Writer,
        organization_id: OrganizationId,
        upload_id: str,
        *,
        kind: str,
        filename: str,
        content_type: str,
        size_bytes: int | None,
        seconds: int,
        request: Mapping[str, Any],
    ) -> Issued:
        """Return a URL for one file. `request` is kept for the confirmation."""
        if size_bytes is not None and size_bytes > self._blob_bytes:
            self._refuse(size_bytes, self._blob_bytes, "PRISMHOUSE_LIMITS__BLOB_BYTES")
        key = f"{organization_id}/@archives/{upload_id}/{filename}"
        expires_at = utc_now() + timedelta(seconds=seconds)
        url = self._staging.put_url(key, content_type=content_type, size_bytes=size_bytes, expires_in_seconds=seconds)
        await store.insert_upload(
            tx,
            {
                "organization_id": organization_id,
                "upload_id": upload_id,
                "kind": kind,
                "request": request,
                "s3_key": key,
                "expires_at": expires_at,
            },
        )
        return Issued(upload_id=upload_id, presigned_url=url, s3_key=key, expires_at=expires_at)

    async def upload(self, organization_id: OrganizationId, upload_id: str, kind: str) -> Record:
        """Return an upload; raise ArchiveUploadNotFound."""
        async with self._db.read() as tx:
            found = await store.find_upload(tx, organization_id, upload_id)
        if found is None or found["kind"] != kind:
            raise ArchiveUploadNotFound(resource="upload", id=upload_id)
        return found

    async def settle(
        self, tx: Writer, organization_id: OrganizationId, upload_id: str, *, status: str, answer: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Settle an upload for good; return what another confirmation answered first, or None."""
        locked = await store.lock_upload(tx, organization_id, upload_id)
        if locked is None:
            raise ArchiveUploadNotFound(resource="upload", id=upload_id)
        if locked["status"] != "PENDING":
            return dict(locked["answer"] or {})
        await store.end_upload(tx, upload_id, status=status, answer=answer)
        return None

    async def hold_limits(self, tx: Writer, organization_id: OrganizationId) -> None:
        """Have what is counted now stay so until `tx` ends: a limit is kept whoever comes at the same moment."""
        await store.hold_limits(tx, organization_id)

    async def arrived(
        self,
        upload: Mapping[str, Any],
        *,
        etag: str | None,
        size_bytes: int | None,
        most_bytes: int,
        setting: str | None,
    ) -> StoredBlob:
        """Make what was put an archive and return it; the staged file stays until `discard`.

        `setting` is where `most_bytes` stands; None where it is fixed.
        Raises UploadOver, ArchiveMissing, ArchiveDiffers, ArchiveTooLarge, StagedFileChanged.
        """
        named = {"upload_id": upload["upload_id"]}
        if upload["status"] != "PENDING" or upload["expires_at"] + timedelta(hours=1) < utc_now():
            raise UploadOver(**named, expires_at=upload["expires_at"].isoformat())
        staged = await self._staging.find(upload["s3_key"])
        if staged is None:
            raise ArchiveMissing(**named)
        given = None if etag is None else etag.strip().strip('"').lower()
        if given is not None and given != staged.etag.lower():
            raise ArchiveDiffers(**named, what="ETag", expected=given, found=staged.etag)
        declared = upload["request"].get("file_size_bytes")
        for expected in (size_bytes, declared):
            if expected is not None and expected != staged.size_bytes:
                raise ArchiveDiffers(**named, what="size in bytes", expected=expected, found=staged.size_bytes)
        if staged.size_bytes > most_bytes:
            self._refuse(staged.size_bytes, most_bytes, setting)
        return await self._adopted(upload["organization_id"], upload["s3_key"], staged.etag)

    async def _adopted(self, organization_id: OrganizationId, key: str, etag: str) -> StoredBlob:
        place = _place(organization_id)
        stored = await self._staging.adopt(place, key, etag=etag)
        await self._touch(organization_id, stored)
        if not await self._is_there(place, stored.sha256):  # a sweep took older equal bytes meanwhile
            stored = await self._staging.adopt(place, key, etag=etag)
        return stored

    async def discard(self, s3_key: str) -> None:
        """Delete a staged file that is confirmed; what does not go now, the sweep of staged files takes."""
        try:
            await self._staging.discard(s3_key)
        except (WarehouseError, OSError) as error:
            _log.warning("a staged file is left to the sweep", key=s3_key, exc_info=error)

    async def put(self, organization_id: OrganizationId, piece: Piece, *, most_bytes: int, setting: str) -> StoredBlob:
        """Store a file that came with a request; raise ArchiveTooLarge."""
        size_bytes = piece.end - piece.start
        if size_bytes > most_bytes:
            self._refuse(size_bytes, most_bytes, setting)
        sha256 = await asyncio.to_thread(piece.digest)
        await self._touch(organization_id, StoredBlob(sha256=sha256, size_bytes=size_bytes, md5=""))
        return await self._blobs.put(_place(organization_id), piece.blocks())

    async def _touch(self, organization_id: OrganizationId, stored: StoredBlob) -> None:
        async with self._db.write() as tx:
            await store.touch(tx, organization_id, stored.sha256, stored.size_bytes)

    async def _is_there(self, place: NamespaceId, sha256: str) -> bool:
        try:
            async for _ in self._blobs.stream(place, sha256, start=0, end=1):
                pass
        except BlobMissing:
            return False
        return True

    @asynccontextmanager
    async def held(self, organization_id: OrganizationId, sha256: str, size_bytes: int) -> AsyncIterator[Path]:
        """Give the path of an archive until the end of the block; raise ArchiveGone."""
        async with self._copies.held(_place(organization_id), {sha256: size_bytes}) as paths:
            path = paths.get(sha256)
            if path is None or not await asyncio.to_thread(path.exists):
                raise ArchiveGone(sha256=sha256)
            yield path

    def download_url(
        self, organization_id: OrganizationId, stored: Mapping[str, Any], *, filename: str, content_type: str
    ) -> str:
        """Return a link to an archive's bytes, an hour long."""
        return self._downloads.url(
            _place(organization_id),
            stored["sha256"],
            content_type=content_type,
            filename=filename,
            md5=stored["md5"],
        )

    async def sweep(self) -> int:
        """Forget uploads that were never confirmed, and delete bytes that nothing names; return how many files."""
        while await self._forget_uploads():
            pass
        deleted = 0
        while True:
            async with self._db.write() as tx:
                unused = await store.take_unused(tx, idle_seconds=_IDLE_SECONDS, limit=_AT_A_TIME)
                deleted += sum([await self._deleted(tx, row) for row in unused])
            if len(unused) < _AT_A_TIME:
                return deleted

    async def _deleted(self, tx: Writer, row: Record) -> bool:
        """Delete the bytes of an archive whose row `tx` took; say whether it could be done."""
        organization_id, sha256 = row["organization_id"], row["sha256"]
        try:
            await self._blobs.delete(_place(organization_id), sha256)
        except (WarehouseError, OSError) as error:
            # Its row comes back, an hour younger than the others: these do not wait for it.
            await store.touch(tx, organization_id, sha256, row["size_bytes"])
            _log.warning("an archive is left to a later sweep", sha256=sha256, exc_info=error)
            return False
        if self._unpacked is not None and not await store.is_named(tx, sha256):
            await asyncio.to_thread(shutil.rmtree, self._unpacked / sha256, ignore_errors=True)
        return True

    async def _forget_uploads(self) -> bool:
        """Forget some uploads; say whether there may be more that can be forgotten."""
        async with self._db.read() as tx:
            rows = await store.abandoned(tx, grace_seconds=2 * _IDLE_SECONDS, limit=_AT_A_TIME)
        forgotten = sum([await self._forgotten(row) for row in rows])
        return len(rows) == _AT_A_TIME and forgotten > 0

    async def _forgotten(self, upload: Record) -> bool:
        try:
            # A confirmation that died may have adopted the file: adopting it once more names the bytes.
            if (staged := await self._staging.find(upload["s3_key"])) is not None:
                await self._adopted(upload["organization_id"], upload["s3_key"], staged.etag)
            async with self._db.write() as tx:
                await store.give_up(tx, upload["upload_id"])
            await self.discard(upload["s3_key"])
        except (WarehouseError, OSError) as error:
            async with self._db.write() as tx:
                await store.put_off(tx, upload["upload_id"])
            _log.warning("an upload is left to a later sweep", upload_id=upload["upload_id"], exc_info=error)
            return False
        return True

    @staticmethod
    def _refuse(found: int, limit_bytes: int, setting: str | None) -> None:
        if setting is None:
            raise ArchiveOverBound(found=found, limit_bytes=limit_bytes)
        raise ArchiveTooLarge(found=found, limit_bytes=limit_bytes, setting=setting)


def _place(organization_id: str) -> NamespaceId:
    """Return where an organization's archives lie in the blob store: no namespace can have this id."""
    return NamespaceId(f"@archives/{organization_id}")
