"""What the house asks about uploads of all namespaces: which are overdue, old, or protect a staged file."""

from __future__ import annotations

from collections.abc import Sequence

from prismhouse.api.uploads.model import EXPIRED
from prismhouse.api.uploads.store.rows import OVERDUE
from prismhouse.storage.postgres.database import Reader, Record, Writer

__all__ = ["expire", "forget", "protected", "stale"]


async def expire(tx: Writer, limit: int) -> int:
    """Fail up to `limit` uploads whose time is over; return how many."""
    return await tx.execute(
        f"""
        UPDATE uploads SET status = 'FAILED', message = %(message)s, updated_at = now()
        WHERE (namespace_id, upload_id) IN (
          SELECT namespace_id, upload_id FROM uploads
          WHERE status IN ('PENDING', 'IN_PROGRESS') AND expires_at <= now() AND {OVERDUE}
          ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)""",
        {"message": EXPIRED, "limit": limit},
    )


async def forget(tx: Writer, *, days: int, limit: int) -> list[Record]:
    """Delete up to `limit` records of uploads that failed or were cancelled so long ago; return what they held."""
    return await tx.fetch_all(
        """
        DELETE FROM uploads WHERE (namespace_id, upload_id) IN (
          SELECT namespace_id, upload_id FROM uploads
          WHERE status IN ('FAILED', 'CANCELED') AND updated_at < now() - make_interval(days => %(days)s)
          ORDER BY updated_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        RETURNING namespace_id, s3_key, sha256""",
        {"days": days, "limit": limit},
    )


async def protected(tx: Reader, keys: Sequence[str]) -> set[str]:
    """Return the keys whose staged file an upload may still need.

    No upload goes back to a state that protects: an answer that leaves a key out holds for ever. The hour is for a
    confirmation whose transaction began just before the end.
    """
    rows = await tx.fetch_all(
        """
        SELECT s3_key FROM uploads WHERE s3_key = ANY(%(keys)b) AND (
          status IN ('IN_PROGRESS', 'PROCESSING')
          OR status IN ('PENDING', 'FAILED') AND expires_at > now() - interval '1 hour')
        UNION ALL  -- archives are staged in the same place, and see to their own end
        SELECT s3_key FROM archive_uploads WHERE s3_key = ANY(%(keys)b) AND status = 'PENDING'""",
        {"keys": [*keys]},
    )
    return {row["s3_key"] for row in rows}


async def stale(tx: Reader, *, minutes: int, limit: int) -> list[Record]:
    """Return up to `limit` uploads whose confirmation began so long ago and has said nothing since."""
    return await tx.fetch_all(
        """
        SELECT namespace_id, upload_id, s3_key FROM uploads
        WHERE status = 'IN_PROGRESS' AND updated_at < now() - make_interval(mins => %(minutes)s)
        ORDER BY expires_at LIMIT %(limit)s""",
        {"minutes": minutes, "limit": limit},
    )
