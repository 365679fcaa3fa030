"""What every stage is given and gives, and the record by which the registry knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.query.filters import EVERYTHING, Filter
from prismhouse.query.hits import Hit
from prismhouse.query.search import EVERY_RANK, Window
from prismhouse.storage.postgres.database import NamespaceReader
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = [
    "Embedder",
    "Feature",
    "NotBuilt",
    "Parameters",
    "Report",
    "RunContext",
    "Scope",
    "Stage",
    "StageRecord",
    "Target",
]

FloatArray = npt.NDArray[np.float32]


class NotBuilt(WarehouseError):
    """{what} is not available yet."""

    code = Code.NOT_IMPLEMENTED
    hint = "{instead}"


class Embedder(Protocol):
    """Turns queries into vectors. `embed_image(model, data)` may be missing: then only text can be asked."""

    def check_unchanged(self, model: str, fingerprint: str, *, feature_uri: str) -> None:
        """Raise for a model that is not the one that made the vectors; called where its name alone does not tell."""
        ...

    async def embed(self, model: str, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d) float32` for texts."""
        ...


class Parameters(BaseModel):
    """Base of stage parameters: an undeclared key is an error."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A collection that a retriever searches; `vector_indexes` as the collection shows them.

    `settled`: these stay what they are as long as the collection does.
    """

    collection_id: str
    name: str
    vector_indexes: Sequence[Mapping[str, Any]]
    settled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A vector feature: where its vectors are, and what a query may be made of."""

    index: VectorIndex
    model: str
    modalities: Sequence[str]


class Scope(Protocol):
    """The collections of a run and the features in them."""

    def collection_ids(self, identifiers: Sequence[str] | None) -> list[str]:
        """Return ids for ids or names (None: all of the run); raise Invalid for one that is not declared."""
        ...

    def feature(self, uri: str, collection_ids: Sequence[str]) -> Feature:
        """Return the feature that `uri` names in these collections; raise a 422 that lists what there is."""
        ...


@dataclass(slots=True)
class Report:
    """What a run tells beside its documents."""

    warnings: list[str] = field(default_factory=list)
    degraded: list[dict[str, Any]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    relaxations: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class RunContext:
    """One stage's surroundings.

    `filter` holds what a search must apply before scoring: stage pre-filters, the caller's filters, and attribute
    filters that stand before it. `window` is the part of the result that needs JSON; `last` says that no stage follows.
    """

    tx: NamespaceReader
    scope: Scope
    embedder: Embedder
    report: Report
    stage_name: str
    filter: Filter = EVERYTHING
    window: Window = EVERY_RANK
    last: bool = False
    vectors: Mapping[str, VectorIndex] = field(default_factory=dict)
    retriever_id: str | None = None
    version: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Stage(Protocol):
    """A stage with its parameters."""

    async def run(self, hits: list[Hit], context: RunContext) -> list[Hit]:
        """Return the documents after this stage; raise a WarehouseError when it cannot run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """A kind of stage. `retrieves`: it makes documents when it comes first."""

    stage_id: str
    category: str
    icon: str
    description: str
    parameters: type[Parameters]
    make: Callable[[Any], Stage]
    retrieves: bool = False
    aliases: tuple[str, ...] = ()
