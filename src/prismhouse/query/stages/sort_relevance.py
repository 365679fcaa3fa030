"""Stage `sort_relevance`: by a score, stable."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from prismhouse.query.hits import Hit
from prismhouse.query.stages.fields import value_of
from prismhouse.query.stages.port import Parameters, RunContext, StageRecord

__all__ = ["RECORD", "SortRelevance", "SortRelevanceParameters"]


class SortRelevanceParameters(Parameters):
    """Which score, which end first, and where documents without one go."""

    score_field: str = Field("score", min_length=1, description="Dotted path of the score.")
    direction: Literal["asc", "desc"] = Field("desc", validation_alias=AliasChoices("direction", "order"))
    missing_score: Literal["bottom", "top", "preserve"] = Field(
        "bottom", description="Where documents without a number there go; preserve keeps their places."
    )


class SortRelevance:
    """Equal scores keep their order."""

    def __init__(self, parameters: SortRelevanceParameters) -> None:
        self._parameters = parameters

    async def run(self, hits: list[Hit], context: RunContext) -> list[Hit]:  # noqa: ARG002 - the port has it
        """Return the documents in order of their score."""
        scores = [_number(hit, self._parameters.score_field) for hit in hits]
        scored = [(score, hit) for score, hit in zip(scores, hits, strict=True) if score is not None]
        ordered = [hit for _, hit in sorted(scored, key=lambda s: s[0], reverse=self._parameters.direction == "desc")]
        match self._parameters.missing_score:
            case "preserve":
                rest = iter(ordered)
                return [hit if score is None else next(rest) for score, hit in zip(scores, hits, strict=True)]
            case "top":
                return [*(h for s, h in zip(scores, hits, strict=True) if s is None), *ordered]
            case _:
                return [*ordered, *(h for s, h in zip(scores, hits, strict=True) if s is None)]


def _number(hit: Hit, path: str) -> float | None:
    value = value_of(hit, path)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


RECORD = StageRecord(
    stage_id="sort_relevance",
    category="sort",
    icon="arrow-down-wide-narrow",
    description="Orders documents by a score.",
    parameters=SortRelevanceParameters,
    make=SortRelevance,
)
