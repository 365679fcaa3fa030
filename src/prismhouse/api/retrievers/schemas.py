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
    "ExecuteBatch",
    "ExecuteRetriever",
    "ExplainRetriever",
    "ListRetrievers",
    "PatchRetriever",
    "SearchFeatures",
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


class SortOption(BaseModel):
    """A field and a direction."""

    model_config = ConfigDict(extra="forbid")

    field: str
    direction: Literal["asc", "desc"] = "asc"


class ListRetrievers(RequestModel, PagingKeys):
    """What to list."""

    search: str | None = None
    filters: dict[str, Any] | None = None
    sort: SortOption | None = None
    sorts: list[SortOption] | None = Field(None, max_length=5)
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


class BatchQuery(BaseModel):
    """One query of several."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any]
    filters: Any = None


class BatchSettings(BaseModel):
    """What holds for every query of several."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(10, ge=1, le=500)
    max_chunks: int | None = None


class ExecuteBatch(RequestModel):
    """Several queries to one retriever."""

    queries: list[BatchQuery] = Field(min_length=1)
    settings: BatchSettings | None = None
    concurrency: int = Field(5, ge=1, le=20)
    return_presigned_urls: bool = False
    return_vectors: bool = False
    stream: bool = False


class FeatureQuery(BaseModel):
    """What to ask with; `input_mode` names the field that holds it."""

    model_config = ConfigDict(extra="forbid")

    input_mode: Literal["text", "image", "url", "vector"] = "text"
    text: str | None = None
    image: str | None = None
    url: str | None = None
    vector: list[float] | None = None


class SearchFeatures(RequestModel):
    """One search without a retriever."""

    query: FeatureQuery
    collection_identifiers: list[str] | None = Field(None, max_length=100)
    feature_uri: str = Field("mixpeek://text_extractor@v1/embedding", min_length=1)
    top_k: int = Field(25, ge=1, le=1000)
    filters: Any = None
