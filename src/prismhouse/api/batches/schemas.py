"""Request shapes of batches."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = [
    "AddObjects",
    "BatchMetadata",
    "BulkSubmit",
    "CreateBatch",
    "Dedup",
    "HealAction",
    "HealTier",
    "ListBatches",
    "PatchBatch",
    "ResubmitBatch",
    "RetryBatch",
    "RetryTier",
    "SubmitBatch",
    "TriggerCollection",
]

Dedup = Literal["skip", "replace", "force"]
HealAction = Literal["kill_duplicates", "detect_stuck", "sync_status"]
_MAX_OBJECTS = 50_000
_MAX_URL = 2_083


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
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError as error:
            raise ValueError("must be an http or https URL") from error
        if parts.scheme not in {"http", "https"} or not named or re.search(r"[\s\x00-\x1f]", value):
            raise ValueError("must be an http or https URL")
        if len(value) > _MAX_URL:
            raise ValueError(f"must have at most {_MAX_URL} characters")
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


class RetryBatch(RequestModel):
    """Which failed rows to try again: without `tier_nums`, of every tier."""

    retry_mode: Literal["transient_only", "all"] = "transient_only"
    tier_nums: list[Annotated[int, Field(ge=0, le=32_767)]] | None = None
    max_retry_count: int = Field(3, ge=1, le=10)


class ResubmitBatch(RequestModel):
    """What the query says too, and wins."""

    from_tier: int | None = Field(None, ge=0, le=32_767)
    auto_submit: bool | None = None
    trigger_processing: bool | None = None


class RetryTier(RequestModel):
    """Overrides: `priority` holds; the others are of other engines, here a process takes what it needs."""

    requires_gpu: bool | None = None
    worker_groups: list[str] | None = None
    priority: int | None = Field(None, ge=-32_768, le=32_767)
    num_cpus: float | None = Field(None, ge=0)
    num_gpus: float | None = Field(None, ge=0)
    memory: int | None = Field(None, ge=0)
    memory_gb: float | None = Field(None, ge=0)
    batch_size: int | None = Field(None, ge=1)
    concurrency: int | None = Field(None, ge=1)


class HealTier(RequestModel):
    """What to look for and put right."""

    action: HealAction


class BulkSubmit(RequestModel):
    """A bucket, or what passes a filter, in batches of `chunk_size` objects."""

    collection_ids: list[str] | None = None
    filters: Any = None
    chunk_size: int = Field(1_000, ge=1, le=_MAX_OBJECTS)
    dedup_strategy: Dedup | None = None
    max_objects: int | None = Field(None, ge=1)
