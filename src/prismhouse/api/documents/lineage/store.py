"""Statements that follow lineage."""

from __future__ import annotations

from prismhouse.storage.postgres.database import NamespaceReader, Record

__all__ = ["made_of_object"]

_MADE_OF_OBJECT = """
SELECT collection_id, source_collection_id, min(processing_tier) AS tier, count(*) AS documents,
       CASE WHEN %(limit)s > 0 THEN (array_agg(document_id ORDER BY document_id))[1:%(limit)s] END AS document_ids
FROM documents WHERE namespace_id = %(namespace_id)s AND root_object_id = %(object_id)s
GROUP BY collection_id, source_collection_id ORDER BY min(processing_tier), collection_id
"""


async def made_of_object(tx: NamespaceReader, object_id: str, *, ids_of_each: int) -> list[Record]:
    """Return, per collection and the collection before it, how many documents were made of an object, and some ids."""
    return await tx.fetch_all(_MADE_OF_OBJECT, {"object_id": object_id, "limit": ids_of_each})
