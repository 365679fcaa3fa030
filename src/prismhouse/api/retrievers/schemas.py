"""Request shapes of retrievers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = [
    "AdhocExecute",
    "BudgetLimits",
    "CloneRetriever",
    "CreateRetriever",
    "ExecuteRetriever",
    "ExplainRetriever",
    "ListRetrievers",
    "PatchRetriever",
]

Visibility = Literal["private", "public", "marketplace"]
_COLLECTIONS = AliasChoices("collection_identifiers", "collection_ids")


class BudgetLimits(BaseModel):
    """What one run may use."""

    model_config = ConfigDict(extra="forbid")

    max_credits: float | None = Field(None, ge=0)
    max_time_ms: int | None = Field(None, ge=0)


class CreateRetriever(RequestModel):
    """A new retriever."""

    retriever_name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    visibility: Visibility = "private"
    marketplace_listing_id: str | None = None
    requires_subscription: bool = False
    collection_identifiers: list[str] = Field([], validation_alias=_COLLECTIONS, max_length=100)
    stages: list[dict[str, Any]] = Field(min_length=1, max_length=50)
    input_schema: dict[str, Any] | None = None
    budget_limits: BudgetLimits | None = None
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    display_config: dict[str, Any] | None = None
    cache_config: dict[str, Any] | None = None


class PatchRetriever(RequestModel):
    """Changes; absent fields stay."""

    retriever_name: str | None = Field(None, min_length=1, max_length=256)
    description: str | None = None
    visibility: Visibility | None = None
    marketplace_listing_id: str | None = None
    requires_subscription: bool | None = None
    collection_identifiers: list[str] | None = Field(None, validation_alias=_COLLECTIONS, max_length=100)
    stages: list[dict[str, Any]] | None = Field(None, min_length=1, max_length=50)
    input_schema: dict[str, Any] | None = None
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    display_config: dict[str, Any] | None = None
    cache_config: dict[str, Any] | None = None


class CloneRetriever(RequestModel):
    """A new name, and what shall differ from the source."""

    retriever_name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    collection_identifiers: list[str] | None = Field(None, validation_alias=_COLLECTIONS, max_length=100)
    stages: list[dict[str, Any]] | None = Field(None, min_length=1, max_length=50)
    input_schema: dict[str, Any] | None = None
    budget_limits: BudgetLimits | None = None
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    display_config: dict[str, Any] | None = None


class ListRetrievers(RequestModel, PagingKeys):
    """What to list."""

    search: str | None = None
    filters: dict[str, Any] | None = None
    sort: dict[str, Any] | None = None
    sorts: list[dict[str, Any]] | None = None
    case_sensitive: bool = False


class _Run(RequestModel):
    inputs: dict[str, Any] | None = None
    pagination: dict[str, Any] | None = None
    limit: int | None = Field(None, ge=1, le=500)
    page_size: int | None = Field(None, ge=1, le=500)
    stream: bool = False
    return_presigned_urls: bool = False
    return_vectors: bool = False
    settings: dict[str, Any] | None = None


class ExecuteRetriever(_Run):
    """Inputs and what to answer with."""

    filters: Any = None
    expand: list[str] | None = None
    skip_cache: bool = False
    write_token: str | None = None
    consistency: dict[str, Any] | None = None
    target_collection_id: str | None = None
    explain: bool = False


class AdhocExecute(_Run):
    """A pipeline that is run once and not stored."""

    stages: list[dict[str, Any]] = Field(min_length=1, max_length=50)
    collection_identifiers: list[str] | None = Field(None, validation_alias=_COLLECTIONS, max_length=100)
    input_schema: dict[str, Any] | None = None
    filters: Any = Field(None, validation_alias=AliasChoices("filters", "pre_filters"))
    budget_limits: BudgetLimits | None = None


class ExplainRetriever(RequestModel):
    """Inputs to plan for."""

    inputs: dict[str, Any] | None = None
