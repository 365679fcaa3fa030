"""One upload on its way through a confirmation, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass

from prismhouse.api.objects.service import Created, Draft, Filled
from prismhouse.api.uploads.errors import Mismatch, UploadBusy, UploadCanceled, UploadExpired, UploadNotFound, reason_of
from prismhouse.api.uploads.model import Upload, UploadStatus
from prismhouse.api.uploads.service.look import Claim, Looked
from prismhouse.api.uploads.store import confirm as store
from prismhouse.kit.clock import iso
from prismhouse.kit.errors import WarehouseError

__all__ = ["Outcome", "Work", "ended", "filled_of", "result_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one claim: the upload as it is now (None: there is none), and why it is not confirmed.

    `refusal` says why the batch of a new object was not submitted.
    """

    upload_id: str
    upload: Upload | None
    error: WarehouseError | None = None
    refusal: WarehouseError | None = None


@dataclass(slots=True, kw_only=True)
class Work:
    """One upload on its way through."""

    index: int
    claim: Claim
    upload: Upload
    draft: Draft | None = None
    looked: Looked | None = None
    error: WarehouseError | None = None
    created: Created | None = None
    duplicate_of: Upload | None = None
    batch: tuple[str, str | None] | None = None
    refusal: WarehouseError | None = None


def ended(upload_id: str, upload: Upload | None) -> Outcome:
    """Return the outcome of a claim on an upload that was settled before."""
    error: WarehouseError | None = None
    if upload is None:
        error = UploadNotFound(resource="upload", id=upload_id)
    elif upload.status is UploadStatus.CANCELED:
        error = UploadCanceled(upload_id=upload_id)
    elif upload.status is UploadStatus.PROCESSING:
        error = UploadBusy(upload_id=upload_id, task_id=upload.task_id)
    elif upload.status is not UploadStatus.COMPLETED:
        error = UploadExpired(upload_id=upload_id, expires_at=iso(upload.expires_at))
    return Outcome(upload_id=upload_id, upload=upload, error=error)


def filled_of(upload: Upload, looked: Looked) -> Filled:
    """Return what is known of the file as a blob."""
    return Filled(
        sha256=looked.stored.sha256,
        md5=looked.stored.md5,
        size_bytes=looked.stored.size_bytes,
        mime_type=looked.media_type,
        filename=upload.filename,
        source_url=None,
        text=None,
    )


def result_of(work: Work) -> store.Result:
    """Return what the row becomes: FAILED only where the file is certainly not the one."""
    upload_id = work.upload.upload_id
    if work.error is not None or work.looked is None:
        certain = isinstance(work.error, Mismatch)
        return store.Result(
            upload_id=upload_id,
            status=UploadStatus.FAILED if certain else UploadStatus.PENDING,
            message=reason_of(work.error) if work.error is not None else None,
        )
    object_id: str | None = work.created.object.object_id if work.created is not None else None
    if object_id is None and work.duplicate_of is not None:
        object_id = work.duplicate_of.object_id
    return store.Result(
        upload_id=upload_id,
        status=UploadStatus.COMPLETED,
        message=_said(work, object_id),
        etag=work.looked.staged.etag,
        sha256=work.looked.stored.sha256,
        md5=work.looked.stored.md5,
        size_bytes=work.looked.stored.size_bytes,
        object_id=object_id,
        duplicate_of_upload_id=None if work.duplicate_of is None else work.duplicate_of.upload_id,
        task_id=None if work.batch is None else work.batch[1],
        batch_id=None if work.batch is None else work.batch[0],
    )


def _said(work: Work, object_id: str | None) -> str:
    if work.created is not None and work.created.replayed_by is not None:
        return f"The bucket has this file already: it is object {object_id}."
    if work.duplicate_of is not None:
        return f"The bucket has this file already: it is upload {work.duplicate_of.upload_id}."
    if work.created is not None:
        return f"Confirmed as object {object_id}."
    return "Confirmed."
