"""Wire shapes of uploads."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = ["ConfirmItem", "ConfirmUpload", "ConfirmUploads", "CreateUpload", "CreateUploads", "ListUploads", "Sort"]

_MAX_INTEGER = 2**63 - 1


class CreateUpload(RequestModel):
    """A file that is going to be put into storage."""

    filename: str = Field(min_length=1, max_length=255)
    content_type: str = Field(min_length=1, max_length=255)
    file_size_bytes: int | None = Field(None, ge=1, le=_MAX_INTEGER)
    presigned_url_expiration: int = Field(3600, ge=60, le=86_400)
    metadata: dict[str, Any] | None = None
    create_object_on_confirm: bool = True
    object_metadata: dict[str, Any] | None = None
    blob_property: str | None = Field(None, max_length=100, pattern=r"^[a-zA-Z0-9_]+$")
    blob_type: str | None = None
    file_hash: str | None = Field(None, pattern=r"^[a-f0-9]{64}$")
    skip_duplicates: bool = True


class CreateUploads(RequestModel):
    """Up to 100 uploads; each one's own keys win over the shared ones."""

    uploads: list[CreateUpload] = Field(min_length=1, max_length=100)
    shared_metadata: dict[str, Any] | None = None
    shared_object_metadata: dict[str, Any] | None = None


class Sort(RequestModel):
    """One sort key."""

    field: str = Field(min_length=1, max_length=500)
    direction: Literal["asc", "desc"] = "asc"


class ListUploads(PagingKeys, RequestModel):
    """Which uploads of a bucket, in which order."""

    filters: dict[str, Any] | None = None
    sort: Sort | None = None
    search: str | None = Field(None, max_length=500)
    return_presigned_urls: bool = False


class ConfirmUpload(RequestModel):
    """What the client knows of the file it has put."""

    etag: str | None = Field(None, max_length=200)
    file_size_bytes: int | None = Field(None, ge=1, le=_MAX_INTEGER)
    auto_submit_batch: bool = False


class ConfirmItem(RequestModel):
    """One of several confirmations."""

    upload_id: str = Field(min_length=1, max_length=200)
    etag: str | None = Field(None, max_length=200)
    file_size_bytes: int | None = Field(None, ge=1, le=_MAX_INTEGER)


class ConfirmUploads(RequestModel):
    """1 to 100 confirmations of uploads of one bucket."""

    confirmations: list[ConfirmItem] = Field(min_length=1, max_length=100)
