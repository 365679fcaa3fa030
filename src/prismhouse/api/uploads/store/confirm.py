"""Statements of confirmations: which rows one works on, and what becomes of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prismhouse.api.uploads.model import Upload, UploadStatus
from prismhouse.api.uploads.store.rows import COLUMNS, OVERDUE, upload_of
from prismhouse.storage.postgres.database import NamespaceWriter

__all__ = ["Result", "begin", "hold", "put_back", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a row becomes; columns that are None stay as they are."""

    upload_id: str
    status: UploadStatus
    message: str | None
    etag: str | None = None
    sha256: str | None = None
    md5: str | None = None
    size_bytes: int | None = None
    object_id: str | None = None
    duplicate_of_upload_id: str | None = None
    task_id: str | None = None
    batch_id: str | None = None


async def begin(
    tx: NamespaceWriter, bucket_id: str, upload_ids: Sequence[str], *, to: UploadStatus, task_id: str | None
) -> dict[str, Upload]:
    """Mark the uploads that may be confirmed as being so; return them.

    Neither keeps a job out: of several confirmations the first to commit wins, and one that died blocks none. A
    request leaves PROCESSING to the jobs.
    """
    rows = await tx.fetch_all(
        f"""
        WITH held AS (
          SELECT upload_id FROM uploads
          WHERE namespace_id = %(namespace_id)s AND bucket_id = %(bucket_id)s AND upload_id = ANY(%(ids)b)
            AND (status = 'PROCESSING' AND %(task_id)s::text IS NOT NULL
              OR status IN ('PENDING', 'IN_PROGRESS') AND NOT {OVERDUE}
              OR status = 'FAILED' AND expires_at > now())
          ORDER BY upload_id FOR UPDATE
        )
        UPDATE uploads SET status = %(to_status)s, message = NULL, task_id = coalesce(%(task_id)s, task_id),
          updated_at = now()
        WHERE namespace_id = %(namespace_id)s AND upload_id IN (SELECT upload_id FROM held)
        RETURNING {COLUMNS}""",
        {"bucket_id": bucket_id, "ids": [*upload_ids], "to_status": to.value, "task_id": task_id},
    )
    return {row["upload_id"]: upload_of(row) for row in rows}


async def hold(tx: NamespaceWriter, upload_ids: Sequence[str]) -> set[str]:
    """Lock those that are not confirmed or cancelled meanwhile, and return them."""
    rows = await tx.fetch_all(
        """
        SELECT upload_id FROM uploads
        WHERE namespace_id = %(namespace_id)s AND upload_id = ANY(%(ids)b)
          AND status NOT IN ('COMPLETED', 'CANCELED')
        ORDER BY upload_id FOR UPDATE""",
        {"ids": [*upload_ids]},
    )
    return {row["upload_id"] for row in rows}


async def write(tx: NamespaceWriter, results: Sequence[Result]) -> dict[str, Upload]:
    """Write what rows that `tx` has locked become; return them by id."""
    rows = await tx.fetch_all(
        f"""
        WITH given AS (
          SELECT * FROM unnest(%(ids)b::text[], %(statuses)b::text[], %(messages)b::text[], %(etags)b::text[],
                               %(sha256s)b::text[], %(md5s)b::text[], %(sizes)b::bigint[], %(objects)b::text[],
                               %(duplicates)b::text[], %(tasks)b::text[], %(batches)b::text[])
            AS g(id, state, says, g_etag, g_sha256, g_md5, g_size, g_object, g_duplicate, g_task, g_batch)
        )
        UPDATE uploads SET status = state, message = says, etag = coalesce(g_etag, etag),
          sha256 = CASE WHEN state = 'COMPLETED' THEN g_sha256 END, md5 = coalesce(g_md5, md5),
          size_bytes = coalesce(g_size, size_bytes), object_id = coalesce(g_object, object_id),
          duplicate_of_upload_id = g_duplicate, task_id = coalesce(g_task, task_id), batch_id = g_batch,
          verified_at = CASE WHEN state = 'COMPLETED' THEN now() ELSE verified_at END,
          completed_at = CASE WHEN state = 'COMPLETED' THEN now() END, updated_at = now()
        FROM given WHERE namespace_id = %(namespace_id)s AND upload_id = id
        RETURNING {COLUMNS}""",
        {
            "ids": [result.upload_id for result in results],
            "statuses": [result.status.value for result in results],
            "messages": [result.message for result in results],
            "etags": [result.etag for result in results],
            "sha256s": [result.sha256 for result in results],
            "md5s": [result.md5 for result in results],
            "sizes": [result.size_bytes for result in results],
            "objects": [result.object_id for result in results],
            "duplicates": [result.duplicate_of_upload_id for result in results],
            "tasks": [result.task_id for result in results],
            "batches": [result.batch_id for result in results],
        },
    )
    return {row["upload_id"]: upload_of(row) for row in rows}


async def put_back(tx: NamespaceWriter, upload_ids: Sequence[str], message: str) -> None:
    """Say that a confirmation came to nothing; the next one may begin."""
    await tx.execute(
        """
        UPDATE uploads SET status = 'PENDING', message = %(message)s, updated_at = now()
        WHERE namespace_id = %(namespace_id)s AND upload_id = ANY(%(ids)b)
          AND status IN ('IN_PROGRESS', 'PROCESSING')""",
        {"ids": [*upload_ids], "message": message},
    )
