"""Statements that write objects and their blobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.api.objects.drafts import Draft
from prismhouse.api.objects.store.bytes import add_garbage
from prismhouse.kit import json
from prismhouse.storage.postgres.database import NamespaceWriter, Record

__all__ = [
    "add_blobs",
    "delete",
    "delete_some",
    "hide",
    "hold",
    "hold_contents",
    "insert",
    "mark",
    "remove_blobs",
    "replace",
    "source_details",
]


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value).decode()


async def insert(tx: NamespaceWriter, bucket_id: str, drafts: Sequence[Draft]) -> dict[str, Record]:
    """Insert objects in order; return id -> sequence, times of those that met no unique or idempotency key."""
    rows = await tx.fetch_all(
        """
        INSERT INTO objects (namespace_id, bucket_id, object_id, key_prefix, fields, metadata, edges, source_details,
                             content_hash, idempotency_key, unique_value)
        SELECT %(namespace_id)s, %(bucket_id)s, o.object_id, o.key_prefix, o.fields::jsonb, o.metadata::jsonb,
               o.edges::jsonb, %(source_details)s, o.content_hash, o.idempotency_key, o.unique_value
        FROM unnest(%(object_ids)b::text[], %(key_prefixes)b::text[], %(fields)b::text[], %(metadata)b::text[],
                    %(edges)b::text[], %(content_hashes)b::text[], %(idempotency_keys)b::text[],
                    %(unique_values)b::text[])
             WITH ORDINALITY AS o(object_id, key_prefix, fields, metadata, edges, content_hash, idempotency_key,
                                  unique_value, place)
        ORDER BY o.place
        ON CONFLICT DO NOTHING
        RETURNING object_id, sequence, created_at, updated_at""",
        {
            "bucket_id": bucket_id,
            "source_details": Jsonb(source_details(bucket_id)),
            "object_ids": [draft.object_id for draft in drafts],
            "key_prefixes": [draft.key_prefix for draft in drafts],
            "fields": [_json(draft.fields) for draft in drafts],
            "metadata": [_json(draft.metadata) for draft in drafts],
            "edges": [_json(draft.edges) for draft in drafts],
            "content_hashes": [draft.content_hash for draft in drafts],
            "idempotency_keys": [draft.idempotency_key for draft in drafts],
            "unique_values": [draft.unique_value for draft in drafts],
        },
    )
    return {row["object_id"]: row for row in rows}


def source_details(bucket_id: str) -> list[dict[str, str]]:
    """Return where an object of a bucket comes from."""
    return [{"type": "bucket", "source_id": bucket_id}]


async def add_blobs(tx: NamespaceWriter, drafts: Sequence[Draft]) -> int:
    """Insert the blobs of drafts; return their size in bytes."""
    rows = [
        (draft.object_id, ordinal, blob, filled)
        for draft in drafts
        for ordinal, (blob, filled) in enumerate(zip(draft.blobs, draft.filled, strict=True))
    ]
    if not rows:
        return 0
    await tx.execute(
        """
        INSERT INTO blobs (namespace_id, object_id, blob_id, ordinal, property, type, key_prefix, metadata, source_url,
                           text, sha256, md5, size_bytes, mime_type, filename)
        SELECT %(namespace_id)s, b.object_id, b.blob_id, b.ordinal, b.property, b.type, b.key_prefix,
               b.metadata::jsonb, b.source_url, b.text, b.sha256, b.md5, b.size_bytes, b.mime_type, b.filename
        FROM unnest(%(object_ids)b::text[], %(blob_ids)b::text[], %(ordinals)b::int[], %(properties)b::text[],
                    %(types)b::text[], %(key_prefixes)b::text[], %(metadata)b::text[], %(source_urls)b::text[],
                    %(texts)b::text[], %(sha256s)b::text[], %(md5s)b::text[], %(sizes)b::bigint[],
                    %(mime_types)b::text[], %(filenames)b::text[])
             AS b(object_id, blob_id, ordinal, property, type, key_prefix, metadata, source_url, text, sha256, md5,
                  size_bytes, mime_type, filename)""",
        {
            "object_ids": [object_id for object_id, _, _, _ in rows],
            "blob_ids": [blob.blob_id for _, _, blob, _ in rows],
            "ordinals": [ordinal for _, ordinal, _, _ in rows],
            "properties": [blob.property for _, _, blob, _ in rows],
            "types": [str(blob.type) for _, _, blob, _ in rows],
            "key_prefixes": [blob.key_prefix for _, _, blob, _ in rows],
            "metadata": [_json(blob.metadata) for _, _, blob, _ in rows],
            "source_urls": [filled.source_url for _, _, _, filled in rows],
            "texts": [filled.text for _, _, _, filled in rows],
            "sha256s": [filled.sha256 for _, _, _, filled in rows],
            "md5s": [filled.md5 for _, _, _, filled in rows],
            "sizes": [filled.size_bytes for _, _, _, filled in rows],
            "mime_types": [filled.mime_type for _, _, _, filled in rows],
            "filenames": [filled.filename for _, _, _, filled in rows],
        },
    )
    return sum(filled.size_bytes for _, _, _, filled in rows)


async def remove_blobs(tx: NamespaceWriter, object_id: str, properties: Iterable[str]) -> int:
    """Delete an object's blobs of these properties, leave their bytes to the sweep; return their size in bytes."""
    rows = await tx.fetch_all(
        """
        DELETE FROM blobs WHERE namespace_id = %(namespace_id)s AND object_id = %(object_id)s
          AND property = ANY(%(properties)b)
        RETURNING sha256, size_bytes, text IS NULL AS stored""",
        {"object_id": object_id, "properties": [*properties]},
    )
    if hashes := [row["sha256"] for row in rows if row["stored"]]:
        await add_garbage(tx, hashes)
    return sum(row["size_bytes"] for row in rows)


