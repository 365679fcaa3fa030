"""Stage `attribute_filter`: keeps documents by their fields; first, it reads them from the collections."""

from __future__ import annotations

from itertools import compress
from typing import Any

from pydantic import Field, model_validator

from prismhouse.query.filters import And, Condition, Filter, Not, Operator, Or, matching, parse
from prismhouse.query.hits import Hit
from prismhouse.query.search import Query, run
from prismhouse.query.stages.port import NotBuilt, Parameters, RunContext, StageRecord

__all__ = ["RECORD", "AttributeFilter", "AttributeFilterParameters"]

_READ_PER_COLLECTION = 1_000


class AttributeFilterParameters(Parameters):
    """One condition, or a tree of them."""

    field: str = Field("metadata.status", description="Dotted path.")
    operator: str = Field("eq", description="An operator of the filter language.")
    value: Any = Field(None, description="What the operator compares with.")
    conditions: Any = Field(None, description="AND, OR and NOT of conditions; instead of the single one.")
    natural_language: str | None = None
    field_hints: list[str] | None = None
    batch_size: int = Field(100, ge=1, le=1000)
    case_insensitive: bool = Field(False, description="The case rule, unless the conditions have their own.")

    @model_validator(mode="before")
    @classmethod
    def _logic_at_root(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        logic = {key: given[key] for key in ("AND", "OR", "NOT", "case_sensitive") if key in given}
        if logic and "conditions" not in given:
            return {**{k: v for k, v in given.items() if k not in logic}, "conditions": logic}
        return given

    @model_validator(mode="after")
    def _one_form(self) -> AttributeFilterParameters:
        simple = {"field", "operator", "value"} & self.model_fields_set
        if self.conditions is not None and simple:
            raise ValueError(f"conditions exclude {', '.join(sorted(simple))}")
        if not simple and self.conditions is None and not self.natural_language:
            raise ValueError("needs conditions, or field, operator and value")
        return self

    def filter(self, *, templates: bool = False) -> Filter:
        """Return the tree; a field that is missing makes its condition false, `ne` and `nin` included."""
        tree = self.conditions
        path = ["body", "stages", "attribute_filter", "conditions"]
        if tree is None:
            tree = {"field": self.field, "operator": self.operator}
            if "value" in self.model_fields_set:
                tree["value"] = self.value
        return _present(parse(tree, path=path, case_sensitive=not self.case_insensitive, templates=templates))


class AttributeFilter:
    """In memory after another stage; as the first stage, in the database."""

    def __init__(self, parameters: AttributeFilterParameters) -> None:
        if parameters.natural_language and parameters.conditions is None:
            raise NotBuilt(what="attribute_filter.natural_language", instead="Write conditions instead.")
        self._parameters = parameters

    def filter(self) -> Filter:
        """Return what the stage asks for: a search that follows can apply it before scoring."""
        return self._parameters.filter()

    async def run(self, hits: list[Hit], context: RunContext) -> list[Hit]:  # noqa: ARG002 - the port has it
        """Return the documents that pass, in their order."""
        passed = await matching(self.filter(), [hit.document for hit in hits])
        return list(compress(hits, passed))

    async def read(self, context: RunContext) -> list[Hit]:
        """Return documents of the collections that pass, by id, at most 1,000 for each collection."""
        collection_ids = context.scope.collection_ids(None)
        found = await run(
            context.tx,
            Query(
                searches=(),
                collection_ids=collection_ids,
                limit=_READ_PER_COLLECTION * max(1, len(collection_ids)),
                filter=And((self.filter(), context.filter)),
                window=context.window,
                vectors=context.vectors,
                retriever_id=context.retriever_id,
            ),
        )
        context.version = found.version
        return [
            Hit(document_id, None, text) for document_id, text in zip(found.document_ids, found.documents, strict=True)
        ]


def _present(filter_: Filter) -> Filter:
    match filter_:
        case Condition(field=field, operator=Operator.NE | Operator.NIN):
            return And((filter_, Condition(field, Operator.EXISTS, True)))
        case Condition():
            return filter_
        case Not(part=part):
            return Not(_present(part))
        case And(parts=parts):
            return And(tuple(map(_present, parts)))
        case Or(parts=parts):
            return Or(tuple(map(_present, parts)))


RECORD = StageRecord(
    stage_id="attribute_filter",
    category="filter",
    icon="filter",
    description="Keeps the documents whose fields meet conditions.",
    parameters=AttributeFilterParameters,
    make=AttributeFilter,
    retrieves=True,
    aliases=("structured_filter", "filter"),
)
