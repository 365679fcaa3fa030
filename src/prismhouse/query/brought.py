"""Rankings by sparse vectors, and by several vectors for each document (late interaction).

MaxSim: each query vector is worth its best match among a document's vectors, and a document the sum of these. Where
a graph stands, the nearest vectors of each query vector name the candidates, which are then compared in full; where
none stands, few match or too few are found, all matching documents are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prismhouse.query.filters import EVERYTHING, Filter
from prismhouse.storage.postgres.halfvec import HalfVector
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = ["MULTI_CHEAPER", "MULTI_ROWS", "MULTI_TABLES", "SPARSE_ROWS", "MultiSearch", "SparseSearch", "neighbours"]

_LEAST_NEIGHBOURS = 100
_MOST_NEIGHBOURS = 1_000
_NEIGHBOURS_OF_ONE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseSearch:
    """Documents whose sparse vectors share a place with the query's, which is written as `sparsevec` reads it."""

    index: VectorIndex
    vector: str
    collection_ids: Sequence[str]
    top_k: int
    min_score: float | None = None
    weight: float = 1.0
    filter: Filter = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiSearch:
    """Late interaction: `vectors` are the query's, as `halfvec[]`."""

    index: VectorIndex
    vectors: HalfVector
    collection_ids: Sequence[str]
    top_k: int
    min_score: float | None = None
    weight: float = 1.0
    filter: Filter = EVERYTHING


def neighbours(top_k: int) -> int:
    """Return how many of the nearest vectors of each query vector name candidates: several may be of one document."""
    return min(max(_LEAST_NEIGHBOURS, _NEIGHBOURS_OF_ONE * top_k), _MOST_NEIGHBOURS)


SPARSE_ROWS = """
SELECT document_id, score FROM (
  SELECT document_id, {score} AS score FROM (
    SELECT d.document_id, v.embedding {operator} %(q{n})s::sparsevec AS distance
    FROM documents AS d JOIN {table} AS v ON v.namespace_id = d.namespace_id AND v.document_id = d.document_id
    WHERE {scope} AND {condition}
  ) AS compared
) AS scored
WHERE score <> 0 ORDER BY score DESC, document_id LIMIT {top_k}
"""
_CANDIDATES = """
near{n} AS MATERIALIZED (
  SELECT DISTINCT one.document_id
  FROM unnest(%(q{n})b::halfvec[]) AS asked (embedding), LATERAL (
    SELECT v.document_id FROM {table} AS v
    WHERE {gates} AND v.namespace_id = %(namespace_id)s AND v.collection_id = ANY(%(c{n})s::text[]) AND {passes}
    ORDER BY v.embedding {operator} asked.embedding LIMIT {neighbours}
  ) AS one
)
"""
_CHOSEN = """
chosen{n} AS MATERIALIZED (
  SELECT document_id FROM near{n} WHERE (SELECT count(*) >= {top_k} FROM near{n})
  UNION ALL
  SELECT x.document_id FROM (SELECT count(*) < {top_k} AS needed FROM near{n}) AS gate, LATERAL (
    SELECT d.document_id FROM documents AS d WHERE gate.needed AND {scope} AND {condition}
  ) AS x
)
"""
# One step of a walk with its test of the document costs as much as comparing so many vectors (measured: 30 us
# against 0.6 us). Matches are compared one by one where that is cheaper.
_STEP_COST = 50
MULTI_CHEAPER = (
    " AND (SELECT hits::float8 ^ 2 * reltuples >= looked::float8 ^ 2 * {neighbours} *"
    f" {_STEP_COST} FROM sample{{n}}, pg_class WHERE oid = '{{table}}'::regclass)"
)
MULTI_TABLES = (_CANDIDATES, _CHOSEN)
MULTI_ROWS = """
SELECT c.document_id, compared.score::float8 AS score
FROM chosen{n} AS c CROSS JOIN LATERAL (
  SELECT sum({score}) AS score FROM (
    SELECT min(v.embedding {operator} asked.embedding) AS distance
    FROM {table} AS v, unnest(%(q{n})b::halfvec[]) WITH ORDINALITY AS asked (embedding, place)
    WHERE v.namespace_id = %(namespace_id)s AND v.document_id = c.document_id
    GROUP BY asked.place OFFSET 0
  ) AS matches
) AS compared
WHERE compared.score IS NOT NULL ORDER BY score DESC, document_id LIMIT {top_k}
"""
