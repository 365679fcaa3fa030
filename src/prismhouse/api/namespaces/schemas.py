"""Request shapes of namespaces."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from prismhouse.api.namespaces.model import checked_vector_name
from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = [
    "CreateNamespace",
    "ExtractorReference",
    "ListNamespaces",
    "Metric",
    "NamespacesStats",
    "PatchNamespace",
    "PayloadIndex",
    "PutNamespace",
    "VectorConfig",
    "VectorName",
]

_MAX_TTL_SECONDS = 100 * 366 * 86_400
# A name travels in a header: no control characters, no spaces around it.
Name = Annotated[
    str,
    StringConstraints(
        min_length=3, max_length=64, pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
    ),
]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")]
VectorName = Annotated[str, AfterValidator(checked_vector_name)]
Metric = Annotated[
    Literal["cosine", "euclidean", "dot_product"],
    BeforeValidator(lambda given: "dot_product" if given == "dot" else given),
]
Free = dict[str, Any]


class ExtractorReference(RequestModel):
    """An extractor by name and version; `params` given here hold for every collection of the namespace."""

    feature_extractor_name: str = Field(min_length=1, max_length=128)
    version: str = Field("v1", min_length=1, max_length=32)
    params: dict[str, Any] | None = None
    feature_extractor_id: str | None = None


class PayloadIndex(RequestModel):
    """A payload field with an index of its own."""

    field_name: str = Field(min_length=1, max_length=255)
    type: Literal["keyword", "integer", "float", "bool", "geo", "datetime", "text", "uuid"]
    field_schema: dict[str, Any] | str | None = None
    is_protected: bool = False


class VectorConfig(RequestModel):
    """A vector index of a namespace that brings its own vectors; what kind they are, the first one says."""

    name: VectorName
    dimension: int = Field(ge=1, le=1_000_000_000)
    metric: Metric = "cosine"


class Infrastructure(BaseModel):
    """Dedicated compute: kept and given back; this server runs everything on its own workers."""

    model_config = ConfigDict(extra="allow")

    ray_cluster_id: str | None = Field(None, pattern=r"^ray_[a-zA-Z0-9_]{3,64}$")
    max_concurrent_jobs: int = Field(10, ge=1, le=1000)
    min_workers: int = Field(1, ge=0, le=100)
    max_workers: int = Field(10, ge=1, le=100)
    gpus_per_worker: int = Field(1, ge=0, le=8)
    max_custom_plugins: int = Field(0, ge=0, le=100)
    max_custom_models: int = Field(0, ge=0, le=50)


class SpendBudget(BaseModel):
    """Kept and given back; there is nothing to spend here."""

    model_config = ConfigDict(extra="allow")

    daily_usd: float | None = Field(None, ge=0)
    monthly_usd: float | None = Field(None, ge=0)


class CostCapOverride(RequestModel):
    """Kept and given back; there is nothing to spend here."""

    daily_usd: float | None = Field(ge=0)
    reason: str = Field(min_length=10, max_length=500)
    owner: str = Field(min_length=3, max_length=200)
    expires_at: datetime | None = None
    set_by: str | None = None
    set_at: str | None = None


class CreateNamespace(RequestModel):
    """Body of creation. Neither `features` nor `feature_extractors`: every built-in extractor."""

    namespace_name: Name
    namespace_id: Identifier | None = None
    mode: Literal["managed", "standalone"] = "managed"
    namespace_type: Literal["standard", "marketplace"] | None = "standard"
    scope: Literal["org", "system"] | None = None
    description: str | None = Field(None, max_length=5000)
    features: list[str] | None = None
    feature_extractors: list[ExtractorReference] | None = Field(None, max_length=100)
    vector_configs: list[VectorConfig] | None = Field(None, max_length=100)
    payload_indexes: list[PayloadIndex] | None = Field(None, max_length=1000)
    auto_create_indexes: bool | None = None
    adaptive_indexing: bool | None = None
    ttl_seconds: int | None = Field(None, ge=60, le=_MAX_TTL_SECONDS)
    infrastructure: Infrastructure | None = None
    trusted_issuers: list[Free] | None = Field(None, max_length=5)
    tiering: Free | None = None
    spend_budget: SpendBudget | None = None
    cost_cap_override: CostCapOverride | None = None


class PatchNamespace(RequestModel):
    """Body of PATCH. `feature_extractors` only adds; `payload_indexes` replaces the user's own; null clears a limit."""

    namespace_name: Name | None = None
    description: str | None = Field(None, max_length=5000)
    feature_extractors: list[ExtractorReference] | None = Field(None, max_length=100)
    payload_indexes: list[PayloadIndex] | None = Field(None, max_length=1000)
    auto_create_indexes: bool | None = None
    adaptive_indexing: bool | None = None
    repair_vectors: bool | None = None
    infrastructure: Infrastructure | None = None
    trusted_issuers: list[Free] | None = Field(None, max_length=5)
    spend_budget: SpendBudget | None = None
    pinned: bool | Free | None = None
    tiering: Free | None = None
    expires_at: datetime | None = None
    ttl_seconds: int | None = Field(None, ge=60, le=_MAX_TTL_SECONDS)
    cost_cap_override: CostCapOverride | None = None

    @model_validator(mode="after")
    def one_expiry(self) -> PatchNamespace:
        """Refuse both ways of saying when it ends."""
        if self.expires_at is not None and self.ttl_seconds is not None:
            raise ValueError("give expires_at or ttl_seconds, not both")
        return self


class PutNamespace(RequestModel):
    """Body of PUT: name and payload indexes only."""

    namespace_name: Name | None = None
    payload_indexes: list[PayloadIndex] | None = Field(None, max_length=1000)


class ListNamespaces(RequestModel, PagingKeys):
    """Body of the list. `sorts` goes before `sort`, and its first entry counts."""

    filters: Free | None = None
    sort: Free | None = None
    sorts: list[Free] | None = None
    search: str | None = Field(None, max_length=500)
    case_sensitive: bool = False


class NamespacesStats(RequestModel):
    """Body of the counts of several namespaces."""

    namespace_ids: list[str] = Field(max_length=100)
