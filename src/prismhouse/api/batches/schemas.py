"""Request shapes of batches."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = [
    "AddObjects",
    "BatchMetadata",
    "CreateBatch",
    "Dedup",
    "ListBatches",
    "PatchBatch",
    "SubmitBatch",
    "TriggerCollection",
]

Dedup = Literal["skip", "replace", "force"]
_MAX_OBJECTS = 50_000


class BatchMetadata(BaseModel):
    """What a user notes about a batch; further keys are kept as they are."""

    model_config = ConfigDict(extra="allow")

    campaign_id: str | None = None
    source: str | None = None
    tags: list[str] | None = None
    notes: str | None = None


class CreateBatch(RequestModel):
    """Objects by id, or by filter; neither makes an empty draft."""

    object_ids: list[str] | None = Field(None, min_length=1)
    filters: Any = None
    limit: int | None = Field(None, ge=1, le=_MAX_OBJECTS)
    collection_ids: list[str] | None = Field(None, validation_alias=AliasChoices("collection_ids", "collections"))
    dedup_strategy: Dedup | None = None
    metadata: BatchMetadata | None = None
    batch_name: str | None = Field(None, max_length=256)
    auto_submit: bool | None = None
    trigger_processing: bool | None = None
    namespace_id: str | None = None

    @model_validator(mode="after")
    def _one_selector(self) -> CreateBatch:
        if self.object_ids is not None and self.filters is not None:
            raise ValueError("give object_ids or filters, not both")
        if self.limit is not None and self.object_ids is not None:
            raise ValueError("limit goes with filters")
        return self


class AddObjects(RequestModel):
    """More objects for a draft."""

    object_ids: list[str] = Field(min_length=1)


class SubmitBatch(RequestModel):
    """How to run it."""

    include_processing_history: bool = True
    collection_ids: list[str] | None = None
    webhook_url: str | None = None

    @field_validator("webhook_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must be an http or https URL")
        return value


class PatchBatch(RequestModel):
    """Only the metadata of a batch can be changed."""

    metadata: BatchMetadata | None = None


class ListBatches(PagingKeys, RequestModel):
    """Which batches."""

    status: str | None = None
    collection_id: str | None = None
    bucket_id: str | None = None
    namespace_id: str | None = None


class TriggerCollection(RequestModel):
    """What of a collection's sources to process."""

    include_buckets: list[str] | None = None
    include_collections: list[str] | None = None
    object_ids: list[str] | None = Field(None, min_length=1)
    source_filters: Any = None
    dedup_strategy: Dedup | None = None
    reembed: dict[str, Any] | None = None
