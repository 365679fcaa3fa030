"""Stage `sort_attribute`: by a field, stable."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from prismhouse.query.hits import Hit
from prismhouse.query.stages.fields import MISSING, value_of
from prismhouse.query.stages.port import Parameters, RunContext, StageRecord

__all__ = ["RECORD", "SortAttribute", "SortAttributeParameters"]


class SortAttributeParameters(Parameters):
    """Which field, which end first, and where documents without it go."""

    field: str = Field(
        "metadata.created_at", min_length=1, validation_alias=AliasChoices("field", "sort_field", "sort_by")
    )
    direction: Literal["asc", "desc"] = Field("desc", validation_alias=AliasChoices("direction", "order"))
    nulls_last: bool = Field(True, description="False: documents without a value count as the smallest.")

    @model_validator(mode="before")
    @classmethod
    def _null_handling(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("null_handling") in {"first", "last"}:
            rest = {key: value for key, value in given.items() if key != "null_handling"}
            # "first" is only the natural place when ascending; descending starts with the largest.
            return {**rest, "nulls_last": given["null_handling"] == "last"}
        return given


class SortAttribute:
    """Numbers by size, texts by code point; where types are mixed, all are compared as texts."""

    def __init__(self, parameters: SortAttributeParameters) -> None:
        self._parameters = parameters

    async def run(self, hits: list[Hit], context: RunContext) -> list[Hit]:  # noqa: ARG002 - the port has it
        """Return the documents in order of the field."""
        values = [value_of(hit, self._parameters.field) for hit in hits]
        present = [(v, hit) for v, hit in zip(values, hits, strict=True) if v is not MISSING and v is not None]
        absent = [hit for v, hit in zip(values, hits, strict=True) if v is MISSING or v is None]
        numeric = all(isinstance(value, int | float) for value, _ in present)
        down = self._parameters.direction == "desc"
        ordered = [hit for _, hit in sorted(present, key=lambda p: p[0] if numeric else str(p[0]), reverse=down)]
        return [*ordered, *absent] if self._parameters.nulls_last or down else [*absent, *ordered]


RECORD = StageRecord(
    stage_id="sort_attribute",
    category="sort",
    icon="arrow-up-down",
    description="Orders documents by the value of a field.",
    parameters=SortAttributeParameters,
    make=SortAttribute,
    aliases=("sort_by_field",),
)
