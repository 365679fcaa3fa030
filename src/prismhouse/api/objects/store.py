"""Every statement about objects and their blobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.api.objects.drafts import Draft
from prismhouse.api.objects.model import ObjectBlob, StoredObject
from prismhouse.kit import json
from prismhouse.kit.ids import NamespaceId, ObjectId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Reader, Record

__all__ = ["Selection"]

_COLUMNS = """object_id, bucket_id, sequence, key_prefix, fields, metadata, edges, source_details, unique_value,
       content_hash, status, error, lifecycle_state, created_at, updated_at"""


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
        SELECT {_COLUMNS} FROM objects
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
               {"text" if texts else "NULL AS text"}, sha256, md5, size_bytes, mime_type, filename
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


async def hold_contents(tx: NamespaceWriter, bucket_id: str, hashes: Iterable[str]) -> None:
    """Make others who bring the same contents wait until `tx` ends."""
    await tx.fetch_all(
        """
        SELECT pg_advisory_xact_lock(hashtextextended(%(namespace_id)s || %(bucket_id)s || h.hash, 1))
        FROM (SELECT unnest(%(hashes)b::text[]) AS hash ORDER BY 1) h""",
        {"bucket_id": bucket_id, "hashes": sorted(set(hashes))},
    )


async def by_unique_value(tx: NamespaceReader, bucket_id: str, value: str) -> ObjectId | None:
    """Return the id of the object with this unique key."""
    found = await tx.fetch_value(
        """
        SELECT object_id FROM objects
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND unique_value = %(value)s""",
        {"bucket_id": bucket_id, "value": value},
    )
    return None if found is None else ObjectId(found)


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


async def missing(tx: NamespaceReader, bucket_id: str, object_ids: Sequence[str]) -> list[str]:
    """Return the ids, in order, that are no visible object of the bucket."""
    rows = await tx.fetch_all(
        """
        SELECT i.object_id FROM unnest(%(object_ids)b::text[]) WITH ORDINALITY AS i(object_id, place)
        WHERE NOT EXISTS (
          SELECT 1 FROM objects o WHERE o.namespace_id = %(namespace_id)s AND o.bucket_id = %(bucket_id)s
            AND o.object_id = i.object_id AND o.lifecycle_state = 'active')
        ORDER BY i.place""",
        {"bucket_id": bucket_id, "object_ids": [*object_ids]},
    )
    return [row["object_id"] for row in rows]


async def mark(tx: NamespaceWriter, outcomes: Mapping[str, tuple[str, str | None]]) -> dict[str, int]:
    """Set status and error of objects; return bucket id -> change of its number of failed objects."""
    rows = await tx.fetch_all(
        """
        WITH given AS (
          SELECT * FROM unnest(%(object_ids)b::text[], %(statuses)b::text[], %(errors)b::text[])
            AS g(object_id, status, error)
        ), before AS (
          SELECT o.object_id, o.bucket_id, o.status = 'FAILED' AS failed FROM objects o JOIN given USING (object_id)
          WHERE o.namespace_id = %(namespace_id)s ORDER BY o.object_id FOR UPDATE OF o
        ), changed AS (
          UPDATE objects o SET status = given.status, error = given.error, updated_at = now()
          FROM given JOIN before USING (object_id)
          WHERE o.namespace_id = %(namespace_id)s AND o.object_id = given.object_id
          RETURNING before.bucket_id, (given.status = 'FAILED')::int - before.failed::int AS change
        )
        SELECT bucket_id, sum(change)::bigint AS change FROM changed GROUP BY bucket_id ORDER BY bucket_id""",
        {
            "object_ids": [*outcomes],
            "statuses": [status for status, _ in outcomes.values()],
            "errors": [error for _, error in outcomes.values()],
        },
    )
    return {row["bucket_id"]: row["change"] for row in rows}


async def hold_bytes(tx: NamespaceWriter, *, exclusive: bool = False) -> None:
    """Keep the sweep of unreferenced bytes away from writers of references, until `tx` ends."""
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    await tx.fetch_all(f"SELECT {function}(hashtextextended(%(namespace_id)s, 2))")


async def generation(tx: NamespaceReader) -> int:
    """Return how often unreferenced bytes were swept."""
    value = await tx.fetch_value("SELECT generation FROM blob_sweeps WHERE namespace_id = %(namespace_id)s")
    return int(value or 0)


async def is_garbage(tx: NamespaceReader, hashes: Iterable[str]) -> bool:
    """Say whether some of the bytes wait for a sweep, and may be gone if one was cut short."""
    value = await tx.fetch_value(
        "SELECT 1 FROM blob_garbage WHERE namespace_id = %(namespace_id)s AND sha256 = ANY(%(hashes)b) LIMIT 1",
        {"hashes": [*hashes]},
    )
    return value is not None


async def add_garbage(tx: NamespaceWriter, hashes: Iterable[str]) -> None:
    """Have the next sweep look at these bytes."""
    await tx.execute(
        """
        INSERT INTO blob_garbage (namespace_id, sha256)
        SELECT %(namespace_id)s, h FROM unnest(%(hashes)b::text[]) AS h ORDER BY h ON CONFLICT DO NOTHING""",
        {"hashes": sorted(set(hashes))},
    )


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


_SEARCHED = """ AND (o.key_prefix ILIKE %(search)s OR EXISTS (
  SELECT 1 FROM jsonb_path_query(jsonb_build_array(o.fields, o.metadata), 'strict $.**') AS v(value)
  WHERE jsonb_typeof(v.value) IN ('string', 'number') AND v.value #>> '{}' ILIKE %(search)s))"""
_SORTS = {
    "created_at": ("o.created_at", "timestamptz"),
    "updated_at": ("o.updated_at", "timestamptz"),
    "status": ("o.status", "text"),
    "object_id": ("o.object_id", "text"),
    "key_prefix": ("coalesce(o.key_prefix, '')", "text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which objects of a bucket a list shows; `condition` is compiled from filters, over the alias `o`."""

    bucket_id: str
    condition: str = "true"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    search: str | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the WHERE clause with its parameters."""
        text = (
            " WHERE o.namespace_id = %(namespace_id)s AND o.bucket_id = %(bucket_id)s"
            f" AND o.lifecycle_state = 'active' AND {self.condition}"
        )
        parameters = {**self.parameters, "bucket_id": self.bucket_id}
        if self.search:
            escaped = self.search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            parameters["search"] = f"%{escaped}%"
            text += _SEARCHED
        return text, parameters


async def page(
    tx: NamespaceReader,
    selection: Selection,
    *,
    sort: tuple[str, bool] | None,
    after: Sequence[Any] | None,
    limit: int,
    offset: int,
) -> list[tuple[StoredObject, list[Any]]]:
    """Return objects with the values that continue after each.

    Args:
        tx: the namespace.
        selection: which objects.
        sort: field and whether descending; None is the order of creation. Ties keep that order.
        after: the values of the row to continue after.
        limit: most rows.
        offset: rows to leave out first, without `after`.
    """
    where, parameters = selection.where()
    descending = sort is not None and sort[1]
    key, kind = _SORTS.get(sort[0], ("", "jsonb")) if sort else ("o.sequence", "bigint")
    if sort is not None and not key:
        key = "coalesce(o.fields #> %(sort_path)s, o.metadata #> %(sort_tail)s, 'null')"
        path = sort[0].split(".")
        parameters |= {"sort_path": path, "sort_tail": path[1:] if path[0] == "metadata" and path[1:] else path}
    if after is not None:
        parameters |= {"after_value": Jsonb(after[0]) if kind == "jsonb" else after[0], "after_sequence": after[1]}
        comparison = "<" if descending else ">"
        where += f" AND ({key}, o.sequence) {comparison} (%(after_value)s::{kind}, %(after_sequence)s::bigint)"
    direction = "DESC" if descending else "ASC"
    rows = await tx.fetch_all(
        f"SELECT {_COLUMNS}, {key} AS sort_value FROM objects o{where}"
        f" ORDER BY {key} {direction}, o.sequence {direction} LIMIT %(limit)s OFFSET %(offset)s",
        {**parameters, "limit": limit, "offset": 0 if after is not None else offset},
    )
    keys = [[_plain(row.pop("sort_value")), row["sequence"]] for row in rows]
    objects = await with_blobs(tx, rows, texts=False)
    return list(zip(objects.values(), keys, strict=True))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def total(tx: NamespaceReader, selection: Selection) -> int:
    """Return the number of selected objects."""
    where, parameters = selection.where()
    return int(await tx.fetch_value(f"SELECT count(*) FROM objects o{where}", parameters))


async def select_ids(tx: NamespaceReader, selection: Selection, limit: int) -> list[str]:
    """Return ids in order of creation."""
    where, parameters = selection.where()
    rows = await tx.fetch_all(
        f"SELECT o.object_id FROM objects o{where} ORDER BY o.sequence LIMIT %(limit)s",
        {**parameters, "limit": limit},
    )
    return [row["object_id"] for row in rows]


async def delete(tx: NamespaceWriter, object_id: str) -> Record:
    """Delete an object and its blobs, leave their bytes to the sweep; return failed (0 or 1) and size_bytes."""
    row = await tx.fetch_one(
        """
        WITH files AS (
          SELECT sha256, size_bytes, text IS NULL AS stored FROM blobs
          WHERE namespace_id = %(namespace_id)s AND object_id = %(object_id)s
        ), garbage AS (
          INSERT INTO blob_garbage (namespace_id, sha256)
          SELECT DISTINCT %(namespace_id)s, sha256 FROM files WHERE stored ON CONFLICT DO NOTHING
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
        UPDATE objects SET lifecycle_state = %(lifecycle_state)s, updated_at = now()
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND object_id = ANY(%(object_ids)b)
          AND lifecycle_state = 'active'
        RETURNING object_id, status = 'FAILED' AS failed""",
        {"bucket_id": bucket_id, "object_ids": [*object_ids], "lifecycle_state": lifecycle_state},
    )


async def delete_some(tx: NamespaceWriter, bucket_id: str, limit: int) -> int:
    """Delete up to `limit` objects of a bucket, leave their bytes to the sweep; return how many."""
    value = await tx.fetch_value(
        """
        WITH doomed AS (
          SELECT object_id FROM objects WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s
          ORDER BY sequence LIMIT %(limit)s FOR UPDATE
        ), garbage AS (
          INSERT INTO blob_garbage (namespace_id, sha256)
          SELECT DISTINCT b.namespace_id, b.sha256 FROM blobs b JOIN doomed USING (object_id)
          WHERE b.namespace_id = %(namespace_id)s AND b.text IS NULL ON CONFLICT DO NOTHING
        ), gone AS (
          DELETE FROM objects o USING doomed d
          WHERE o.namespace_id = %(namespace_id)s AND o.object_id = d.object_id RETURNING 1
        )
        SELECT count(*) FROM gone""",
        {"bucket_id": bucket_id, "limit": limit},
    )
    return int(value)


async def take_garbage(tx: NamespaceWriter, limit: int) -> list[tuple[str, bool]]:
    """Take up to `limit` hashes off the list; return each with whether a blob still refers to it."""
    rows = await tx.fetch_all(
        """
        WITH taken AS (
          DELETE FROM blob_garbage g USING (
            SELECT sha256 FROM blob_garbage WHERE namespace_id = %(namespace_id)s ORDER BY sha256 LIMIT %(limit)s
          ) s WHERE g.namespace_id = %(namespace_id)s AND g.sha256 = s.sha256 RETURNING g.sha256
        )
        SELECT sha256, EXISTS (
          SELECT 1 FROM blobs b WHERE b.namespace_id = %(namespace_id)s AND b.sha256 = taken.sha256 AND b.text IS NULL
        ) AS used FROM taken""",
        {"limit": limit},
    )
    return [(row["sha256"], row["used"]) for row in rows]


async def raise_generation(tx: NamespaceWriter) -> None:
    """Say that bytes were swept."""
    await tx.execute(
        """
        INSERT INTO blob_sweeps AS s VALUES (%(namespace_id)s, 1)
        ON CONFLICT (namespace_id) DO UPDATE SET generation = s.generation + 1"""
    )


async def namespaces_with_garbage(tx: Reader) -> list[NamespaceId]:
    """Return the namespaces in which a sweep has something to look at."""
    return [row["namespace_id"] for row in await tx.fetch_all("SELECT DISTINCT namespace_id FROM blob_garbage")]
