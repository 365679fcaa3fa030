"""One vector table per (namespace, feature): declared with the collection, written with the documents.

Rows leave with their documents: a trigger on `documents` deletes them (migration 0005). A foreign key would lock
`documents` against writes whenever a feature is declared, and cost a look-up for every vector written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.kit.ids import CollectionId, NamespaceId
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter
from prismhouse.storage.postgres.halfvec import LARGEST_VALUE, half_vectors
from prismhouse.storage.postgres.locks import Lock

__all__ = [
    "APPROXIMATE_FROM_ROWS",
    "DISTANCE_OPERATORS",
    "KINDS",
    "MAX_DIMENSIONS",
    "MAX_EXACT_DIMENSIONS",
    "MAX_SPARSE_DIMENSIONS",
    "VectorIndex",
    "VectorModelConflict",
    "VectorSizeConflict",
    "VectorUnusable",
    "build_approximate_indexes",
    "declare",
    "drop_all",
    "load",
    "write",
]

APPROXIMATE_FROM_ROWS = 10_000
MAX_DIMENSIONS = 4_000
"""Most dimensions of a graph index; dense vectors up to `MAX_EXACT_DIMENSIONS` are compared one by one."""
MAX_EXACT_DIMENSIONS = 16_000
MAX_SPARSE_DIMENSIONS = 1_000_000_000
# A row with a longer vector and long ids would outgrow a page.
_MAX_IN_ROW = 3_600
KINDS = ("dense", "multi", "sparse")
DISTANCE_OPERATORS = {"cosine": "<=>", "dot": "<#>", "euclidean": "<->"}
_CLASSES = {"cosine": "halfvec_cosine_ops", "dot": "halfvec_ip_ops", "euclidean": "halfvec_l2_ops"}


class VectorSizeConflict(WarehouseError):
    """Feature {feature_uri} holds {standing}-dimensional vectors ({distance}), not {asked}-dimensional ({wanted})."""

    code = Code.CONFLICT
    hint = "Use the model the feature was made with, or another feature."


class VectorModelConflict(WarehouseError):
    """Feature {feature_uri} holds vectors of a {model} with other files or settings than the one there is now."""

    code = Code.CONFLICT
    hint = "Bring the old {model} back, or give the new one another name."
    wire_code = "model_changed"


class VectorUnusable(WarehouseError):
    """Vectors of {feature_uri} cannot be stored: {reason}."""

    code = Code.INVALID
    hint = "Send finite numbers, one vector of {dimensions} values for each document."


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorIndex:
    """Where the vectors of a feature stand. `distance` is cosine, dot or euclidean.

    `kind` is dense (one vector for a document), multi (several, a row for each) or sparse. `model_fingerprint` tells
    models of one name apart; empty where it is not known, or the name says it all.
    """

    feature_uri: str
    table_name: str
    dimensions: int
    distance: str
    model: str
    approximate: bool
    kind: str = "dense"
    model_fingerprint: str = ""
    type_oid: int = field(default=0, repr=False)


_LOAD = """
SELECT feature_uri, table_name, dimensions, distance, model, approximate, kind, model_fingerprint,
  'halfvec'::regtype::oid::bigint AS type_oid
