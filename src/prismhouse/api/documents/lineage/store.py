"""Statements that follow lineage."""

from __future__ import annotations

from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["ancestors", "children", "made_of_object"]

_FARTHEST = 100
# Documents that users bring may claim anything as their source, a circle too.
_ANCESTORS = f"""
WITH RECURSIVE up (document_id, source_document_id, steps, passed) AS (
  SELECT document_id, source_document_id, 0, ARRAY[document_id]
  FROM documents WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s
  UNION ALL
  SELECT d.document_id, d.source_document_id, up.steps + 1, up.passed || d.document_id
  FROM up JOIN documents AS d ON d.namespace_id = %(namespace_id)s AND d.document_id = up.source_document_id
  WHERE up.steps < {_FARTHEST} AND d.document_id <> ALL(up.passed)
)
SELECT document_id FROM up WHERE steps > 0 ORDER BY steps DESC
"""
_CHILDREN = """
SELECT document_id FROM documents
WHERE namespace_id = %(namespace_id)s AND source_document_id = %(document_id)s AND document_id <> %(document_id)s
ORDER BY document_id LIMIT %(limit)s
"""
_MADE_OF_OBJECT = """
SELECT collection_id, source_collection_id, min(processing_tier) AS tier, count(*) AS documents,
       CASE WHEN %(limit)s > 0 THEN (array_agg(document_id ORDER BY document_id))[1:%(limit)s] END AS document_ids
FROM documents WHERE namespace_id = %(namespace_id)s AND root_object_id = %(object_id)s
GROUP BY collection_id, source_collection_id ORDER BY min(processing_tier), collection_id
"""


async def ancestors(tx: NamespaceReader, document_id: str) -> list[str]:
    """Return the ids of the documents this one was made of, the first one first; itself is none of them."""
    rows = await tx.fetch_all(_ANCESTORS, {"document_id": document_id})
    return [row["document_id"] for row in rows]


async def children(tx: NamespaceReader, document_id: str, *, limit: int) -> list[str]:
    """Return the ids of documents made directly of this one, in order."""
    rows = await tx.fetch_all(_CHILDREN, {"document_id": document_id, "limit": limit})
    return [row["document_id"] for row in rows]


async def made_of_object(tx: NamespaceReader, object_id: str, *, ids_of_each: int) -> list[Record]:
    """Return, per collection and the collection before it, how many documents were made of an object, and some ids."""
    return await tx.fetch_all(_MADE_OF_OBJECT, {"object_id": object_id, "limit": ids_of_each})
