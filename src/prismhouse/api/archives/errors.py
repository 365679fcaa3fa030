"""What can go wrong with a file that becomes an archive."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "ArchiveDiffers",
    "ArchiveGone",
    "ArchiveMissing",
    "ArchiveOverBound",
    "ArchiveTooLarge",
    "ArchiveUploadNotFound",
    "UploadOver",
]


class ArchiveUploadNotFound(WarehouseError):
    """No upload {id} in this organization."""

    code = Code.NOT_FOUND
    hint = "Ask for a presigned URL anew."


class UploadOver(WarehouseError):
    """Upload {upload_id} was not confirmed before {expires_at}."""

    code = Code.BAD_REQUEST
    hint = "Ask for another presigned URL."
    wire_code = "upload_expired"


class ArchiveMissing(WarehouseError):
    """No file has been put for upload {upload_id}."""

    code = Code.BAD_REQUEST
    hint = "PUT the file to its presigned_url, then confirm."
    wire_code = "upload_file_missing"


class ArchiveDiffers(WarehouseError):
    """The file of upload {upload_id} has the {what} {found}, not {expected}."""

    code = Code.BAD_REQUEST
    hint = "PUT the right file to the same presigned_url while it is valid, then confirm again."
    wire_code = "upload_mismatch"


class ArchiveTooLarge(WarehouseError):
    """The file has {found} bytes; the largest that is taken has {limit_bytes}."""

    code = Code.TOO_LARGE
    hint = "Send a smaller file, or raise {setting}."


class ArchiveOverBound(ArchiveTooLarge):
    """The file has {found} bytes; no server takes more than {limit_bytes} here."""

    hint = "Leave out what is no code, such as weights and sample data, and send it anew."


class ArchiveGone(WarehouseError):
    """The stored bytes of the archive are gone."""

    code = Code.INTERNAL
    hint = "Restore the blob store from its backup, or upload the archive as another version."
