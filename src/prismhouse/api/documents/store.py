"""Every statement about documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from prismhouse.api.documents.model import NewDocument, StoredDocument, storable_json
from prismhouse.query.filters import EVERYTHING
from prismhouse.query.listing import After, Order, Part, Selection
from prismhouse.storage.postgres import brought_vectors
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Record, Statement
from prismhouse.storage.postgres.vectors import VectorIndex

__all__ = [
    "ancestors",
    "children",
    "collections_of",
    "counts_of_objects",
    "delete_all_of_objects",
    "delete_of_objects",
    "find",
    "group_page",
    "group_total",
    "ids_of_batch",
    "load",
    "objects_with_documents",
    "page",
    "stored_vectors",
    "total",
    "write",
]

_COLUMNS: dict[str, str] = {
    "document_id": "text",
    "collection_id": "text",
    "payload": "jsonb",
    "root_object_id": "text",
    "root_bucket_id": "text",
    "source_type": "text",
    "source_object_id": "text",
    "source_document_id": "text",
    "source_collection_id": "text",
    "lineage_path": "text",
    "lineage_chain": "jsonb",
    "processing_tier": "integer",
    "source_blobs": "jsonb",
    "document_blobs": "jsonb",
    "internal": "jsonb",
    "batch_id": "text",
    "content_hash": "text",
}
_KEYS = ("document_id", "collection_id")
_NAMES = ", ".join(_COLUMNS)
# 1,000 documents of 1 kB: 8 ms to prepare. The text index takes nine tenths of the rest, as it does with COPY.
_WRITE = f"""
INSERT INTO documents (namespace_id, {_NAMES})
SELECT %(namespace_id)s, {", ".join(f"{name}::jsonb" if kind == "jsonb" else name for name, kind in _COLUMNS.items())}
FROM unnest({", ".join(f"%({name})b::{kind.replace('jsonb', 'text')}[]" for name, kind in _COLUMNS.items())})
  AS given ({_NAMES})
ON CONFLICT (namespace_id, document_id) DO UPDATE SET
  {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in (*_KEYS, "internal"))}, updated_at = now(),
  internal = jsonb_strip_nulls(jsonb_build_object('_acl', documents.internal -> '_acl')) || excluded.internal
WHERE documents.collection_id = excluded.collection_id
"""
_ANSWERED = """d.document_id, d.collection_id, d.payload::text AS payload, d.root_object_id, d.root_bucket_id,
  d.source_type, d.source_object_id, d.source_document_id, d.source_collection_id, d.lineage_path,
  d.lineage_chain::text AS lineage_chain, d.source_blobs::text AS source_blobs,
  d.document_blobs::text AS document_blobs, d.internal::text AS internal, d.content_hash, d.batch_id,
  d.created_at, d.updated_at, jsonb_array_length(d.document_blobs) AS blob_count"""
_FIND = f"""
SELECT {_ANSWERED} FROM documents AS d
WHERE d.namespace_id = %(namespace_id)s AND d.document_id = ANY(%(document_ids)b)
  AND (%(collection_id)s::text IS NULL OR d.collection_id = %(collection_id)s)
