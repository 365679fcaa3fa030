"""Statements that read and write uploads. A state changes only where the state before allows it."""

from __future__ import annotations

from collections.abc import Sequence

from prismhouse.api.uploads.drafts import Draft
from prismhouse.api.uploads.model import EXPIRED, Upload, UploadStatus
from prismhouse.kit import json
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Record

__all__ = [
    "COLUMNS",
    "OVERDUE",
    "UPLOADS",
    "by_hash",
    "cancel",
    "delete_some",
    "find",
    "find_many",
    "insert",
    "upload_of",
]

# A confirmation that is at work when the URL expires may end; one that says nothing for an hour has died.
OVERDUE = """(status = 'PENDING' AND expires_at <= now()
  OR status = 'IN_PROGRESS' AND expires_at <= now() AND updated_at <= now() - interval '1 hour')"""
COLUMNS = f"""upload_id, bucket_id, sequence, filename, content_type, declared_size_bytes, file_hash, s3_key,
  blob_property, blob_type, metadata, object_metadata, create_object_on_confirm, skip_duplicates,
  presigned_url_expiration, expires_at, CASE WHEN {OVERDUE} THEN 'FAILED' ELSE status END AS status,
  CASE WHEN {OVERDUE} THEN '{EXPIRED}' ELSE message END AS message,
  etag, sha256, md5, size_bytes, verified_at, completed_at, duplicate_of_upload_id, object_id, task_id, batch_id,
  created_at, updated_at"""
UPLOADS = f"""(SELECT {COLUMNS}, coalesce(size_bytes, declared_size_bytes) AS file_size_bytes,
    duplicate_of_upload_id IS NOT NULL AS is_duplicate
  FROM uploads WHERE namespace_id = %(namespace_id)s) u"""


def upload_of(row: Record) -> Upload:
    """Return the upload of a row."""
    return Upload(**{**row, "status": UploadStatus(row["status"])})


async def insert(
    tx: NamespaceWriter, bucket_id: str, drafts: Sequence[Draft], *, ids: Sequence[str], keys: Sequence[str]
) -> list[Upload]:
    """Insert uploads; return them in the order of the drafts."""
    rows = await tx.fetch_all(
        f"""
        INSERT INTO uploads (namespace_id, bucket_id, upload_id, filename, content_type, declared_size_bytes, file_hash,
                             s3_key, blob_property, blob_type, metadata, object_metadata, create_object_on_confirm,
                             skip_duplicates, presigned_url_expiration, expires_at)
        SELECT %(namespace_id)s, %(bucket_id)s, d.upload_id, d.filename, d.content_type, d.size_bytes, d.file_hash,
               d.s3_key, d.blob_property, d.blob_type, d.metadata::jsonb, d.object_metadata::jsonb, d.create_object,
               d.skip_duplicates, d.seconds, now() + make_interval(secs => d.seconds)
        FROM unnest(%(ids)b::text[], %(filenames)b::text[], %(content_types)b::text[], %(sizes)b::bigint[],
                    %(hashes)b::text[], %(keys)b::text[], %(properties)b::text[], %(types)b::text[],
                    %(metadata)b::text[], %(object_metadata)b::text[], %(creating)b::boolean[],
                    %(skipping)b::boolean[], %(seconds)b::integer[])
             WITH ORDINALITY AS d(upload_id, filename, content_type, size_bytes, file_hash, s3_key, blob_property,
                                  blob_type, metadata, object_metadata, create_object, skip_duplicates, seconds, place)
        ORDER BY d.place
        RETURNING {COLUMNS}""",
        {
            "bucket_id": bucket_id,
            "ids": [*ids],
            "filenames": [draft.request.filename for draft in drafts],
            "content_types": [draft.request.content_type for draft in drafts],
            "sizes": [draft.request.file_size_bytes for draft in drafts],
            "hashes": [draft.request.file_hash for draft in drafts],
            "keys": [*keys],
            "properties": [draft.blob_property for draft in drafts],
            "types": [draft.blob_type.value for draft in drafts],
            "metadata": [json.dumps(draft.metadata).decode() for draft in drafts],
            "object_metadata": [json.dumps(draft.object_metadata).decode() for draft in drafts],
            "creating": [draft.request.create_object_on_confirm for draft in drafts],
            "skipping": [draft.request.skip_duplicates for draft in drafts],
            "seconds": [draft.request.presigned_url_expiration for draft in drafts],
        },
    )
    return sorted(map(upload_of, rows), key=lambda upload: upload.sequence)


async def find(tx: NamespaceReader, upload_id: str, *, bucket_id: str | None = None) -> Upload | None:
    """Return the upload, where given only of this bucket."""
    return (await find_many(tx, [upload_id], bucket_id=bucket_id)).get(upload_id)


async def find_many(
    tx: NamespaceReader, upload_ids: Sequence[str], *, bucket_id: str | None = None
) -> dict[str, Upload]:
    """Return the uploads that are there, by id; any text may be asked for."""
    rows = await tx.fetch_all(
        f"""
        SELECT {COLUMNS} FROM uploads
        WHERE namespace_id = %(namespace_id)s AND upload_id = ANY(%(ids)b)
          AND (%(bucket_id)s::text IS NULL OR bucket_id = %(bucket_id)s)""",
        {"ids": [upload_id for upload_id in upload_ids if "\x00" not in upload_id], "bucket_id": bucket_id},
    )
    return {row["upload_id"]: upload_of(row) for row in rows}


async def by_hash(tx: NamespaceReader, bucket_id: str, hashes: Sequence[str]) -> list[Upload]:
    """Return the completed uploads of the bucket whose file has one of the hashes, the oldest first."""
    rows = await tx.fetch_all(
        f"""
        SELECT {COLUMNS} FROM uploads
        WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND status = 'COMPLETED'
          AND sha256 = ANY(%(hashes)b)
        ORDER BY sequence""",
        {"bucket_id": bucket_id, "hashes": [*hashes]},
    )
    return [upload_of(row) for row in rows]


async def cancel(tx: NamespaceWriter, upload_id: str) -> bool:
    """Cancel the upload where its state allows that; say whether it did."""
    changed = await tx.execute(
        """
        UPDATE uploads SET status = 'CANCELED', message = NULL, updated_at = now()
        WHERE namespace_id = %(namespace_id)s AND upload_id = %(id)s
          AND status IN ('PENDING', 'IN_PROGRESS', 'FAILED')""",
        {"id": upload_id},
    )
    return changed > 0


async def delete_some(tx: NamespaceWriter, bucket_id: str, limit: int) -> list[Record]:
    """Delete up to `limit` uploads of a bucket; return s3_key and sha256 of each."""
    return await tx.fetch_all(
        """
        DELETE FROM uploads WHERE namespace_id = %(namespace_id)s AND upload_id IN (
          SELECT upload_id FROM uploads WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s
          LIMIT %(limit)s)
        RETURNING s3_key, sha256""",
        {"bucket_id": bucket_id, "limit": limit},
    )