async def hold(tx: NamespaceWriter, bucket_id: str, object_id: str) -> bool:
    """Lock a visible object until `tx` ends; return whether there is one."""
    return bool(
        await tx.fetch_value(
            """
            SELECT 1 FROM objects WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s
              AND object_id = %(object_id)s AND lifecycle_state = 'active' FOR UPDATE""",
            {"bucket_id": bucket_id, "object_id": object_id},
        )
    )


async def hold_contents(tx: NamespaceWriter, bucket_id: str, hashes: Iterable[str]) -> None:
    """Make others who bring the same contents wait until `tx` ends."""
    await tx.fetch_all(
        """
        SELECT pg_advisory_xact_lock(hashtextextended(%(namespace_id)s || %(bucket_id)s || h.hash, 1))
        FROM (SELECT unnest(%(hashes)b::text[]) AS hash ORDER BY 1) h""",
        {"bucket_id": bucket_id, "hashes": sorted(set(hashes))},
    )


async def replace(tx: NamespaceWriter, object_id: str, values: Mapping[str, Any], *, reset: bool = False) -> None:
    """Write changed columns; `reset` makes the object PENDING again."""
    await tx.execute(
        """
        UPDATE objects SET fields = %(fields)s, metadata = %(metadata)s, edges = %(edges)s,
          key_prefix = %(key_prefix)s, content_hash = %(content_hash)s, unique_value = %(unique_value)s,
          status = CASE WHEN %(reset)s THEN 'PENDING' ELSE status END,
          error = CASE WHEN %(reset)s THEN NULL ELSE error END, updated_at = now()
        WHERE namespace_id = %(namespace_id)s AND object_id = %(object_id)s""",
        {
            "object_id": object_id,
            "fields": Jsonb(values["fields"]),
            "metadata": None if values["metadata"] is None else Jsonb(values["metadata"]),
            "edges": None if values["edges"] is None else Jsonb(values["edges"]),
            "key_prefix": values["key_prefix"],
            "content_hash": values["content_hash"],
            "unique_value": values["unique_value"],
            "reset": reset,
        },
    )