"""
# A chain is as long as a pipeline is deep; the bound ends one that was written as a circle.
# Documents that users bring may claim anything as their source, a circle too.
_ANCESTORS = f"""
WITH RECURSIVE chain (document_id, source_document_id, distance, passed) AS (
  SELECT document_id, source_document_id, 0, ARRAY[document_id]
  FROM documents WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s
  UNION ALL
  SELECT d.document_id, d.source_document_id, c.distance + 1, c.passed || d.document_id
  FROM chain AS c
  JOIN documents AS d ON d.namespace_id = %(namespace_id)s AND d.document_id = c.source_document_id
  WHERE c.distance < 50 AND d.document_id <> ALL(c.passed)
)
SELECT {_ANSWERED} FROM chain AS c
JOIN documents AS d ON d.namespace_id = %(namespace_id)s AND d.document_id = c.document_id
WHERE c.distance > 0 ORDER BY c.distance DESC
"""
_CHILDREN = f"""
SELECT {_ANSWERED} FROM documents AS d
WHERE d.namespace_id = %(namespace_id)s AND d.source_document_id = %(document_id)s AND d.document_id <> %(document_id)s
ORDER BY d.document_id LIMIT %(limit)s
"""
_LOAD = f"""
SELECT {_NAMES}, created_at, updated_at FROM documents
WHERE namespace_id = %(namespace_id)s AND document_id = ANY(%(document_ids)b)
"""
_COLLECTIONS_OF = """
SELECT document_id, collection_id FROM documents
WHERE namespace_id = %(namespace_id)s AND document_id = ANY(%(document_ids)b)
  AND may_be_read_by(internal, %(principal)s)
"""
_IDS_OF_BATCH = """
SELECT document_id FROM documents
WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND collection_id = ANY(%(collection_ids)b)
  AND document_id > %(after)s
ORDER BY document_id LIMIT %(limit)s
"""
_DELETE_OF_OBJECTS = """
DELETE FROM documents
WHERE namespace_id = %(namespace_id)s AND collection_id = %(collection_id)s
  AND root_object_id = ANY(%(object_ids)b) AND batch_id IS DISTINCT FROM %(except_batch)s
"""
_DELETE_ALL_OF_OBJECTS = """
WITH gone AS (
  DELETE FROM documents
  WHERE namespace_id = %(namespace_id)s AND root_object_id = ANY(%(object_ids)b)
  RETURNING collection_id, document_id
)
SELECT collection_id, array_agg(document_id ORDER BY document_id) AS document_ids FROM gone
GROUP BY collection_id ORDER BY collection_id
"""
_OBJECTS_WITH_DOCUMENTS = """
SELECT asked.object_id FROM unnest(%(object_ids)b::text[]) AS asked (object_id)
WHERE EXISTS (
  SELECT 1 FROM documents AS d WHERE d.namespace_id = %(namespace_id)s
    AND d.root_object_id = asked.object_id AND d.collection_id = %(collection_id)s)
