"""From a definition to something that runs: stages checked, collections found, features resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prismhouse.api.collections.model import CollectionRow, resolve_feature_uri
from prismhouse.api.collections.model.brought import BROUGHT
from prismhouse.api.collections.schemas import ListCollections
from prismhouse.api.collections.service.collections import CollectionPage
from prismhouse.api.retrievers.model import input_fields
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.paging import Page
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.definition import StageSpec, read_stages
from prismhouse.query.pipeline import Pipeline, compile_pipeline
from prismhouse.query.stages.port import Target
from prismhouse.query.templates import inputs_of
from prismhouse.storage.postgres.database import NamespaceReader

__all__ = ["Collections", "Compiled", "compile_definition"]

_MOST_COLLECTIONS = 1_000


class Collections(Protocol):
    """What retrievers need of the service of collections."""

    async def resolve_known(self, tx: NamespaceReader, identifiers: Sequence[str]) -> dict[str, CollectionRow]:
        """Return the collections that exist, by the id or name they were asked by."""
        ...

    async def list_collections(self, scope: Scope, request: ListCollections, page: Page) -> CollectionPage:
        """Return a page of collections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A definition that can run. `fixed`: it stays right until its version changes, as it names its collections.

    Vectors that users bring are not fixed: an upsert may add one, and a promotion gives them a model.
    """

    retriever_id: str | None
    version: int
    pipeline: Pipeline
    collection_ids: Sequence[str]
    inputs: Mapping[str, Mapping[str, Any]]
    used_inputs: frozenset[str]
    budget: Mapping[str, Any]
    default_limit: int
    fixed: bool


async def compile_definition(
    tx: NamespaceReader,
    collections: Collections,
    scope: Scope,
    definition: Mapping[str, Any],
    *,
    retriever_id: str | None = None,
    version: int = 0,
) -> Compiled:
    """Return what runs; raise a 422 naming the stage, feature, collection or input at fault.

    A definition without collections searches those its stages name, else all of the namespace.
    """
    stages = read_stages(definition["stages"])
    named = definition.get("collection_identifiers") or _named_by(stages)
    targets = await _targets(tx, collections, named) if named else []
    if not named and any(spec.record.retrieves for spec in stages):
        targets = await _all(collections, scope)
    pipeline = await compile_pipeline(tx, stages, targets, resolve_feature_uri)
    return Compiled(
        retriever_id=retriever_id,
        version=version,
        pipeline=pipeline,
        collection_ids=[target.collection_id for target in targets] if named else [],
        inputs=input_fields(definition.get("input_schema")),
        used_inputs=frozenset(inputs_of([[spec.raw, spec.pre_filters] for spec in stages])),
        budget=definition.get("budget_limits") or {},
        default_limit=_default_limit(stages),
        fixed=bool(named) and all(target.settled for target in targets),
    )


def _named_by(stages: Sequence[StageSpec]) -> list[str]:
    found: dict[str, None] = {}
    for spec in stages:
        for holder in (spec.raw, *(spec.raw.get("searches") or ())):
            names = holder.get("collection_identifiers") or holder.get("collection_ids") or ()
            found |= dict.fromkeys(name for name in names if isinstance(name, str) and "{{" not in name)
    return list(found)


async def _targets(tx: NamespaceReader, collections: Collections, identifiers: Sequence[str]) -> list[Target]:
    known = await collections.resolve_known(tx, identifiers)
    missing = [name for name in identifiers if name not in known]
    if missing:
        raise Invalid([field_fault(["body", "collection_identifiers"], f"no collection {', '.join(missing)}")])
    return list({row.collection_id: _target(row) for row in known.values()}.values())


async def _all(collections: Collections, scope: Scope) -> list[Target]:
    page = Page(limit=_MOST_COLLECTIONS, offset=0, cursor=None, include_total=False)
    found = await collections.list_collections(scope, ListCollections(), page)
    return [_target(counted.row) for counted in found.results]


def _target(row: CollectionRow) -> Target:
    return Target(
        collection_id=row.collection_id,
        name=row.name,
        vector_indexes=row.vector_indexes,
        settled=row.extractor_name != BROUGHT,
    )


def _default_limit(stages: Sequence[StageSpec]) -> int:
    """Return the page size of a run that names none: what the last search gives, or 10."""
    for spec in reversed(stages):
        if spec.record.stage_id == "feature_search":
            given = spec.raw.get("final_top_k", spec.raw.get("limit", 25))
            return min(given, 500) if isinstance(given, int) else 25
    return 10
