"""What can go wrong with an upload."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "BatchNotSubmitted",
    "ETagMismatch",
    "FileIsEmpty",
    "FileMissing",
    "FileOverLimit",
    "FileTooLarge",
    "FormatMismatch",
    "HashMismatch",
    "Mismatch",
    "SizeMismatch",
    "StorageFailed",
    "UploadBusy",
    "UploadCanceled",
    "UploadEnded",
    "UploadExpired",
    "UploadFileGone",
    "UploadNotFound",
    "reason_of",
]

_AGAIN = "PUT the right file to the same presigned_url while it is valid, then confirm again."


def reason_of(error: WarehouseError) -> str:
    """Return the message without the hint: what a task says of a failure."""
    hint = error.hint.format_map(error.details)
    return error.message.removesuffix(hint).strip().removesuffix(".")


class UploadNotFound(WarehouseError):
    """No upload {id} here."""

    code = Code.NOT_FOUND
    wire_code = "upload_not_found"
    hint = "List the bucket's uploads; records go 30 days after an upload failed or was cancelled."


class UploadEnded(WarehouseError):
    """Upload {upload_id} is {status} and cannot be cancelled."""

    code = Code.CONFLICT
    hint = "What it made stays; delete the object instead, or wait until a running confirmation has ended."


class FileTooLarge(WarehouseError):
    """{filename} has {file_size_bytes} bytes; the largest file this server stores has {limit_bytes}."""

    code = Code.BAD_REQUEST
    hint = "Send a smaller file, or raise PRISMHOUSE_LIMITS__BLOB_BYTES."


class FileMissing(WarehouseError):
    """No file has been put for upload {upload_id}."""

    code = Code.BAD_REQUEST
    hint = "PUT the file to its presigned_url, then confirm."
    wire_code = "upload_file_missing"


class UploadExpired(WarehouseError):
    """Upload {upload_id} was not confirmed before {expires_at}."""

    code = Code.BAD_REQUEST
    hint = "Create another upload."
    wire_code = "upload_expired"


class UploadCanceled(WarehouseError):
    """Upload {upload_id} was cancelled."""

    code = Code.CONFLICT
    hint = "Create another upload."
    wire_code = "upload_canceled"


class UploadBusy(WarehouseError):
    """Upload {upload_id} is being confirmed by task {task_id}."""

    code = Code.CONFLICT
    hint = "GET /v1/tasks/{task_id} tells when."
    wire_code = "upload_busy"


class Mismatch(WarehouseError):
    """The file of upload {upload_id} is not {expected}, but {found}."""

    code = Code.BAD_REQUEST
    hint = _AGAIN
    wire_code = "upload_mismatch"


class ETagMismatch(Mismatch):
    """The file of upload {upload_id} has the ETag {found}, not {expected}."""

    wire_code = "etag_mismatch"


class SizeMismatch(Mismatch):
    """The file of upload {upload_id} has {found} bytes, not {expected}."""

    wire_code = "size_mismatch"


class HashMismatch(Mismatch):
    """The file of upload {upload_id} has the SHA-256 {found}, not {expected}."""

    wire_code = "hash_mismatch"


class FormatMismatch(Mismatch):
    """Invalid file format: Expected {expected}, got {found}."""

    wire_code = "format_mismatch"


class FileIsEmpty(Mismatch):
    """The file of upload {upload_id} is empty."""

    wire_code = "file_empty"


class FileOverLimit(Mismatch):
    """The file of upload {upload_id} has {found} bytes; the largest file this server stores has {expected}."""

    hint = "PUT a smaller file while the URL is valid, or raise PRISMHOUSE_LIMITS__BLOB_BYTES."
    wire_code = "file_too_large"


class BatchNotSubmitted(WarehouseError):
    """Upload {upload_id} is confirmed as object {object_id}, but batch {batch_id} was not submitted: {reason}."""

    code = Code.BAD_REQUEST
    hint = "The batch is a DRAFT; submit it when the reason is gone."
    wire_code = "batch_not_submitted"


class StorageFailed(WarehouseError):
    """Storage does not give the file of upload {upload_id}: {reason}."""

    code = Code.UNAVAILABLE
    hint = "Confirm again."
    wire_code = "storage_failed"


class UploadFileGone(WarehouseError):
    """The file of upload {upload_id} has been deleted with its object."""

    code = Code.CONFLICT
    hint = "Upload it again."
    wire_code = "upload_file_gone"
