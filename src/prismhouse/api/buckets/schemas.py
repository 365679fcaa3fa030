"""Wire shapes of buckets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = ["UNSERVED", "CreateBucket", "ListBuckets", "Policy", "UniqueKey", "UpdateBucket"]

Policy = Literal["insert", "update", "upsert"]
# Keys that are kept and given back, each with a warning: nothing here acts on them yet.
UNSERVED = ("storage_class", "destination", "ingest_filter", "source_adapter")
StorageClass = Literal["standard", "nearline", "coldline", "archive"]


class UniqueKey(RequestModel):
    """Fields whose values name an object, and what a second write with the same values does."""

    fields: list[str] = Field(min_length=1)
    default_policy: Policy | None = None


class Destination(RequestModel):
    """Where extraction outputs are written besides the warehouse."""

    connection_id: str = Field(min_length=1)
    prefix: str = ""


class IngestFilter(RequestModel):
    """A retriever that judges what a sync brings."""

    retriever_id: str = Field(min_length=1)
    retriever_version: int | None = Field(None, ge=1)
    action: Literal["keep", "drop", "tag"] | None = None
    on_error: Literal["keep", "drop"] | None = None
    timeout_seconds: int = Field(30, ge=1, le=300)


class SourceAdapter(BaseModel):
    """How an external system feeds the bucket; stored as given."""

    model_config = ConfigDict(extra="allow")

    adapter_type: str
    enabled: bool = True


class _Changeable(RequestModel):
    description: str | None = None
    metadata: dict[str, Any] | None = None
    unique_key: UniqueKey | None = None
    storage_class: StorageClass | None = None
    destination: Destination | None = None
    ingest_filter: IngestFilter | None = None
    source_adapter: SourceAdapter | None = None


class CreateBucket(_Changeable):
    """`schema` is accepted for `bucket_schema`."""

    bucket_name: str = Field(min_length=1, max_length=256)
    bucket_schema: dict[str, Any] = Field(validation_alias=AliasChoices("bucket_schema", "schema"))


class UpdateBucket(_Changeable):
    """PATCH and PUT: only the keys that are given change."""

    bucket_name: str | None = Field(None, min_length=1, max_length=256)
    bucket_schema: dict[str, Any] | None = Field(None, validation_alias=AliasChoices("bucket_schema", "schema"))


class Sort(RequestModel):
    """One sort key."""

    field: str
    direction: Literal["asc", "desc"] = "asc"


class ListBuckets(RequestModel, PagingKeys):
    """Body of the list; every key is optional."""

    search: str | None = None
    filters: dict[str, Any] | None = None
    sort: Sort | None = None
    sorts: list[Sort] | None = None
    case_sensitive: bool = False
