"""Uploads as blob sources: what the noun below asks of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects.service import Objects, UploadedFile
from prismhouse.api.uploads.errors import UploadFileGone
from prismhouse.api.uploads.model import UploadStatus
from prismhouse.api.uploads.service.look import Claim
from prismhouse.api.uploads.service.settle import Outcome, Plan, Settlement
from prismhouse.api.uploads.store import references as store
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import WarehouseError
from prismhouse.kit.ids import ObjectId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["UploadSources"]

_ON_THE_WAY = Plan(creates=False)


class UploadSources:
    """Implements the port that objects declare."""

    def __init__(self, *, objects: Objects, settlement: Settlement) -> None:
        self._objects = objects
        self._settlement = settlement

    async def files(
        self, scope: Scope, bucket: BucketRow, upload_ids: Sequence[str]
    ) -> Mapping[str, UploadedFile | WarehouseError]:
        """Return the file of each upload, confirming those that were put and not confirmed; or why there is none."""
        claims = [Claim(upload_id=upload_id) for upload_id in upload_ids]
        found: dict[str, UploadedFile | WarehouseError] = {}
        for start in range(0, len(claims), _CLAIMS_AT_A_TIME):
            part = claims[start : start + _CLAIMS_AT_A_TIME]
            for outcome in await self._settlement.settle(scope, bucket, part, _ON_THE_WAY):
                found[outcome.upload_id] = _file(outcome)
        return found

    async def hold(self, tx: NamespaceWriter, upload_ids: Sequence[str]) -> Mapping[str, str]:
        """Return upload id -> sha256 of those that have their bytes, and keep that so until `tx` ends."""
        return await store.hold(tx, upload_ids)

    async def assign(self, tx: NamespaceWriter, objects: Mapping[str, ObjectId]) -> None:
        """Note the object of uploads that have none yet."""
        await store.assign(tx, objects)

    async def release(self, tx: NamespaceWriter, object_ids: Sequence[str]) -> None:
        """Let uploads forget the bytes that their objects have no longer, and objects that are gone."""
        await self._objects.unreferenced(tx, await store.release(tx, object_ids))

    async def kept(self, tx: NamespaceReader, hashes: Sequence[str]) -> set[str]:
        """Return which of the bytes an upload names."""
        return await store.kept(tx, hashes)


_CLAIMS_AT_A_TIME = 100


def _file(outcome: Outcome) -> UploadedFile | WarehouseError:
    upload = outcome.upload
    if outcome.error is not None:
        return outcome.error
    if upload is None or upload.status is not UploadStatus.COMPLETED or upload.sha256 is None:
        return UploadFileGone(upload_id=outcome.upload_id)
    return UploadedFile(
        sha256=upload.sha256,
        md5=upload.md5 or "",
        size_bytes=upload.size_bytes or 0,
        content_type=upload.content_type,
        filename=upload.filename,
    )
