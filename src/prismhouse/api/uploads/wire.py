"""Uploads as the API shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from prismhouse.api.uploads.model import Upload, UploadStatus
from prismhouse.api.uploads.service.create import Made, Skipped
from prismhouse.kit.clock import iso, utc_now

__all__ = ["confirmed", "confirming", "made", "shown", "stats_of"]

_DUPLICATE = "A completed upload has the same file. Nothing needs to be put: this is its record."
_SKIPPED = (
    "An object has this unique key, so nothing was created and nothing needs to be put."
    " Send skip_duplicates=false to put a file all the same and to confirm it with a policy."
)


def shown(upload: Upload, *, presigned_url: str | None = None) -> dict[str, Any]:
    """Return an upload with all the keys that it can have."""
    size_bytes = upload.declared_size_bytes if upload.size_bytes is None else upload.size_bytes
    return {
        "upload_id": upload.upload_id,
        "bucket_id": upload.bucket_id,
        "filename": upload.filename,
        "content_type": upload.content_type,
        "file_size_bytes": size_bytes,
        "presigned_url": presigned_url,
        "presigned_url_expiration": upload.presigned_url_expiration,
        "s3_key": upload.s3_key,
        "status": upload.status.value,
        "metadata": upload.metadata,
        "create_object_on_confirm": upload.create_object_on_confirm,
        "object_metadata": upload.object_metadata,
        "blob_property": upload.blob_property,
        "blob_type": upload.blob_type,
        "file_hash": upload.file_hash or upload.sha256,
        "skip_duplicates": upload.skip_duplicates,
        "is_duplicate": upload.duplicate_of_upload_id is not None,
        "duplicate_of_upload_id": upload.duplicate_of_upload_id,
        "skipped_unique_key": False,
        "existing_object_id": upload.object_id if upload.duplicate_of_upload_id is not None else None,
        "message": upload.message,
        "created_at": iso(upload.created_at),
        "expires_at": iso(upload.expires_at),
        "completed_at": iso(upload.completed_at),
        "verified_at": iso(upload.verified_at),
        "etag": upload.etag,
        "object_id": upload.object_id,
        "task_id": upload.task_id,
    }


def made(result: Made | Skipped) -> dict[str, Any]:
    """Return what became of a request for an upload."""
    if isinstance(result, Skipped):
        return _skipped(result)
    record = shown(result.upload, presigned_url=result.presigned_url)
    if result.presigned_url is None:
        record |= {
            "is_duplicate": True,
            "duplicate_of_upload_id": result.upload.upload_id,
            "message": _DUPLICATE,
        }
    return record


def _skipped(result: Skipped) -> dict[str, Any]:
    request, now = result.draft.request, utc_now()
    return {
        "upload_id": result.upload_id,
        "bucket_id": result.bucket_id,
        "filename": request.filename,
        "content_type": request.content_type,
        "file_size_bytes": request.file_size_bytes,
        "presigned_url": None,
        "presigned_url_expiration": request.presigned_url_expiration,
        "s3_key": result.s3_key,
        "status": "SKIPPED",
        "metadata": result.draft.metadata,
        "create_object_on_confirm": request.create_object_on_confirm,
        "object_metadata": result.draft.object_metadata,
        "blob_property": result.draft.blob_property,
        "blob_type": result.draft.blob_type.value,
        "file_hash": request.file_hash,
        "skip_duplicates": request.skip_duplicates,
        "is_duplicate": False,
        "duplicate_of_upload_id": None,
        "skipped_unique_key": True,
        "existing_object_id": result.existing_object_id,
        "message": _SKIPPED,
        "created_at": iso(now),
        "expires_at": iso(now + timedelta(seconds=request.presigned_url_expiration)),
        "completed_at": None,
        "verified_at": None,
        "etag": None,
        "object_id": None,
        "task_id": None,
    }


def confirmed(upload: Upload) -> dict[str, Any]:
    """Return what a confirmation answers; the same each time."""
    return {
        "upload_id": upload.upload_id,
        "status": upload.status.value,
        "etag": upload.etag,
        "file_size_bytes": upload.size_bytes,
        "file_hash": upload.sha256 or upload.file_hash,
        "verified_at": iso(upload.verified_at),
        "completed_at": iso(upload.completed_at),
        "object_id": upload.object_id,
        "task_id": upload.task_id,
        "batch_id": upload.batch_id,
        "message": upload.message or _message(upload),
    }


def _message(upload: Upload) -> str | None:
    if upload.status is not UploadStatus.PROCESSING:
        return None
    return f"The file is confirmed in the background. GET /v1/tasks/{upload.task_id} tells when."


def confirming(task: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return what a batch of confirmations answers."""
    return {
        "task_id": task["task_id"],
        "status": task["status"],
        "confirmations_count": count,
        "task": task,
        "message": f"{count} upload{'s are' if count > 1 else ' is'} being confirmed."
        f" GET /v1/tasks/{task['task_id']} has the result of each when it has ended.",
    }


def stats_of(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of this page of answers."""
    sizes = [record["file_size_bytes"] for record in records if record["file_size_bytes"] is not None]
    return {
        "total_uploads": len(records),
        "total_size_bytes": sum(sizes),
        "uploads_by_status": dict(Counter(record["status"] for record in records)),
        "avg_file_size_bytes": sum(sizes) / len(sizes) if sizes else 0.0,
        "unique_buckets": len({record["bucket_id"] for record in records}),
    }
