"""An upload as it stands in the database, the states it goes through, and where its file is staged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from prismhouse.kit.ids import BucketId, NamespaceId, OrganizationId

__all__ = ["EXPIRED", "Upload", "UploadStatus", "staged_key"]

EXPIRED = "The upload was not confirmed before expires_at. Create another one."
_FOLDER = "api_buckets_uploads_create"
# Percent-encoded the name is part of a URL, and the official client reads no URL over 2,083 characters.
_MAX_QUOTED_NAME = 700


class UploadStatus(StrEnum):
    """PENDING: a URL is issued. IN_PROGRESS: a confirmation looks at the file. PROCESSING: a job does."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload. `status` and `message` already say that it failed when its time is over, swept or not."""

    upload_id: str
    bucket_id: BucketId
    sequence: int
    filename: str
    content_type: str
    declared_size_bytes: int | None
    file_hash: str | None
    s3_key: str
    blob_property: str | None
    blob_type: str | None
    metadata: Mapping[str, Any]
    object_metadata: Mapping[str, Any]
    create_object_on_confirm: bool
    skip_duplicates: bool
    presigned_url_expiration: int
    expires_at: datetime
    status: UploadStatus
    message: str | None
    etag: str | None
    sha256: str | None
    md5: str | None
    size_bytes: int | None
    verified_at: datetime | None
    completed_at: datetime | None
    duplicate_of_upload_id: str | None
    object_id: str | None
    task_id: str | None
    batch_id: str | None
    created_at: datetime
    updated_at: datetime


def staged_key(organization_id: OrganizationId, namespace_id: NamespaceId, upload_id: str, filename: str) -> str:
    """Return where the file is staged: a very long name is shortened, and keeps its extension."""
    return f"{organization_id}/{namespace_id}/{_FOLDER}/{upload_id}/{_shortened(filename)}"


def _shortened(filename: str) -> str:
    if len(quote(filename, safe="")) <= _MAX_QUOTED_NAME:
        return filename
    suffix = PurePosixPath(filename).suffix
    if len(quote(suffix, safe="")) > _MAX_QUOTED_NAME // 2:
        suffix = ""
    stem = filename.removesuffix(suffix)
    while len(quote(stem, safe="")) + len(quote(suffix, safe="")) > _MAX_QUOTED_NAME:
        stem = stem[:-1]
    return f"{stem}{suffix}"