FROM vector_indexes WHERE namespace_id = %(namespace_id)s AND feature_uri = ANY(%(feature_uris)s)
"""


def _table_name(namespace_id: str, feature_uri: str) -> str:
    return f"vectors_{hashlib.blake2b(f'{namespace_id}/{feature_uri}'.encode(), digest_size=12).hexdigest()}"


async def declare(
    tx: NamespaceWriter,
    *,
    feature_uri: str,
    dimensions: int,
    distance: str,
    model: str,
    kind: str = "dense",
    model_fingerprint: str = "",
    most: int = MAX_DIMENSIONS,
) -> VectorIndex:
    """Make the table of a feature unless it stands already; raise when it stands with another size.

    `most` is the largest size to accept; no graph is built beyond `MAX_DIMENSIONS`.
    """
    if not 1 <= dimensions <= most or distance not in DISTANCE_OPERATORS:
        message = f"needs 1 to {most} dimensions and a distance of {', '.join(DISTANCE_OPERATORS)}"
        raise Invalid([field_fault(["body", "vector_indexes", feature_uri], message)])
    wanted = {"dimensions": dimensions, "distance": distance, "model": model, "kind": kind}
    wanted["model_fingerprint"] = model_fingerprint
    index = (await load(tx, [feature_uri])).get(feature_uri) or await _create(tx, feature_uri, wanted)
    if (index.dimensions, index.distance, index.kind) != (dimensions, distance, kind):
        raise VectorSizeConflict(
            feature_uri=feature_uri,
            standing=index.dimensions,
            distance=index.distance,
            asked=dimensions,
            wanted=distance,
        )
    if "" not in (model_fingerprint, index.model_fingerprint) and model_fingerprint != index.model_fingerprint:
        raise VectorModelConflict(feature_uri=feature_uri, model=model)
    return index


async def _create(tx: NamespaceWriter, feature_uri: str, wanted: Mapping[str, Any]) -> VectorIndex:
    name = _table_name(tx.namespace_id, feature_uri)
    # The row is the lock: a second declaration of the same feature waits here for the first one's commit.
    created = await tx.execute(
        """
        INSERT INTO vector_indexes
          (namespace_id, feature_uri, table_name, dimensions, distance, model, kind, model_fingerprint)
        VALUES (%(namespace_id)s, %(feature_uri)s, %(table_name)s, %(dimensions)s, %(distance)s, %(model)s, %(kind)s,
          %(model_fingerprint)s)
        ON CONFLICT (namespace_id, feature_uri) DO NOTHING
        """,
        {**wanted, "feature_uri": feature_uri, "table_name": name},
    )
    if created:
        await tx.unscoped.execute(_table(name, wanted["kind"], wanted["dimensions"]))
    return (await load(tx, [feature_uri]))[feature_uri]


def _table(name: str, kind: str, dimensions: int) -> sql.Composed:
    # PLAIN keeps vectors in the row: no second look-up and no decompression while scanning.
    storage = "PLAIN" if dimensions <= _MAX_IN_ROW else "EXTERNAL"
    columns = {
        "dense": ("", f"halfvec({dimensions}) STORAGE {storage}", ""),
        "multi": ("position integer NOT NULL, ", f"halfvec({dimensions}) STORAGE {storage}", ", position"),
        "sparse": ("", f"sparsevec({dimensions})", ""),
    }
    position, embedding, key = (sql.SQL(part) for part in columns[kind])
    return sql.SQL(
        """
        CREATE TABLE {table} (
          namespace_id text NOT NULL,
          collection_id text NOT NULL,
          document_id text NOT NULL,
          {position}embedding {embedding} NOT NULL,
          PRIMARY KEY (namespace_id, document_id{key})
        )
        """
    ).format(table=sql.Identifier(name), position=position, embedding=embedding, key=key)


async def load(tx: NamespaceReader, feature_uris: Sequence[str]) -> dict[str, VectorIndex]:
    """Return the indexes that exist, by feature URI."""
    rows = await tx.fetch_all(_LOAD, {"feature_uris": list(feature_uris)})
    return {row["feature_uri"]: VectorIndex(**row) for row in rows}


async def write(
    tx: NamespaceWriter,
    index: VectorIndex,
    *,
    collection_id: CollectionId,
    document_ids: Sequence[str],
    vectors: npt.NDArray[np.float32],
) -> None:
    """Insert or replace `vectors` (n, d) float32 of `document_ids` (n) in one statement."""
    if not len(document_ids):
        return
    _check(index, document_ids, vectors)
    statement = sql.SQL(
        """
        INSERT INTO {table} (namespace_id, collection_id, document_id, embedding)
        SELECT %(namespace_id)s, %(collection_id)s, given.document_id, given.embedding
        FROM unnest(%(document_ids)b::text[], %(vectors)b::halfvec[]) AS given (document_id, embedding)
        ON CONFLICT (namespace_id, document_id)
        DO UPDATE SET embedding = EXCLUDED.embedding, collection_id = EXCLUDED.collection_id
        """
    ).format(table=sql.Identifier(index.table_name))
    await tx.execute(
        statement,
        {
            "collection_id": collection_id,
            "document_ids": list(document_ids),
            "vectors": half_vectors(vectors, index.type_oid),
        },
    )


def _check(index: VectorIndex, document_ids: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
    reason = None
    if vectors.shape != (len(document_ids), index.dimensions):
        reason = f"their shape is {vectors.shape}, not ({len(document_ids)}, {index.dimensions})"
    elif not np.all(np.abs(vectors) <= LARGEST_VALUE):
        reason = f"a value is not a number from -{LARGEST_VALUE:.0f} to {LARGEST_VALUE:.0f}"
    if reason:
        raise VectorUnusable(feature_uri=index.feature_uri, reason=reason, dimensions=index.dimensions)


async def build_approximate_indexes(db: Database, namespace_id: NamespaceId) -> list[str]:
    """Build HNSW, without blocking writers, on every table that has grown past exact scans; return their names.

    One process builds at a time, another returns at once; an index that a crash left unfinished is built anew.
    """
    connection = await psycopg.AsyncConnection.connect(
        db.dsn, autocommit=True, application_name="prismhouse-index", options="-c statement_timeout=0"
    )
    async with connection:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (int(Lock.BUILD_INDEXES),))
        if await cursor.fetchone() != (True,):
            return []
        cursor = await connection.execute(
            "SELECT table_name, distance FROM vector_indexes WHERE namespace_id = %s AND NOT approximate"
            " AND kind <> 'sparse' AND dimensions <= %s",
            (namespace_id, MAX_DIMENSIONS),
        )
        return [name for name, distance in await cursor.fetchall() if await _build(connection, name, distance)]


async def _build(connection: psycopg.AsyncConnection[Any], table_name: str, distance: str) -> bool:
    table, index = sql.Identifier(table_name), sql.Identifier(f"{table_name}_hnsw")
    enough = sql.SQL("SELECT count(*) >= %s FROM (SELECT FROM {table} LIMIT %s) AS counted").format(table=table)
    cursor = await connection.execute(enough, (APPROXIMATE_FROM_ROWS, APPROXIMATE_FROM_ROWS))
    if await cursor.fetchone() != (True,):
        return False
    await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {index}").format(index=index))
    await connection.execute(
        sql.SQL(
            "CREATE INDEX CONCURRENTLY {index} ON {table} USING hnsw (embedding {operators})"
            " WITH (m = 16, ef_construction = 100)"
        ).format(index=index, table=table, operators=sql.Identifier(_CLASSES[distance]))
    )
    # Statistics of a table that has just grown are old; searches choose by them.
    await connection.execute(sql.SQL("ANALYZE {table}").format(table=table))
    await connection.execute("UPDATE vector_indexes SET approximate = true WHERE table_name = %s", (table_name,))
    return True


async def drop_all(tx: NamespaceWriter) -> None:
    """Drop all vector tables of the namespace."""
    rows = await tx.fetch_all(
        "DELETE FROM vector_indexes WHERE namespace_id = %(namespace_id)s RETURNING table_name",
    )
    if rows:
        tables = sql.SQL(", ").join(sql.Identifier(row["table_name"]) for row in rows)
        await tx.unscoped.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(tables))
