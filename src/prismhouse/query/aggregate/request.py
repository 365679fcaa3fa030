"""What an aggregation asks for, as it comes over the wire."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Aggregation", "GroupBy", "Having", "Metric", "RangeBucket"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class GroupBy(_Part):
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


class Metric(_Part):
    """One number or list of a group."""

    function: Literal["count", "count_distinct", "sum", "avg", "min", "max", "first", "last", "push", "add_to_set"]
    field: str | None = None
    alias: str = Field(min_length=1)
    distinct_field: str | None = None

    @model_validator(mode="after")
    def _has_field(self) -> Metric:
        if self.function != "count" and not (self.field or self.distinct_field):
            raise ValueError(f"{self.function} needs a field")
        return self


class Having(_Part):
    """A condition on a metric or group key, by its alias."""

    field: str
    operator: Literal["gt", "gte", "lt", "lte", "eq", "ne"]
    value: float | str


class RangeBucket(_Part):
    """Numbers of a field by range; a value equal to a boundary belongs below it."""

    field: str
    boundaries: list[float] = Field(min_length=1, max_length=1000)
    default_bucket: str | None = None

    @property
    def default(self) -> str:
        """The bucket of what is no number."""
        return "other" if self.default_bucket is None else self.default_bucket

    @model_validator(mode="after")
    def _ascending(self) -> RangeBucket:
        if any(high <= low for low, high in pairwise(self.boundaries)):
            raise ValueError("boundaries must ascend")
        return self


class Aggregation(_Part):
    """Groups of records, and numbers or lists of each group."""

    group_by: list[GroupBy] | None = Field(None, max_length=20)
    aggregations: list[Metric] = Field(min_length=1, max_length=50)
    filters: Any = None
    having: list[Having] | None = Field(None, max_length=50)
    unwind: str | None = None
    range_buckets: list[RangeBucket] | None = Field(None, max_length=20)
    sort_by: str | None = None
    sort_direction: Literal["asc", "desc"] = "desc"
    limit: int | None = Field(None, gt=0)

    @property
    def groups(self) -> list[GroupBy]:
        """The keys of a group: those that are asked for, then ranges that no key names."""
        named = {group.field for group in self.group_by or ()}
        ranged = [GroupBy(field=item.field) for item in self.range_buckets or () if item.field not in named]
        return [*(self.group_by or ()), *ranged]

    @model_validator(mode="after")
    def _names(self) -> Aggregation:
        names = [*(group.shown_as for group in self.groups), *(item.alias for item in self.aggregations)]
        if len(set(names)) != len(names):
            raise ValueError("every group key and aggregation needs an alias of its own")
        if not self.groups and any(item.function != "count" for item in self.aggregations):
            raise ValueError("group_by may be empty only when every aggregation is count")
        for used in (self.sort_by, *(item.field for item in self.having or ())):
            if used is not None and used not in names:
                raise ValueError(f"{used} is no alias here; there are {', '.join(names)}")
        return self