async def mark(tx: NamespaceWriter, outcomes: Mapping[str, tuple[str, str | None]]) -> dict[str, int]:
    """Set status and error of objects; return bucket id -> change of its number of visible failed objects."""
    rows = await tx.fetch_all(
        """
        WITH given AS (
          SELECT * FROM unnest(%(object_ids)b::text[], %(statuses)b::text[], %(errors)b::text[])
            AS g(object_id, status, error)
        ), before AS (
          SELECT o.object_id, o.bucket_id, o.status = 'FAILED' AS failed, o.lifecycle_state = 'active' AS counted
          FROM objects o JOIN given USING (object_id)
          WHERE o.namespace_id = %(namespace_id)s ORDER BY o.object_id FOR UPDATE OF o
        ), changed AS (
          UPDATE objects o SET status = given.status, error = given.error, updated_at = now()
          FROM given JOIN before USING (object_id)
          WHERE o.namespace_id = %(namespace_id)s AND o.object_id = given.object_id
          RETURNING before.bucket_id,
            CASE WHEN before.counted THEN (given.status = 'FAILED')::int - before.failed::int ELSE 0 END AS change
        )
        SELECT bucket_id, sum(change)::bigint AS change FROM changed GROUP BY bucket_id ORDER BY bucket_id""",
        {
            "object_ids": [*outcomes],
            "statuses": [status for status, _ in outcomes.values()],
            "errors": [error for _, error in outcomes.values()],
        },
    )
    return {row["bucket_id"]: row["change"] for row in rows}


async def delete(tx: NamespaceWriter, object_id: str) -> Record:
    """Delete an object and its blobs, leave their bytes to the sweep; return failed (0 or 1) and size_bytes."""
    row = await tx.fetch_one(
        """
        WITH files AS (
          SELECT sha256, size_bytes, text IS NULL AS stored FROM blobs
          WHERE namespace_id = %(namespace_id)s AND object_id = %(object_id)s
        ), garbage AS (
          INSERT INTO blob_garbage (namespace_id, sha256)
          SELECT DISTINCT %(namespace_id)s, sha256 FROM files WHERE stored ORDER BY sha256
          ON CONFLICT (namespace_id, sha256) DO UPDATE SET created_at = now()
        ), gone AS (
          DELETE FROM objects WHERE namespace_id = %(namespace_id)s AND object_id = %(object_id)s
          RETURNING (status = 'FAILED')::int AS failed
        )
        SELECT gone.failed, (SELECT coalesce(sum(size_bytes), 0)::bigint FROM files) AS size_bytes FROM gone""",
        {"object_id": object_id},
    )
    return row or {"failed": 0, "size_bytes": 0}


async def hide(tx: NamespaceWriter, bucket_id: str, object_ids: Sequence[str], lifecycle_state: str) -> list[Record]:
    """Take objects out of lists; return id and whether failed of those that were visible."""
    return await tx.fetch_all(
        """
        WITH held AS (
          SELECT object_id FROM objects
          WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND object_id = ANY(%(object_ids)b)
            AND lifecycle_state = 'active'
          ORDER BY object_id FOR UPDATE
        )
        UPDATE objects o SET lifecycle_state = %(lifecycle_state)s, updated_at = now() FROM held
        WHERE o.namespace_id = %(namespace_id)s AND o.object_id = held.object_id
        RETURNING o.object_id, o.status = 'FAILED' AS failed""",
        {"bucket_id": bucket_id, "object_ids": [*object_ids], "lifecycle_state": lifecycle_state},
    )


async def delete_some(tx: NamespaceWriter, bucket_id: str, limit: int) -> list[str]:
    """Delete up to `limit` objects of a bucket, leave their bytes to the sweep; return their ids."""
    rows = await tx.fetch_all(
        """
        WITH doomed AS (
          SELECT object_id FROM objects WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s
          ORDER BY sequence LIMIT %(limit)s FOR UPDATE
        ), garbage AS (
          INSERT INTO blob_garbage (namespace_id, sha256)
          SELECT DISTINCT b.namespace_id, b.sha256 FROM blobs b JOIN doomed USING (object_id)
          WHERE b.namespace_id = %(namespace_id)s AND b.text IS NULL ORDER BY b.sha256
          ON CONFLICT (namespace_id, sha256) DO UPDATE SET created_at = now()
        ), gone AS (
          DELETE FROM objects o USING doomed d
          WHERE o.namespace_id = %(namespace_id)s AND o.object_id = d.object_id RETURNING o.object_id
        )
        SELECT object_id FROM gone ORDER BY object_id""",
        {"bucket_id": bucket_id, "limit": limit},
    )
    return [row["object_id"] for row in rows]
