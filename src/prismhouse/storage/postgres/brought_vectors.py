"""Vectors that users bring, of all three kinds: written and removed set by set, and shown as they were sent.

Half precision keeps 11 bits of each number of dense and multi vectors; sparse ones keep single precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from psycopg import sql

from prismhouse.kit.ids import CollectionId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter
from prismhouse.storage.postgres.halfvec import half_vectors
from prismhouse.storage.postgres.vectors import APPROXIMATE_FROM_ROWS, MAX_DIMENSIONS, VectorIndex

__all__ = ["Brought", "SparseVector", "has_outgrown_scans", "replace", "shown"]

FloatArray = npt.NDArray[np.float32]
_SHOWN = {
    "dense": "to_jsonb({v}.embedding::real[])",
    "multi": "jsonb_agg(to_jsonb({v}.embedding::real[]) ORDER BY {v}.position)",
    "sparse": "sparse_json({v}.embedding)",
}
_REMOVE = """
DELETE FROM {table} WHERE namespace_id = %(namespace_id)s AND document_id = ANY(%(document_ids)b)
"""
_WRITE_DENSE = """
INSERT INTO {table} (namespace_id, collection_id, document_id, embedding)
SELECT %(namespace_id)s, %(collection_id)s, given.document_id, given.embedding
FROM unnest(%(document_ids)b::text[], %(vectors)b::halfvec[]) AS given (document_id, embedding)
"""
_WRITE_MULTI = """
INSERT INTO {table} (namespace_id, collection_id, document_id, position, embedding)
SELECT %(namespace_id)s, %(collection_id)s, given.document_id, given.position, given.embedding
FROM unnest(%(document_ids)b::text[], %(positions)b::int[], %(vectors)b::halfvec[])
  AS given (document_id, position, embedding)
"""
_WRITE_SPARSE = """
INSERT INTO {table} (namespace_id, collection_id, document_id, embedding)
SELECT %(namespace_id)s, %(collection_id)s, given.document_id, given.embedding::sparsevec
FROM unnest(%(document_ids)b::text[], %(vectors)b::text[]) AS given (document_id, embedding)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseVector:
    """Values at places counted from 0; every other place holds 0."""

    indices: Sequence[int]
    values: Sequence[float]

    def text(self, dimensions: int) -> str:
        """Return what a statement casts to `sparsevec`."""
        pairs = ",".join(f"{i + 1}:{v:.9g}" for i, v in sorted(zip(self.indices, self.values, strict=True)))
        return f"{{{pairs}}}/{dimensions}"


Brought = FloatArray | SparseVector
"""A `(d,)` vector, several as `(n, d)`, or a sparse one."""


async def replace(
    tx: NamespaceWriter,
    index: VectorIndex,
    *,
    collection_id: CollectionId,
    document_ids: Sequence[str],
    vectors: Mapping[str, Brought],
) -> None:
    """Give each document the vectors it has in `vectors`, by id, and none where it has none there.

    The documents must be locked by this transaction: two that replace the same ones would meet at a key otherwise.
    """
    table = sql.Identifier(index.table_name)
    await tx.execute(sql.SQL(_REMOVE).format(table=table), {"document_ids": list(document_ids)})
    if not vectors:
        return
    parameters: dict[str, object] = {"collection_id": collection_id, "document_ids": list(vectors)}
    if index.kind == "sparse":
        statement = _WRITE_SPARSE
        parameters["vectors"] = [v.text(index.dimensions) for v in vectors.values() if isinstance(v, SparseVector)]
    else:
        blocks = [np.atleast_2d(v) for v in vectors.values() if not isinstance(v, SparseVector)]
        parameters["vectors"] = half_vectors(np.concatenate(blocks), index.type_oid)
        statement = _WRITE_DENSE
        if index.kind == "multi":
            statement = _WRITE_MULTI
            sized = list(zip(vectors, (len(block) for block in blocks), strict=True))
            parameters["document_ids"] = [document_id for document_id, size in sized for _ in range(size)]
            parameters["positions"] = [position for _, size in sized for position in range(size)]
    await tx.execute(sql.SQL(statement).format(table=table), parameters)


async def has_outgrown_scans(tx: NamespaceReader, index: VectorIndex) -> bool:
    """Return whether a graph would serve the index and none stands yet."""
    if index.approximate or index.kind == "sparse" or index.dimensions > MAX_DIMENSIONS:
        return False
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {table} WHERE namespace_id = %(namespace_id)s LIMIT %(enough)s) AS counted"
    ).format(table=sql.Identifier(index.table_name))
    return int(await tx.fetch_value(statement, {"enough": APPROXIMATE_FROM_ROWS})) >= APPROXIMATE_FROM_ROWS


def shown(kind: str, alias: str) -> str:
    """Return an expression of type jsonb for the vectors of one document in the rows `alias` of its table."""
    return _SHOWN[kind].format(v=alias)
