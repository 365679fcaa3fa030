"""Queries of sparse vectors and of several vectors: sent as such, or taken from a stored document."""

from __future__ import annotations

from typing import Any

import numpy as np

from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.query.search import identifier
from prismhouse.query.stages.port import Feature, FloatArray, RunContext
from prismhouse.query.stages.queries import QueryModeUnsupported, QueryVectorWrong, mode_of
from prismhouse.storage.postgres.brought_vectors import SparseVector
from prismhouse.storage.postgres.halfvec import LARGEST_VALUE

__all__ = ["several_of", "sparse_of"]

_MOST_QUERY_VECTORS = 256
_MOST_VALUES = 16_000


async def several_of(query: Any, feature: Feature, context: RunContext) -> FloatArray:
    """Return the `(n, d)` vectors to search with; a single one counts as a list of one."""
    mode, value = mode_of(query)
    if mode == "document":
        rows = await _stored(value, feature, context, "embedding::real[]", "ORDER BY position LIMIT 256")
        return np.asarray(rows, np.float32)
    if mode != "vector":
        raise QueryModeUnsupported(feature_uri=feature.index.feature_uri, mode=mode, accepted="vector, document")
    rows = [value] if isinstance(value, list) and value and not isinstance(value[0], list) else value
    if not isinstance(rows, list) or not 1 <= len(rows) <= _MOST_QUERY_VECTORS:
        raise _wrong(feature, f"is not a list of 1 to {_MOST_QUERY_VECTORS} vectors")
    dimensions = feature.index.dimensions
    if not all(isinstance(row, list) and set(map(type, row)) <= {int, float} for row in rows):
        raise _wrong(feature, "is not a list of lists of numbers")
    if any(len(row) != dimensions for row in rows):
        raise _wrong(feature, f"has a vector that is not of {dimensions} values")
    vectors = np.asarray(rows, np.float64)
    if not np.all(np.abs(vectors) <= LARGEST_VALUE):
        raise _wrong(feature, f"has a value that is not a number within {LARGEST_VALUE:.0f}")
    if feature.index.distance == "cosine" and not np.all(np.any(vectors.astype(np.float16), axis=1)):
        raise _wrong(feature, "has a vector that is zero, which has no direction to compare by cosine")
    return vectors.astype(np.float32)


async def sparse_of(query: Any, feature: Feature, context: RunContext) -> str:
    """Return the sparse vector to search with, as a statement reads it."""
    mode, value = mode_of(query)
    if mode == "document":
        return str((await _stored(value, feature, context, "embedding::text", ""))[0])
    if mode != "vector" or not isinstance(value, dict):
        raise QueryModeUnsupported(
            feature_uri=feature.index.feature_uri, mode=mode, accepted="vectors as {indices, values}, and document"
        )
    indices, values = value.get("indices"), value.get("values")
    if not isinstance(indices, list) or not isinstance(values, list) or not 1 <= len(indices) == len(values):
        raise _wrong(feature, "needs `indices` and as many `values`")
    if len(indices) > _MOST_VALUES or len(set(map(str, indices))) != len(indices):
        raise _wrong(feature, f"needs at most {_MOST_VALUES} indices, each once")
    if not set(map(type, indices)) <= {int} or not set(map(type, values)) <= {int, float}:
        raise _wrong(feature, "needs whole numbers as `indices` and numbers as `values`")
    if min(indices) < 0 or max(indices) >= feature.index.dimensions:
        raise _wrong(feature, f"has an index that is not from 0 to {feature.index.dimensions - 1}")
    if not all(abs(one) <= LARGEST_VALUE for one in values) or not any(values):
        raise _wrong(feature, f"needs numbers within {LARGEST_VALUE:.0f}, and not only zeros")
    return SparseVector(indices=indices, values=values).text(feature.index.dimensions)


def _wrong(feature: Feature, reason: str) -> QueryVectorWrong:
    return QueryVectorWrong(feature_uri=feature.index.feature_uri, reason=reason, dimensions=feature.index.dimensions)


async def _stored(reference: Any, feature: Feature, context: RunContext, embedding: str, order: str) -> list[Any]:
    if not isinstance(reference, dict) or not isinstance(reference.get("document_id"), str):
        raise Invalid([field_fault(["body", "query", "document_ref"], "needs document_id and collection_id")])
    document_id = reference["document_id"].replace("\x00", "")
    rows = await context.tx.fetch_all(
        f"SELECT {embedding} AS vector FROM {identifier(feature.index.table_name)}"
        f" WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s {order}",
        {"document_id": document_id},
    )
    if not rows:
        message = f"document {document_id} has no vector of {feature.index.feature_uri}"
        raise Invalid([field_fault(["body", "query", "document_ref"], message)])
    return [row["vector"] for row in rows]
