"""Statements about the clips that are kept with documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import NamespaceWriter, Record

__all__ = ["keep", "lock"]

_LOCK = """
SELECT document_id, payload::text AS payload, source_blobs::text AS source_blobs,
  document_blobs::text AS document_blobs
FROM documents WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s
FOR NO KEY UPDATE
"""
# A clip is a copy of what the document shows already: the document did not change.
_KEEP = """
UPDATE documents SET document_blobs = %(document_blobs)s
WHERE namespace_id = %(namespace_id)s AND document_id = %(document_id)s
"""


async def lock(tx: NamespaceWriter, document_id: str) -> Record | None:
    """Return what a scene is made of, held until the transaction ends, or None when the document is gone."""
    return await tx.fetch_one(_LOCK, {"document_id": document_id})


async def keep(tx: NamespaceWriter, document_id: str, document_blobs: Sequence[Mapping[str, Any]]) -> None:
    """Replace the files of a document."""
    await tx.execute(_KEEP, {"document_id": document_id, "document_blobs": Jsonb(list(document_blobs))})
