"""Stage `feature_search`: vector and text searches, fused, in one statement."""

from __future__ import annotations

import secrets
from typing import Any, Literal

import numpy as np
from pydantic import AliasChoices, Field, model_validator

from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.brought import MultiSearch, SparseSearch
from prismhouse.query.filters import EVERYTHING, And, Filter, parse
from prismhouse.query.fusion import Fusion
from prismhouse.query.hits import Hit
from prismhouse.query.search import DenseSearch, LexicalSearch, Query, Search, run
from prismhouse.query.stages.brought import several_of, sparse_of
from prismhouse.query.stages.port import NotBuilt, Parameters, RunContext, StageRecord
from prismhouse.query.stages.queries import EmptyQuery, is_empty, text_of, vector_of
from prismhouse.storage.postgres.halfvec import half_vector, half_vectors

__all__ = ["RECORD", "FeatureSearch", "FeatureSearchParameters", "SearchEntry"]

_MAX = 5_000


class SearchEntry(Parameters):
    """One ranking. A lexical one looks for words in all text fields; its URI only says which collections."""

    feature_uri: str = Field(min_length=1, description="mixpeek://extractor@version/output, or a short form of it.")
    query: Any = Field("{{INPUT.query}}", description="Text, or {input_mode, value}: text, vector, document, content.")
    top_k: int = Field(100, ge=1, le=10_000)
    min_score: float | None = Field(None, description="Least score, before fusion.")
    weight: float = Field(1.0, ge=0, le=1)
    lexical: bool = False
    optional: bool = Field(False, description="Skip this search when the collections have no such feature.")
    on_empty: Literal["error", "skip", "random"] = "error"
    filters: Any = Field(None, description="A filter for this search alone.")
    collection_identifiers: list[str] | None = Field(
        None, validation_alias=AliasChoices("collection_identifiers", "collection_ids")
    )
    query_preprocessing: dict[str, Any] | None = None
    embedding_task: str | None = None


