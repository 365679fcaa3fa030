"""Stages bound to collections, and their run: compiled once for each version of a retriever, then only executed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.query.definition import ANY_TEXT_FEATURE, StageSpec
from prismhouse.query.filters import EVERYTHING, MAX_DEPTH, And, Filter, parse
from prismhouse.query.hits import Hit
from prismhouse.query.search import EVERY_RANK, Window
from prismhouse.query.stages.attribute_filter import AttributeFilter
from prismhouse.query.stages.feature_search import FeatureSearch, FeatureSearchParameters
from prismhouse.query.stages.port import Embedder, Feature, Report, RunContext, Stage, Target
from prismhouse.query.templates import MISSING, prune, render
from prismhouse.storage.postgres import vectors
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = ["Outcome", "Pipeline", "ResolveURI", "RunRequest", "compile_pipeline"]

ResolveURI = Callable[[Sequence[Mapping[str, Any]], str], str]
_SEARCH_CEILING_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a run gave. `version` is the retriever's version when the search ran, if it looked."""

    hits: list[Hit]
    statistics: dict[str, dict[str, Any]]
    report: Report
    version: int | None
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What one run is given. `filters` joins the filters of the first stage that retrieves."""

    inputs: Mapping[str, Any]
    filters: Any
    window: Window
    retriever_id: str | None = None
    return_vectors: bool = False
    max_time_ms: float | None = None
    filter_depth: int = MAX_DEPTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Checked stages over known collections."""

    stages: Sequence[StageSpec]
    targets: Sequence[Target]
    indexes: Mapping[str, VectorIndex]
    resolve: ResolveURI
    features: dict[tuple[str, tuple[str, ...]], Feature] = field(default_factory=dict)

    def collection_ids(self, identifiers: Sequence[str] | None) -> list[str]:
        """Return ids for ids or names; None: all."""
        if identifiers is None:
            return [target.collection_id for target in self.targets]
        by_any = {t.name: t.collection_id for t in self.targets} | {
            t.collection_id: t.collection_id for t in self.targets
        }
        unknown = [name for name in identifiers if name not in by_any]
        if unknown:
            known = ", ".join(target.name for target in self.targets) or "none"
            message = f"{unknown[0]} is not among the retriever's collections ({known})"
            raise Invalid([field_fault(["body", "stages", "collection_identifiers"], message)])
        return [by_any[name] for name in identifiers]

    def feature(self, uri: str, collection_ids: Sequence[str]) -> Feature:
        """Return the feature `uri` stands for in these collections."""
        key = (uri, tuple(collection_ids))
        found = self.features.get(key)
        if found is None:
            entries = self._entries(collection_ids)
            canonical = self.resolve(entries, uri)
            entry = next(e for e in entries if e["feature_uri"] == canonical)
            index = self.indexes.get(canonical)
            if index is None:
                message = f"{canonical} has no vectors in this namespace"
                raise Invalid([field_fault(["body", "stages", "feature_uri"], message)])
            found = Feature(
                index=index,
                model=index.model,
                modalities=tuple((entry.get("index") or {}).get("supported_inputs") or ("text",)),
            )
            self.features[key] = found
        return found

    def text_features(self, collection_ids: Sequence[str]) -> list[str]:
        """Return the first text feature of each collection, without repeats."""
        chosen: dict[str, None] = {}
        for target in self.targets:
            if target.collection_id in collection_ids:
                texts = (
                    str(entry["feature_uri"])
                    for entry in target.vector_indexes
                    if "text" in ((entry.get("index") or {}).get("supported_inputs") or ("text",))
                )
                chosen |= dict.fromkeys([uri for uri in texts if uri in self.indexes][:1])
        return list(chosen)

    def _entries(self, collection_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        wanted = set(collection_ids)
        return [e for t in self.targets if t.collection_id in wanted for e in t.vector_indexes]

    def vector_tables(self) -> dict[str, VectorIndex]:
        """Return, by the name vectors have in documents, where they are."""
        entries = (entry for target in self.targets for entry in target.vector_indexes)
        return {
            str(entry["name"]): self.indexes[entry["feature_uri"]]
            for entry in entries
            if entry["feature_uri"] in self.indexes
        }

    async def run(self, tx: NamespaceReader, request: RunRequest, embedder: Embedder) -> Outcome:
        """Run all stages in order. A stage that fails raises, or is skipped where it says so."""
        return await _Run(self, tx, request, embedder).all_stages()

    def prepare(self, spec: StageSpec, inputs: Mapping[str, Any]) -> Stage:
        """Return the stage with its templates filled in; raise Invalid for a value that does not fit."""
        parameters = spec.parameters
        if parameters is None:
            parameters = spec.filled(_emptied(prune(_empty_queries(render(spec.raw, inputs)))))
        if isinstance(parameters, FeatureSearchParameters):
            parameters = self._any_text(parameters)
        return spec.record.make(parameters)

    def _any_text(self, parameters: FeatureSearchParameters) -> FeatureSearchParameters:
        """Turn a search that names no feature into one search for each text feature."""
        if not any(entry.feature_uri == ANY_TEXT_FEATURE for entry in parameters.searches):
            return parameters
        uris = self.text_features(self.collection_ids(parameters.collection_identifiers))
        searches = []
        for entry in parameters.searches:
            if entry.feature_uri == ANY_TEXT_FEATURE:
                searches += [entry.model_copy(update={"feature_uri": uri}) for uri in uris]
                if not uris:
                    searches.append(entry.model_copy(update={"lexical": True}))
            else:
                searches.append(entry)
        return parameters.model_copy(update={"searches": searches})


class _Run:
    """One run: what passed so far, and the filters that wait for the search."""

    def __init__(self, pipeline: Pipeline, tx: NamespaceReader, request: RunRequest, embedder: Embedder) -> None:
        self._pipeline = pipeline
        self._tx = tx
        self._request = request
        self._embedder = embedder
        self._outcome = Outcome(hits=[], statistics={}, report=Report(), version=None, total_ms=0)
        self._waiting = [self._filter(request.filters, ["body", "filters"])]
        self._retrieved = False
        ids = [spec.record.stage_id for spec in pipeline.stages]
        self._search_at = ids.index("feature_search") if "feature_search" in ids else -1

    async def all_stages(self) -> Outcome:
        started = time.perf_counter()
        outcome, budget_ms = self._outcome, self._request.max_time_ms
        for number, spec in enumerate(self._pipeline.stages):
            if budget_ms is not None and (time.perf_counter() - started) * 1000 > budget_ms:
                reason, next_step = "the time budget was used up", "Raise budget_limits.max_time_ms."
                outcome.report.degraded.append(_degraded(spec, reason, next_step))
                break
            await self._stage(number, spec)
        outcome.total_ms = (time.perf_counter() - started) * 1000
        return outcome

    async def _stage(self, number: int, spec: StageSpec) -> None:
        outcome = self._outcome
        context = self._context(spec, last=number == len(self._pipeline.stages) - 1)
        before, clock, error = len(outcome.hits), time.perf_counter(), None
        try:
            own = self._filter(spec.pre_filters, ["body", "stages", spec.name, "pre_filters"])
            stage = self._pipeline.prepare(spec, self._request.inputs)
            if isinstance(stage, AttributeFilter) and number < self._search_at and not self._retrieved:
                # What passes here is what the search may find: the search applies it before scoring.
                self._waiting += [stage.filter(), own]
                context.metadata["pushed_down"] = True
            elif spec.record.retrieves or outcome.hits:
                context.filter = _all([*(() if self._retrieved else self._waiting), own])
                outcome.hits = await self._run_stage(spec, stage, context)
                self._retrieved = self._retrieved or spec.record.retrieves
        except WarehouseError as failure:
            if not spec.skip_on_error:
                raise
            error = failure.message
            outcome.report.degraded.append(_degraded(spec, error, "Correct the stage, or remove it."))
        outcome.version = outcome.version if context.version is None else context.version
        outcome.statistics[spec.name] = _statistics(before, len(outcome.hits), clock, error, context.metadata)

    def _context(self, spec: StageSpec, *, last: bool) -> RunContext:
        return RunContext(
            tx=self._tx,
            scope=self._pipeline,
            embedder=self._embedder,
            report=self._outcome.report,
            stage_name=spec.name,
            window=self._request.window if last else EVERY_RANK,
            last=last,
            vectors=self._pipeline.vector_tables() if self._request.return_vectors else {},
            retriever_id=self._request.retriever_id,
        )

    def _filter(self, tree: Any, path: list[Any]) -> Filter:
        """Return the filter with its templates filled in; conditions without their input are dropped and reported."""
        if tree is None:
            return EVERYTHING
        filled = prune(render(tree, self._request.inputs), self._outcome.report.relaxations)
        return parse(_emptied(filled), max_depth=self._request.filter_depth, path=path)

    async def _run_stage(self, spec: StageSpec, stage: Stage, context: RunContext) -> list[Hit]:
        hits = self._outcome.hits
        if isinstance(stage, AttributeFilter) and not self._retrieved:
            return await stage.read(context)
        if not isinstance(stage, FeatureSearch):
            return await stage.run(hits, context)
        seconds = min(stage.parameters.hard_timeout_ms / 1000, _SEARCH_CEILING_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                return await stage.run(hits, context)
        except TimeoutError:
            reason, next_step = f"the search took longer than {seconds:g} s", "Narrow it with filters, or lower top_k."
            context.report.degraded.append(_degraded(spec, reason, next_step))
            return []


async def compile_pipeline(
    tx: NamespaceReader, stages: Sequence[StageSpec], targets: Sequence[Target], resolve: ResolveURI
) -> Pipeline:
    """Bind stages to collections; raise a 422 for a feature or collection that is not there."""
    uris = {str(entry["feature_uri"]) for target in targets for entry in target.vector_indexes}
    indexes = await vectors.load(tx, sorted(uris)) if uris else {}
    pipeline = Pipeline(stages=stages, targets=targets, indexes=indexes, resolve=resolve)
    for spec in stages:
        if spec.record.stage_id == "feature_search":
            _check_searches(pipeline, spec)
    return pipeline


def _check_searches(pipeline: Pipeline, spec: StageSpec) -> None:
    for search in spec.raw.get("searches") or ():
        uri, lexical = search.get("feature_uri"), search.get("lexical")
        scope = search.get("collection_identifiers") or spec.raw.get("collection_identifiers")
        scope = scope or spec.raw.get("collection_ids")
        if not isinstance(uri, str) or "{{" in uri or uri == ANY_TEXT_FEATURE or search.get("optional") or lexical:
            continue
        pipeline.feature(uri, pipeline.collection_ids(scope if isinstance(scope, list) else None))


def _all(filters: Sequence[Filter]) -> Filter:
    real = [one for one in filters if one != EVERYTHING]
    return real[0] if len(real) == 1 else And(tuple(real))


def _empty_queries(value: Any) -> Any:
    """Give queries without an input the empty text: `on_empty` decides about them."""
    if isinstance(value, dict):
        empty = {key: "" for key in ("query", "value", "text") if value.get(key) is MISSING and "field" not in value}
        return {key: _empty_queries(item) for key, item in value.items()} | empty
    return [_empty_queries(item) for item in value] if isinstance(value, list) else value


def _emptied(value: Any) -> Any:
    return value if isinstance(value, dict | list) else {}


def _degraded(spec: StageSpec, reason: str, next_step: str) -> dict[str, Any]:
    return {
        "resource": "stage",
        "id": spec.record.stage_id,
        "reason": reason,
        "next_step": next_step,
        "stage": spec.name,
    }


def _statistics(before: int, after: int, clock: float, error: str | None, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "input_count": before,
        "output_count": after,
        "duration_ms": round((time.perf_counter() - clock) * 1000, 3),
        "efficiency": after / before if before else 0.0,
        "stage_cache_hit": False,
        "cache_hit": False,
        "error": error,
        "metadata": metadata,
    }
