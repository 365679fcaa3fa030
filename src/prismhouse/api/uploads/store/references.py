"""Statements about the bytes that confirmed uploads keep, and the objects they became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prismhouse.kit.ids import ObjectId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["assign", "hold", "kept", "release"]

_OBJECT_DELETED = "The object was deleted, and the file with it."


async def hold(tx: NamespaceWriter, upload_ids: Sequence[str]) -> dict[str, str]:
    """Return upload id -> sha256 of those that keep bytes, and keep that so until `tx` ends."""
    rows = await tx.fetch_all(
        """
        SELECT upload_id, sha256 FROM uploads
        WHERE namespace_id = %(namespace_id)s AND upload_id = ANY(%(ids)b) AND sha256 IS NOT NULL
        ORDER BY upload_id FOR UPDATE""",
        {"ids": [*upload_ids]},
    )
    return {row["upload_id"]: row["sha256"] for row in rows}


async def assign(tx: NamespaceWriter, objects: Mapping[str, ObjectId]) -> None:
    """Note the object, by upload id, of uploads that have none yet."""
    await tx.execute(
        """
        UPDATE uploads SET object_id = g.object_id, updated_at = now()
        FROM unnest(%(ids)b::text[], %(objects)b::text[]) AS g(id, object_id)
        WHERE namespace_id = %(namespace_id)s AND upload_id = g.id AND uploads.object_id IS NULL""",
        {"ids": [*objects], "objects": [*objects.values()]},
    )


async def release(tx: NamespaceWriter, object_ids: Sequence[str]) -> list[str]:
    """Let uploads forget objects that are gone, and bytes that their objects have no longer; return those bytes."""
    rows = await tx.fetch_all(
        """
        WITH freed AS (
          SELECT u.upload_id, u.sha256, NOT EXISTS (
            SELECT 1 FROM objects o WHERE o.namespace_id = %(namespace_id)s AND o.object_id = u.object_id) AS gone
          FROM uploads u
          WHERE u.namespace_id = %(namespace_id)s AND u.object_id = ANY(%(object_ids)b) AND NOT EXISTS (
            SELECT 1 FROM blobs b WHERE b.namespace_id = %(namespace_id)s AND b.object_id = u.object_id
              AND b.sha256 = u.sha256)
          ORDER BY u.upload_id FOR UPDATE OF u
        )
        UPDATE uploads u SET sha256 = NULL, object_id = CASE WHEN freed.gone THEN NULL ELSE u.object_id END,
          message = CASE WHEN freed.gone THEN %(message)s ELSE u.message END, updated_at = now()
        FROM freed WHERE u.namespace_id = %(namespace_id)s AND u.upload_id = freed.upload_id
        RETURNING freed.sha256""",
        {"object_ids": [*object_ids], "message": _OBJECT_DELETED},
    )
    return sorted({row["sha256"] for row in rows if row["sha256"] is not None})


async def kept(tx: NamespaceReader, hashes: Sequence[str]) -> set[str]:
    """Return which of the bytes an upload keeps."""
    rows = await tx.fetch_all(
        """
        SELECT DISTINCT sha256 FROM uploads WHERE namespace_id = %(namespace_id)s AND sha256 = ANY(%(hashes)b)""",
        {"hashes": [*hashes]},
    )
    return {row["sha256"] for row in rows}