"""
_COUNTS_OF_OBJECTS = """
SELECT root_object_id, count(*) AS documents FROM documents
WHERE namespace_id = %(namespace_id)s AND root_object_id = ANY(%(object_ids)b) GROUP BY root_object_id
"""


async def write(tx: NamespaceWriter, documents: Sequence[NewDocument]) -> int:
    """Insert or replace in one statement and return how many; of two documents with one id the later one stays.

    A document never moves: one whose id stands in another collection is left as it is, and not counted.
    """
    by_id = {document.document_id: document for document in documents}
    unique = [by_id[document_id] for document_id in sorted(by_id)]  # one order for all writers: no deadlocks
    if not unique:
        return 0
    parameters: dict[str, Any] = {}
    for name, kind in _COLUMNS.items():
        values = [getattr(document, name) for document in unique]
        parameters[name] = [storable_json(value) for value in values] if kind == "jsonb" else values
    return await tx.execute(_WRITE, parameters)


async def find(tx: NamespaceReader, document_ids: Sequence[str], *, collection_id: str | None = None) -> list[Record]:
    """Return the documents with these ids, as they are answered, in no order."""
    ids = [one for one in document_ids if "\x00" not in one]
    return await tx.fetch_all(_FIND, {"document_ids": ids, "collection_id": collection_id})


async def load(tx: NamespaceReader, document_ids: Sequence[str]) -> dict[str, StoredDocument]:
    """Return the documents that exist, by id."""
    rows = await tx.fetch_all(_LOAD, {"document_ids": list(document_ids)})
    return {row["document_id"]: StoredDocument(**row) for row in rows}


async def ids_of_batch(
    tx: NamespaceReader, batch_id: str, collection_ids: Sequence[str], *, after: str = "", limit: int
) -> list[str]:
    """Return the ids of the documents a batch wrote to these collections, in order, after `after`."""
    parameters = {"batch_id": batch_id, "collection_ids": list(collection_ids), "after": after, "limit": limit}
    return [row["document_id"] for row in await tx.fetch_all(_IDS_OF_BATCH, parameters)]


async def delete_of_objects(
    tx: NamespaceWriter, collection_id: str, object_ids: Sequence[str], *, except_batch: str | None
) -> int:
    """Delete what a collection made of these objects, except what `except_batch` made."""
    return await tx.execute(
        _DELETE_OF_OBJECTS,
        {"collection_id": collection_id, "object_ids": list(object_ids), "except_batch": except_batch},
    )


async def delete_all_of_objects(tx: NamespaceWriter, object_ids: Sequence[str]) -> dict[str, list[str]]:
    """Delete what was made of these objects and return it, by collection."""
    rows = await tx.fetch_all(_DELETE_ALL_OF_OBJECTS, {"object_ids": list(object_ids)})
    return {row["collection_id"]: row["document_ids"] for row in rows}


async def objects_with_documents(tx: NamespaceReader, collection_id: str, object_ids: Sequence[str]) -> set[str]:
    """Return those of the objects of which the collection has documents."""
    parameters = {"collection_id": collection_id, "object_ids": list(object_ids)}
    return {row["object_id"] for row in await tx.fetch_all(_OBJECTS_WITH_DOCUMENTS, parameters)}


async def collections_of(tx: NamespaceReader, document_ids: Sequence[str], *, principal: str | None) -> dict[str, str]:
    """Return the collection of each document that is there and that `principal` may read."""
    rows = await tx.fetch_all(_COLLECTIONS_OF, {"document_ids": list(document_ids), "principal": principal})
    return {row["document_id"]: row["collection_id"] for row in rows}


async def counts_of_objects(tx: NamespaceReader, object_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of documents per object; objects without any are absent."""
    rows = await tx.fetch_all(_COUNTS_OF_OBJECTS, {"object_ids": list(object_ids)})
    return {row["root_object_id"]: row["documents"] for row in rows}


async def page(
    tx: NamespaceReader, selection: Selection, order: Order, *, after: After | None = None, limit: int, offset: int = 0
) -> list[Record]:
    """Return documents as they are answered, with `sort_value` for the cursor."""
    where, parameters = selection.where()
    parts, bound = order.parts(after)
    parameters |= bound
    found: list[Record] = []
    for number, part in enumerate(parts):
        narrowed = {**parameters, "limit": limit - len(found), "offset": offset}
        rows = await tx.fetch_all(_page(where, part, order.value), narrowed, prepare=_prepared(selection, order))
        found += rows
        if len(found) == limit:
            break
        if offset and number + 1 < len(parts):
            # The offset may reach past this part: less what it held, it goes on in the next.
            offset = 0 if rows else offset - await _count(tx, where, part, parameters)
    return found


def _page(where: str, part: Part, value: str) -> str:
    return (
        f"SELECT {_ANSWERED}, {value} AS sort_value FROM documents AS d WHERE {where} AND {part.condition}"
        f" ORDER BY {part.order} LIMIT %(limit)s OFFSET %(offset)s"
    )


def _prepared(selection: Selection, order: Order) -> bool | None:
    """A filter, or a key, is planned anew each time: which index serves it depends on its values."""
    return False if selection.filter != EVERYTHING or order.key is not None else None


async def _count(tx: NamespaceReader, where: str, part: Part, parameters: Mapping[str, Any]) -> int:
    statement = f"SELECT count(*) AS total FROM documents AS d WHERE {where} AND {part.condition}"
    row = await tx.fetch_one(statement, parameters, prepare=False)
    return int(row["total"]) if row else 0