class FeatureSearchParameters(Parameters):
    """Searches and how to fuse them. Without searches: the documents that pass the filters, without a score."""

    searches: list[SearchEntry] = Field([], max_length=10)
    final_top_k: int = Field(25, ge=1, le=_MAX, validation_alias=AliasChoices("final_top_k", "limit"))
    fusion: Fusion | Literal["learned"] = Fusion.RRF
    collection_identifiers: list[str] | None = Field(
        None, validation_alias=AliasChoices("collection_identifiers", "collection_ids")
    )
    facets: list[Any] | None = None
    group_by: dict[str, Any] | None = None
    learning_config: dict[str, Any] | None = None
    query_preprocessing: dict[str, Any] | None = None
    auto_preprocess: bool = True
    hard_timeout_ms: int = Field(5_000, ge=1)
    interactive: bool = False
    degrade_retry: bool = True
    cache_behavior: Literal["auto", "disabled", "aggressive"] = "auto"
    cache_ttl_seconds: int | None = Field(None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _single(cls, given: Any) -> Any:
        """Accept one search written flat: feature_uri, query and top_k beside the others."""
        if isinstance(given, dict) and "searches" not in given and ("feature_uri" in given or "query" in given):
            own = {k: v for k, v in given.items() if k in SearchEntry.model_fields and k != "collection_identifiers"}
            return {**{k: v for k, v in given.items() if k not in own}, "searches": [own]}
        return given


class FeatureSearch:
    """The same parameters always make the same statement; the vectors and the scope come with the run."""

    def __init__(self, parameters: FeatureSearchParameters) -> None:
        for name in ("facets", "group_by", "query_preprocessing"):
            if getattr(parameters, name):
                raise NotBuilt(what=f"feature_search.{name}", instead="Leave it out.")
        if parameters.fusion == "learned":
            raise NotBuilt(what="Learned fusion", instead="Use rrf, dbsf, weighted or max.")
        self.parameters = parameters

    async def run(self, hits: list[Hit], context: RunContext) -> list[Hit]:  # noqa: ARG002 - it replaces them
        """Return the best documents, best first."""
        limit = self._limit(context)
        collection_ids = context.scope.collection_ids(self.parameters.collection_identifiers)
        searches = [s for e in self.parameters.searches if (s := await self._search(e, context, limit)) is not None]
        if self.parameters.searches and not searches:
            raise Invalid([field_fault(["body", "stages", context.stage_name], "every search was skipped")])
        if not searches and context.filter == EVERYTHING:
            raise Invalid([field_fault(["body", "stages", context.stage_name], "needs searches or pre_filters")])
        found = await run(
            context.tx,
            Query(
                searches=searches,
                collection_ids=collection_ids,
                limit=limit,
                filter=context.filter,
                fusion=Fusion(self.parameters.fusion),
                window=context.window,
                vectors=context.vectors,
                retriever_id=context.retriever_id,
            ),
        )
        context.version = found.version
        return [
            Hit(document_id, score, text)
            for document_id, score, text in zip(found.document_ids, found.scores, found.documents, strict=True)
        ]

    def _limit(self, context: RunContext) -> int:
        """Return how many to find: the last stage goes as deep as the page asks."""
        asked = self.parameters.final_top_k
        return min(max(asked, context.window.stop), _MAX) if context.last else asked

    async def _search(self, entry: SearchEntry, context: RunContext, limit: int) -> Search | None:
        collection_ids = context.scope.collection_ids(
            entry.collection_identifiers or self.parameters.collection_identifiers
        )
        top_k = self._top_k(entry, context, limit)
        if is_empty(entry.query) and entry.on_empty != "random":
            if entry.on_empty == "error":
                raise EmptyQuery(feature_uri=entry.feature_uri)
            context.report.warnings.append(f"{context.stage_name}: search on {entry.feature_uri} had an empty query")
            return None
        wanted = _both(context.filter, entry.filters)
        if entry.lexical:
            return LexicalSearch(
                text=text_of(entry.query, entry.feature_uri),
                collection_ids=collection_ids,
                top_k=top_k,
                min_score=entry.min_score,
                weight=entry.weight,
                filter=wanted,
            )
        feature = context.scope.feature(entry.feature_uri, collection_ids)
        common: dict[str, Any] = {
            "index": feature.index,
            "collection_ids": collection_ids,
            "top_k": top_k,
            "min_score": entry.min_score,
            "weight": entry.weight,
            "filter": wanted,
        }
        if feature.index.kind == "multi":
            vectors = await several_of(entry.query, feature, context)
            return MultiSearch(vectors=half_vectors(vectors, feature.index.type_oid), **common)
        if feature.index.kind == "sparse":
            return SparseSearch(vector=await sparse_of(entry.query, feature, context), **common)
        if is_empty(entry.query):
            seed = np.random.default_rng(secrets.randbits(64))
            vector = seed.standard_normal(feature.index.dimensions).astype(np.float32)
        else:
            vector = await vector_of(entry.query, feature, context)
        return DenseSearch(vector=half_vector(vector), **common)

    def _top_k(self, entry: SearchEntry, context: RunContext, limit: int) -> int:
        if entry.top_k > _MAX:
            context.report.limits.append(
                {
                    "name": "top_k",
                    "requested": entry.top_k,
                    "applied": _MAX,
                    "ceiling": _MAX,
                    "stage": context.stage_name,
                }
            )
        return min(max(entry.top_k, limit if context.last else 1), _MAX)


def _both(common: Filter, own: Any) -> Filter:
    if own is None:
        return common
    mine = parse(own, path=["body", "searches", "filters"])
    return mine if common == EVERYTHING else And((common, mine))


RECORD = StageRecord(
    stage_id="feature_search",
    category="filter",
    icon="search",
    description="Finds documents by vectors, words or both, and fuses the rankings.",
    parameters=FeatureSearchParameters,
    make=FeatureSearch,
    retrieves=True,
    aliases=("feature_filter", "knn_search", "semantic_search", "hybrid_search"),
)
