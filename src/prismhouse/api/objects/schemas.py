"""Wire shapes of objects."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prismhouse.api.web.body import RequestModel
from prismhouse.api.web.paging import PagingKeys

__all__ = [
    "AggregateObjects",
    "Aggregation",
    "BlobInput",
    "BulkSoftDelete",
    "CreateObject",
    "CreateObjects",
    "EdgeInput",
    "GroupBy",
    "Having",
    "ListObjects",
    "PatchObject",
    "RangeBucket",
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


class GroupBy(RequestModel):
    """One key of a group; a date is cut off at a unit, or reduced to a part."""

    field: str = Field(min_length=1)
    alias: str | None = None
    date_trunc: Literal["year", "month", "week", "day", "hour", "minute", "second"] | None = None
    date_part: Literal["year", "month", "week", "day", "dayOfWeek", "dayOfYear", "hour", "minute", "second"] | None = (
        None
    )

    @property
    def shown_as(self) -> str:
        """The name under which the answer has it."""
        return self.alias or self.field

    @model_validator(mode="after")
    def _one_cut(self) -> GroupBy:
        if self.date_trunc is not None and self.date_part is not None:
            raise ValueError("date_trunc and date_part exclude each other")
        return self


class Aggregation(RequestModel):
    """One number or list of a group."""

    function: Literal["count", "count_distinct", "sum", "avg", "min", "max", "first", "last", "push", "add_to_set"]
    field: str | None = None
    alias: str = Field(min_length=1)
    distinct_field: str | None = None

    @model_validator(mode="after")
    def _has_field(self) -> Aggregation:
        if self.function != "count" and not (self.field or self.distinct_field):
            raise ValueError(f"{self.function} needs a field")
        return self


class Having(RequestModel):
    """A condition on a metric or group key, by its alias."""

    field: str
    operator: Literal["gt", "gte", "lt", "lte", "eq", "ne"]
    value: float | str


class RangeBucket(RequestModel):
    """Numbers of a field by range; a value equal to a boundary belongs below it."""

    field: str
    boundaries: list[float] = Field(min_length=1, max_length=1000)
    default_bucket: str = "other"

    @model_validator(mode="after")
    def _ascending(self) -> RangeBucket:
        if any(high <= low for low, high in pairwise(self.boundaries)):
            raise ValueError("boundaries must ascend")
        return self


class AggregateObjects(RequestModel):
    """Group-by over the objects of a bucket."""

    group_by: list[GroupBy] = Field([], max_length=20)
    aggregations: list[Aggregation] = Field(min_length=1, max_length=50)
    filters: Any = None
    having: list[Having] | None = None
    unwind: str | None = None
    range_buckets: list[RangeBucket] | None = None
    sort_by: str | None = None
    sort_direction: Literal["asc", "desc"] = "desc"
    limit: int | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _names(self) -> AggregateObjects:
        ranged = [item.field for item in self.range_buckets or () if item.field not in {g.field for g in self.group_by}]
        names = [*(group.shown_as for group in self.group_by), *ranged, *(item.alias for item in self.aggregations)]
        if len(set(names)) != len(names):
            raise ValueError("every group key and aggregation needs an alias of its own")
        if not self.group_by and not ranged and any(item.function != "count" for item in self.aggregations):
            raise ValueError("group_by may be empty only when every aggregation is count")
        for used in (self.sort_by, *(item.field for item in self.having or ())):
            if used is not None and used not in names:
                raise ValueError(f"{used} is no alias here; there are {', '.join(names)}")
        return self
