"""Every statement about submissions. They are an organization's: none of them is in a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import Reader, Record, Writer

__all__ = [
    "count",
    "find",
    "forget_never_sent",
    "forget_rejected",
    "insert",
    "is_taken",
    "list_some",
    "settle",
]

_ROW = """submission_id, extractor_name, version, description, status, sha256, md5, size_bytes, manifest, findings,
  message, organization_id, submitted_at, updated_at"""


async def insert(tx: Writer, values: Mapping[str, Any]) -> None:
    """Store a submission whose file is to come."""
    await tx.execute(
        """
        INSERT INTO extractor_submissions (submission_id, organization_id, extractor_name, version, description, status)
        VALUES (%(submission_id)s, %(organization_id)s, %(extractor_name)s, %(version)s, %(description)s,
          'pending_upload')""",
        values,
    )


async def is_taken(tx: Reader, organization_id: str, name: str, version: str) -> bool:
    """Say whether an extractor of this name and version waits or was passed on."""
    value = await tx.fetch_value(
        """
        SELECT 1 FROM extractor_submissions WHERE organization_id = %(organization_id)s
          AND extractor_name = %(name)s AND version = %(version)s AND status = 'pending_review' LIMIT 1""",
        {"organization_id": organization_id, "name": name, "version": version},
    )
    return value is not None


async def count(tx: Reader, organization_id: str, status: str | None) -> int:
    """Return how many submissions the organization has."""
    value = await tx.fetch_value(
        """
        SELECT count(*) FROM extractor_submissions
        WHERE organization_id = %(organization_id)s AND (%(status)s::text IS NULL OR status = %(status)s)""",
        {"organization_id": organization_id, "status": status},
    )
    return int(value or 0)


async def list_some(tx: Reader, organization_id: str, status: str | None, *, limit: int, offset: int) -> list[Record]:
    """Return submissions of the organization, newest first."""
    return await tx.fetch_all(
        f"""
        SELECT {_ROW} FROM extractor_submissions
        WHERE organization_id = %(organization_id)s AND (%(status)s::text IS NULL OR status = %(status)s)
        ORDER BY submitted_at DESC, submission_id LIMIT %(limit)s OFFSET %(offset)s""",
        {"organization_id": organization_id, "status": status, "limit": limit, "offset": offset},
    )


async def forget_rejected(tx: Writer, organization_id: str, *, keep: int) -> None:
    """Delete the rejected submissions of the organization but the `keep` newest; the sweep takes their archives."""
    await tx.execute(
        """
        DELETE FROM extractor_submissions WHERE submission_id IN (
          SELECT submission_id FROM extractor_submissions
          WHERE organization_id = %(organization_id)s AND status = 'rejected'
          ORDER BY updated_at DESC, submission_id OFFSET %(keep)s)""",
        {"organization_id": organization_id, "keep": keep},
    )


async def forget_never_sent(tx: Writer, organization_id: str) -> None:
    """Delete the submissions of the organization whose file was not confirmed in time."""
    await tx.execute(
        """
        DELETE FROM extractor_submissions s USING archive_uploads u
        WHERE s.organization_id = %(organization_id)s AND s.status = 'pending_upload'
          AND u.upload_id = s.submission_id AND u.status = 'FAILED'""",
        {"organization_id": organization_id},
    )


async def find(tx: Reader, organization_id: str, submission_id: str) -> Record | None:
    """Return one of them."""
    return await tx.fetch_one(
        f"""
        SELECT {_ROW} FROM extractor_submissions
        WHERE organization_id = %(organization_id)s AND submission_id = %(submission_id)s""",
        {"organization_id": organization_id, "submission_id": submission_id},
    )


async def settle(tx: Writer, submission_id: str, values: Mapping[str, Any]) -> None:
    """Write what looking through the file gave."""
    await tx.execute(
        """
        UPDATE extractor_submissions SET status = %(status)s, sha256 = %(sha256)s, md5 = %(md5)s,
          size_bytes = %(size_bytes)s, manifest = %(manifest)s, findings = %(findings)s, message = %(message)s,
          updated_at = now()
        WHERE submission_id = %(submission_id)s""",
        {
            **values,
            "submission_id": submission_id,
            "manifest": None if values["manifest"] is None else Jsonb(values["manifest"]),
            "findings": Jsonb(values["findings"]),
        },
    )
