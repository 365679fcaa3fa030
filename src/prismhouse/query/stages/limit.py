"""Stage `limit`: a slice of the documents."""

from __future__ import annotations

from pydantic import Field

from prismhouse.query.hits import Hit
from prismhouse.query.stages.port import Parameters, RunContext, StageRecord

__all__ = ["RECORD", "Limit", "LimitParameters"]


class LimitParameters(Parameters):
    """How many documents, from where."""

    limit: int = Field(10, ge=1, le=10_000, description="Documents to keep.")
    offset: int = Field(0, ge=0, le=10_000, description="Documents to leave out first.")


class Limit:
    """Past the end: nothing."""

    def __init__(self, parameters: LimitParameters) -> None:
        self._parameters = parameters

    async def run(self, hits: list[Hit], context: RunContext) -> list[Hit]:  # noqa: ARG002 - the port has it
        """Return the slice."""
        start = self._parameters.offset
        return hits[start : start + self._parameters.limit]


RECORD = StageRecord(
    stage_id="limit",
    category="reduce",
    icon="list-end",
    description="Keeps a number of documents, from an offset.",
    parameters=LimitParameters,
    make=Limit,
)
