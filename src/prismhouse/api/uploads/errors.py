"""What can go wrong with an upload."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["FileTooLarge", "UploadEnded", "UploadNotFound"]


class UploadNotFound(WarehouseError):
    """No upload {id} here."""

    code = Code.NOT_FOUND
    hint = "List the bucket's uploads; records go 30 days after an upload failed or was cancelled."


class UploadEnded(WarehouseError):
    """Upload {upload_id} is {status} and cannot be cancelled."""

    code = Code.CONFLICT
    hint = "What it made stays; delete the object instead, or wait until a running confirmation has ended."


class FileTooLarge(WarehouseError):
    """{filename} has {file_size_bytes} bytes; the largest file this server stores has {limit_bytes}."""

    code = Code.BAD_REQUEST
    hint = "Send a smaller file, or raise PRISMHOUSE_LIMITS__BLOB_BYTES."
