"""One vector table per (namespace, feature): declared with the collection, written with the documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prismhouse.kit.ids import CollectionId, NamespaceId
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter

__all__ = ["VectorIndex", "build_approximate_indexes", "declare", "drop_all", "load", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorIndex:
    """Where the vectors of a feature stand. `distance` is cosine, dot or euclidean."""

    feature_uri: str
    table_name: str
    dimensions: int
    distance: str
    model: str
    approximate: bool


async def declare(tx: NamespaceWriter, *, feature_uri: str, dimensions: int, distance: str, model: str) -> VectorIndex:
    """Make the table of a feature unless it stands already; raise when it stands with another size."""
    raise NotImplementedError


async def load(tx: NamespaceReader, feature_uris: Sequence[str]) -> dict[str, VectorIndex]:
    """Return the indexes that exist, by feature URI."""
    raise NotImplementedError


async def write(
    tx: NamespaceWriter,
    index: VectorIndex,
    *,
    collection_id: CollectionId,
    document_ids: Sequence[str],
    vectors: npt.NDArray[np.float32],
) -> None:
    """Insert or replace `vectors` (n, d) float32 of `document_ids` (n) in one statement."""
    raise NotImplementedError


async def build_approximate_indexes(db: Database, namespace_id: NamespaceId) -> list[str]:
    """Build HNSW, without blocking writers, on every table that has grown past exact scans; return their names."""
    raise NotImplementedError


async def drop_all(tx: NamespaceWriter) -> None:
    """Drop all vector tables of the namespace."""
    raise NotImplementedError
