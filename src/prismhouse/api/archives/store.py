"""Every statement about archives and their uploads. They are an organization's: none of them is in a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import Reader, Record, Writer

__all__ = [
    "abandoned",
    "end_upload",
    "find_upload",
    "give_up",
    "hold_limits",
    "insert_upload",
    "is_named",
    "lock_upload",
    "put_off",
    "take_unused",
    "touch",
]

_UPLOAD = "upload_id, organization_id, kind, request, s3_key, expires_at, status, answer"


async def insert_upload(tx: Writer, values: Mapping[str, Any]) -> None:
    """Remember that a URL is being issued."""
    await tx.execute(
        """
        INSERT INTO archive_uploads (organization_id, upload_id, kind, request, s3_key, expires_at)
        VALUES (%(organization_id)s, %(upload_id)s, %(kind)s, %(request)s, %(s3_key)s, %(expires_at)s)""",
        {**values, "request": Jsonb(values["request"])},
    )


async def find_upload(tx: Reader, organization_id: str, upload_id: str) -> Record | None:
    """Return an upload of the organization."""
    return await tx.fetch_one(
        f"""
        SELECT {_UPLOAD} FROM archive_uploads
        WHERE organization_id = %(organization_id)s AND upload_id = %(upload_id)s""",
        {"organization_id": organization_id, "upload_id": upload_id},
    )


async def lock_upload(tx: Writer, organization_id: str, upload_id: str) -> Record | None:
    """Return an upload that nobody else settles until `tx` ends."""
    return await tx.fetch_one(
        f"""
        SELECT {_UPLOAD} FROM archive_uploads
        WHERE organization_id = %(organization_id)s AND upload_id = %(upload_id)s FOR UPDATE""",
        {"organization_id": organization_id, "upload_id": upload_id},
    )


async def hold_limits(tx: Writer, organization_id: str) -> None:
    """Have others of the organization wait until `tx` ends before they count what it has."""
    await tx.execute(
        "SELECT 1 FROM organizations WHERE organization_id = %(organization_id)s FOR NO KEY UPDATE",
        {"organization_id": organization_id},
    )


async def end_upload(tx: Writer, upload_id: str, *, status: str, answer: Mapping[str, Any]) -> None:
    """Settle an upload, with what is answered whenever it is confirmed again."""
    await tx.execute(
        """
        UPDATE archive_uploads SET status = %(status)s, answer = %(answer)s, updated_at = now()
        WHERE upload_id = %(upload_id)s""",
        {"upload_id": upload_id, "status": status, "answer": Jsonb(answer)},
    )


async def abandoned(tx: Reader, *, grace_seconds: float, limit: int) -> list[Record]:
    """Return uploads that nobody confirmed in time; those that were put off come last."""
    return await tx.fetch_all(
        f"""
        SELECT {_UPLOAD} FROM archive_uploads
        WHERE status = 'PENDING' AND expires_at < now() - make_interval(secs => %(grace)s)
        ORDER BY updated_at, upload_id LIMIT %(limit)s""",
        {"grace": grace_seconds, "limit": limit},
    )


async def give_up(tx: Writer, upload_id: str) -> None:
    """Settle an upload as failed, unless a confirmation has settled it meanwhile."""
    await tx.execute(
        """
        UPDATE archive_uploads SET status = 'FAILED', updated_at = now()
        WHERE upload_id = %(upload_id)s AND status = 'PENDING'""",
        {"upload_id": upload_id},
    )


async def put_off(tx: Writer, upload_id: str) -> None:
    """Have all others looked at before this upload is looked at again."""
    await tx.execute(
        "UPDATE archive_uploads SET updated_at = now() WHERE upload_id = %(upload_id)s AND status = 'PENDING'",
        {"upload_id": upload_id},
    )


async def touch(tx: Writer, organization_id: str, sha256: str, size_bytes: int) -> None:
    """Say that these bytes are about to be used: the sweep leaves them for a while."""
    await tx.execute(
        """
        INSERT INTO archives (organization_id, sha256, size_bytes)
        VALUES (%(organization_id)s, %(sha256)s, %(size_bytes)s)
        ON CONFLICT (organization_id, sha256) DO UPDATE SET touched_at = now()""",
        {"organization_id": organization_id, "sha256": sha256, "size_bytes": size_bytes},
    )


async def take_unused(tx: Writer, *, idle_seconds: float, limit: int) -> list[Record]:
    """Delete the rows of archives that nothing names and nobody is about to use; return which they were.

    Who begins to use one of them waits for the end of `tx`, and then finds it missing.
    """
    return await tx.fetch_all(
        """
        DELETE FROM archives a WHERE (a.organization_id, a.sha256) IN (
          SELECT b.organization_id, b.sha256 FROM archives b
          WHERE b.touched_at < now() - make_interval(secs => %(idle)s)
            AND NOT EXISTS (SELECT 1 FROM models m
              WHERE m.organization_id = b.organization_id AND m.sha256 = b.sha256)
            AND NOT EXISTS (SELECT 1 FROM extractor_submissions s
              WHERE s.organization_id = b.organization_id AND s.sha256 = b.sha256)
          ORDER BY b.touched_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        RETURNING organization_id, sha256, size_bytes""",
        {"idle": idle_seconds, "limit": limit},
    )


async def is_named(tx: Reader, sha256: str) -> bool:
    """Say whether any organization has an archive with this hash."""
    return (
        await tx.fetch_value("SELECT 1 FROM archives WHERE sha256 = %(sha256)s LIMIT 1", {"sha256": sha256}) is not None
    )
