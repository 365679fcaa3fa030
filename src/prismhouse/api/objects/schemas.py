"""Wire shapes of objects."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = [
    "BlobInput",
    "BulkSoftDelete",
    "CreateObject",
    "CreateObjects",
    "EdgeInput",
    "ListObjects",
    "PatchObject",
    "UpdateObject",
]


class BlobInput(RequestModel):
    """One file: exactly one of data, url, content or upload_id says where it is."""

    property: str = Field(min_length=1, max_length=100)
    type: str
    key_prefix: str | None = None
    data: Any = None
    url: str | None = None
    content: Any = None
    upload_id: str | None = Field(None, pattern=r"^upl_[a-zA-Z0-9_-]+$")
    checksum: str | None = None
    metadata: dict[str, Any] | None = None
    canonicalize_source: bool | None = None
    force_remirror: bool | None = None


class EdgeInput(BaseModel):
    """A relation to another object; flows to the documents."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(min_length=1)
    target_object_id: str = Field(min_length=1)
    target_collection_id: str | None = None
    direction: Literal["out", "in"] = "out"
    attributes: dict[str, Any] | None = None


class CreateObject(BaseModel):
    """Every other key at the root is a custom field."""

    model_config = ConfigDict(extra="allow")

    key_prefix: str | None = Field(None, max_length=1024)
    blobs: list[BlobInput] = []
    metadata: dict[str, Any] | None = None
    skip_duplicates: bool = False
    canonicalize_source: bool = True
    force_remirror: bool = False
    edges: list[EdgeInput] | None = None
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class CreateObjects(RequestModel):
    """Up to 100 objects; each is judged alone."""

    objects: list[dict[str, Any]] = Field(min_length=1, max_length=100)


class Sort(RequestModel):
    """One sort key."""

    field: str = Field(min_length=1)
    direction: Literal["asc", "desc"] = "asc"


class ListObjects(RequestModel, PagingKeys):
    """Body of the list; every key is optional."""

    filters: Any = None
    sort: Sort | None = None
    search: str | None = Field(None, max_length=500)
    select: list[str] | None = None
    return_presigned_urls: bool = False
    case_sensitive: bool = False


class PatchObject(BaseModel):
    """Custom fields to change, flat."""

    model_config = ConfigDict(extra="allow")

    key_prefix: str | None = Field(None, max_length=1024)
    skip_duplicates: bool | None = None


class UpdateObject(PatchObject):
    """PUT: a merge as well; `metadata` is the older form of custom fields."""

    metadata: dict[str, Any] | None = None


class BulkSoftDelete(RequestModel):
    """Hide objects and what was made of them."""

    object_ids: list[str] = Field(min_length=1, max_length=5000)
    reason: str = Field(max_length=500)
    lifecycle_state: str = "disabled"
    source: str = "bulk_purge"