async def total(tx: NamespaceReader, selection: Selection) -> int:
    """Return how many documents match."""
    where, parameters = selection.where()
    row = await tx.fetch_one(f"SELECT count(*) AS total FROM documents AS d WHERE {where}", parameters, prepare=False)
    return int(row["total"]) if row else 0


async def group_page(
    tx: NamespaceReader,
    selection: Selection,
    grouping: Order,
    order: Order,
    *,
    after: After | None = None,
    limit: int,
    offset: int = 0,
    documents: int,
) -> list[Record]:
    """Return, in the order of the groups, up to so many documents of each, with `group_value` and `group_count`."""
    where, parameters = selection.where()
    assert grouping.key is not None  # noqa: S101 - a grouping always has a field
    key = grouping.key
    parameters |= {**grouping.parameters, **order.parameters, "limit": limit, "offset": offset, "documents": documents}
    beyond = key.present or "true"
    if after is not None:
        parameters["after_value"] = after.value
        beyond = f"{beyond} AND {key.expression} > %(after_value)s::{key.kind}"
    statement = f"""
    WITH groups AS MATERIALIZED (
      SELECT {key.expression} AS value, count(*) AS size FROM documents AS d
      WHERE {where} AND {beyond} GROUP BY 1 ORDER BY 1 LIMIT %(limit)s OFFSET %(offset)s
    )
    SELECT g.value::text AS group_value, g.size AS group_count, m.*
    FROM groups AS g CROSS JOIN LATERAL (
      SELECT {_ANSWERED}, row_number() OVER (ORDER BY {order.text}) AS position
      FROM documents AS d WHERE {where} AND {key.expression} = g.value ORDER BY {order.text} LIMIT %(documents)s
    ) AS m
    ORDER BY g.value, m.position
    """
    return await tx.fetch_all(statement, parameters, prepare=False)


async def group_total(tx: NamespaceReader, selection: Selection, grouping: Order) -> int:
    """Return how many groups there are."""
    where, parameters = selection.where()
    assert grouping.key is not None  # noqa: S101 - a grouping always has a field
    condition = f"{where} AND {grouping.key.present or 'true'}"
    statement = (
        f"SELECT count(*) AS total FROM (SELECT DISTINCT {grouping.key.expression} FROM documents AS d"
        f" WHERE {condition}) AS groups"
    )
    row = await tx.fetch_one(statement, {**parameters, **grouping.parameters}, prepare=False)
    return int(row["total"]) if row else 0


async def ancestors(tx: NamespaceReader, document_id: str) -> list[Record]:
    """Return the documents that a document was made from, as they are answered, the first one first."""
    return await tx.fetch_all(_ANCESTORS, {"document_id": document_id}, prepare=False)


async def children(tx: NamespaceReader, document_id: str, *, limit: int) -> list[Record]:
    """Return the documents made directly from a document, as they are answered, by id."""
    return await tx.fetch_all(_CHILDREN, {"document_id": document_id, "limit": limit})


async def stored_vectors(
    tx: NamespaceReader, index: VectorIndex, document_ids: Sequence[str], *, values: bool
) -> dict[str, Any]:
    """Return the vectors of these documents in one vector table, or None for each unless `values`."""
    statement: Statement = sql.SQL(
        "SELECT v.document_id, {embedding} AS embedding FROM {table} AS v"
        " WHERE v.namespace_id = %(namespace_id)s AND v.document_id = ANY(%(document_ids)b) {grouped}"
    ).format(
        embedding=sql.SQL(brought_vectors.shown(index.kind, "v") if values else "NULL"),
        table=sql.Identifier(index.table_name),
        grouped=sql.SQL("GROUP BY v.document_id" if index.kind == "multi" else ""),
    )
    rows = await tx.fetch_all(statement, {"document_ids": list(document_ids)})
    return {row["document_id"]: row["embedding"] for row in rows}
