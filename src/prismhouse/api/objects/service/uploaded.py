"""Blobs of drafts that are uploads: their files, and whose object they become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prismhouse.api.buckets.service import BucketRow
from prismhouse.api.objects import store
from prismhouse.api.objects.drafts import BlobDraft, Draft
from prismhouse.api.objects.ports import UploadedFile, Uploads
from prismhouse.api.objects.sources import Uploaded
from prismhouse.api.web.caller import Scope
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["UploadSources", "UploadsMissing"]


class UploadsMissing(WarehouseError):
    """This server takes no uploads."""

    code = Code.NOT_IMPLEMENTED
    hint = "Send the file as data or url."


class UploadSources:
    """What creation does with `upload_id`; `port` is given at wiring."""

    def __init__(self) -> None:
        self.port: Uploads | None = None

    async def files(
        self, scope: Scope, bucket: BucketRow, drafts: Sequence[Draft]
    ) -> Mapping[str, UploadedFile | WarehouseError]:
        """Return what each upload that the drafts name is, or why it cannot be used."""
        upload_ids = list(dict.fromkeys(upload_id for _, upload_id in _named(drafts)))
        if not upload_ids:
            return {}
        if self.port is None:
            return {upload_id: UploadsMissing() for upload_id in upload_ids}
        return await self.port.files(scope, bucket, upload_ids)

    async def hold(self, tx: NamespaceWriter, drafts: Sequence[Draft]) -> None:
        """Keep the files of uploads where they are until `tx` ends; raise Invalid when one went a moment ago."""
        wanted = {
            blob.source.upload_id: (blob, filled.sha256)
            for draft in drafts
            for blob, filled in zip(draft.blobs, draft.filled, strict=True)
            if isinstance(blob.source, Uploaded)
        }
        if not wanted or self.port is None:
            return
        await store.hold_bytes(tx)
        held = await self.port.hold(tx, [*wanted])
        gone = [blob for upload_id, (blob, sha256) in wanted.items() if held.get(upload_id) != sha256]
        if gone:
            message = "The file of this upload has been deleted with its object; upload it again."
            raise Invalid([field_fault([*blob.location, "upload_id"], message) for blob in gone])

    async def assign(self, tx: NamespaceWriter, drafts: Sequence[Draft]) -> None:
        """Note which object an upload became, where it is none yet."""
        objects = {upload_id: draft.object_id for draft in drafts for _, upload_id in _named([draft])}
        if objects and self.port is not None:
            await self.port.assign(tx, objects)


def _named(drafts: Sequence[Draft]) -> Iterator[tuple[BlobDraft, str]]:
    for draft in drafts:
        for blob in draft.blobs:
            if isinstance(blob.source, Uploaded):
                yield blob, blob.source.upload_id
