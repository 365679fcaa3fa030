"""Bodies of requests that change documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prismhouse.api.web.body import RequestModel

__all__ = [
    "BatchDelete",
    "BatchUpdate",
    "BulkUpdate",
    "CreateDocument",
    "DocumentUpdate",
    "FeatureVectors",
    "Fields",
    "UpdateACL",
]

_ID_LENGTH = 512


class LineageStep(RequestModel):
    """One step on the way from the object to the document."""

    collection_id: str
    feature_extractor_id: str
    document_id: str | None = None
    timestamp: datetime | None = None


class FeatureVectors(BaseModel):
    """What an extractor outside made of the document: fields, and vectors by index name."""

    model_config = ConfigDict(extra="allow")

    feature_extractor_id: str
    payload: dict[str, Any] = Field(default_factory=dict)
    vectors: dict[str, Any] | None = None


class CreateDocument(BaseModel):
    """A new document; every undeclared key becomes a field at its root."""

    model_config = ConfigDict(extra="allow")

    collection_id: str | None = None
    root_object_id: str | None = Field(None, max_length=_ID_LENGTH)
    root_bucket_id: str | None = Field(None, max_length=_ID_LENGTH)
    source_type: Literal["bucket", "collection", "direct_upsert", "signal"] | None = None
    source_collection_id: str | None = Field(None, max_length=_ID_LENGTH)
    source_document_id: str | None = Field(None, max_length=_ID_LENGTH)
    source_object_id: str | None = Field(None, max_length=_ID_LENGTH)
    lineage_path: str | None = Field(None, max_length=2000)
    lineage_chain: list[LineageStep] = Field(default_factory=list, max_length=100)
    content_hash: str | None = Field(None, max_length=_ID_LENGTH)
    document_schema_version: Literal["v1", "v2"] | None = None
    metadata: dict[str, Any] | None = None
    features: list[FeatureVectors] = Field(default_factory=list, max_length=100)
    vectors: dict[str, Any] | None = None


class Fields(BaseModel):
    """Fields of a document, by name."""

    model_config = ConfigDict(extra="allow")

    def given(self) -> dict[str, Any]:
        """Return them."""
        return self.model_extra or {}


class DocumentUpdate(RequestModel):
    """The changes of one document."""

    document_id: str
    update_data: dict[str, Any]


class BatchUpdate(RequestModel):
    """Changes of documents by id, or the same change of all that match."""

    updates: list[DocumentUpdate] | None = Field(None, min_length=1, max_length=1000)
    filters: Any = None
    update_data: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_filter = self.filters is not None or self.update_data is not None
        if by_filter == (self.updates is not None):
            raise ValueError("send either `updates`, or `filters` with `update_data`")
        if by_filter and (self.filters is None or self.update_data is None):
            raise ValueError("`filters` and `update_data` belong together")
        return self


class BulkUpdate(RequestModel):
    """The same change of every document that matches; without filters, of every one."""

    filters: Any = None
    update_data: dict[str, Any]


class BatchDelete(RequestModel):
    """Documents to delete, by id or by filter."""

    document_ids: list[str] | None = Field(None, min_length=1, max_length=1000)
    filters: Any = None
    reason: str | None = Field(None, max_length=500)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.document_ids is None) == (self.filters is None):
            raise ValueError("send either `document_ids` or `filters`")
        if self.filters is not None and not self.filters:
            raise ValueError("`filters` is empty and would match every document; name what shall go")
        return self


class UpdateACL(RequestModel):
    """Access lists; each one that is sent replaces the stored one."""

    read: list[str] | None = Field(None, max_length=256)
    write: list[str] | None = Field(None, max_length=256)
    public: bool | None = None
