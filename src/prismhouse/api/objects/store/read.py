"""Statements that find and load objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prismhouse.api.objects.model import ObjectBlob, StoredObject
from prismhouse.kit.ids import ObjectId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Record

__all__ = [
    "COLUMNS",
    "by_content",
    "by_idempotency_key",
    "by_unique_value",
    "by_unique_values",
    "hold_visible",
    "load",
    "missing",
    "with_blobs",
]

COLUMNS = """object_id, bucket_id, sequence, key_prefix, fields, metadata, edges, source_details, unique_value,
       content_hash, status, error, lifecycle_state, created_at, updated_at"""


async def load(
    tx: NamespaceReader,
    object_ids: Sequence[str],
    *,
    bucket_id: str | None = None,
    texts: bool = True,
    visible_only: bool = False,
) -> dict[str, StoredObject]:
    """Return the objects that exist, with their blobs in order.

    Args:
        tx: the namespace.
        object_ids: in any order.
        bucket_id: only objects of this bucket.
        texts: False leaves the blobs' `text` out (None), which a list does not show.
        visible_only: leave out objects that were hidden.
    """
    rows = await tx.fetch_all(
        f"""
        SELECT {COLUMNS} FROM objects
        WHERE namespace_id = %(namespace_id)s AND object_id = ANY(%(object_ids)b)
          AND (%(bucket_id)s::text IS NULL OR bucket_id = %(bucket_id)s)
          AND (NOT %(visible_only)s OR lifecycle_state = 'active')""",
        {"object_ids": [*object_ids], "bucket_id": bucket_id, "visible_only": visible_only},
    )
    return await with_blobs(tx, rows, texts=texts)


async def with_blobs(tx: NamespaceReader, rows: Sequence[Record], *, texts: bool) -> dict[str, StoredObject]:
    """Return objects of rows, in the order of the rows."""
    blobs = await _blobs(tx, [row["object_id"] for row in rows], texts=texts) if rows else {}
    return {row["object_id"]: StoredObject(**row, blobs=blobs.get(row["object_id"], ())) for row in rows}


async def _blobs(tx: NamespaceReader, object_ids: Sequence[str], *, texts: bool) -> dict[str, list[ObjectBlob]]:
    rows = await tx.fetch_all(
        f"""
        SELECT object_id, blob_id, property, type, key_prefix, metadata, source_url,
               {"text" if texts else "NULL AS text"}, text IS NOT NULL AS is_text,
               sha256, md5, size_bytes, mime_type, filename
        FROM blobs WHERE namespace_id = %(namespace_id)s AND object_id = ANY(%(object_ids)b)
        ORDER BY object_id, ordinal""",
        {"object_ids": [*object_ids]},
    )
    blobs: dict[str, list[ObjectBlob]] = {}
    for row in rows:
        blobs.setdefault(row.pop("object_id"), []).append(ObjectBlob(**row))
    return blobs


async def by_idempotency_key(tx: NamespaceReader, bucket_id: str, keys: Iterable[str]) -> dict[str, ObjectId]:
    """Return key -> object id for the keys that were used in the bucket."""
    rows = await tx.fetch_all(
        """
        SELECT idempotency_key, object_id FROM objects
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND idempotency_key = ANY(%(keys)b)""",
        {"bucket_id": bucket_id, "keys": [*keys]},
    )
    return {row["idempotency_key"]: ObjectId(row["object_id"]) for row in rows}


async def by_content(tx: NamespaceReader, bucket_id: str, hashes: Iterable[str]) -> dict[str, ObjectId]:
    """Return content hash -> id of the oldest visible object of the bucket with that content."""
    rows = await tx.fetch_all(
        """
        SELECT DISTINCT ON (content_hash) content_hash, object_id FROM objects
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND content_hash = ANY(%(hashes)b)
          AND lifecycle_state = 'active'
        ORDER BY content_hash, sequence""",
        {"bucket_id": bucket_id, "hashes": [*hashes]},
    )
    return {row["content_hash"]: ObjectId(row["object_id"]) for row in rows}


async def by_unique_value(tx: NamespaceReader, bucket_id: str, value: str) -> ObjectId | None:
    """Return the id of the object with this unique key."""
    found = await tx.fetch_value(
        """
        SELECT object_id FROM objects
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND unique_value = %(value)s""",
        {"bucket_id": bucket_id, "value": value},
    )
    return None if found is None else ObjectId(found)


async def by_unique_values(tx: NamespaceReader, bucket_id: str, values: Iterable[str]) -> dict[str, ObjectId]:
    """Return unique key -> object id for the keys that are taken in the bucket."""
    rows = await tx.fetch_all(
        """
        SELECT unique_value, object_id FROM objects
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND unique_value = ANY(%(values)b)""",
        {"bucket_id": bucket_id, "values": [*values]},
    )
    return {row["unique_value"]: ObjectId(row["object_id"]) for row in rows}


async def hold_visible(tx: NamespaceWriter, object_ids: Sequence[str]) -> set[str]:
    """Return which are visible, and keep them from being deleted or hidden until the transaction ends."""
    rows = await tx.fetch_all(
        """
        SELECT object_id FROM objects WHERE namespace_id = %(namespace_id)s AND object_id = ANY(%(object_ids)b)
          AND lifecycle_state = 'active' ORDER BY object_id FOR SHARE""",
        {"object_ids": [*object_ids]},
    )
    return {row["object_id"] for row in rows}


async def missing(tx: NamespaceReader, bucket_id: str, object_ids: Sequence[str]) -> list[str]:
    """Return the ids, in order, that are no visible object of the bucket."""
    rows = await tx.fetch_all(
        """
        SELECT i.object_id FROM unnest(%(object_ids)b::text[]) WITH ORDINALITY AS i(object_id, place)
        LEFT JOIN LATERAL (
          SELECT o.bucket_id, o.lifecycle_state FROM objects o
          WHERE o.namespace_id = %(namespace_id)s AND o.object_id = i.object_id LIMIT 1) AS found ON true
        WHERE found.bucket_id IS DISTINCT FROM %(bucket_id)s OR found.lifecycle_state <> 'active'
        ORDER BY i.place""",
        {"bucket_id": bucket_id, "object_ids": [*object_ids]},
    )
    return [row["object_id"] for row in rows]
