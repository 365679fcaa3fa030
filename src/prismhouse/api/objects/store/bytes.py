"""Bytes that may have lost their last reference, and who may touch them when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter, Reader

__all__ = [
    "add_garbage",
    "expect",
    "generation",
    "hold_bytes",
    "hold_garbage",
    "is_garbage",
    "namespaces_with_garbage",
    "raise_generation",
    "settle",
    "take_garbage",
]


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
        """
        SELECT 1 FROM blob_garbage WHERE namespace_id = %(namespace_id)s AND sha256 = ANY(%(hashes)b)
          AND created_at <= clock_timestamp() LIMIT 1""",
        {"hashes": [*hashes]},
    )
    return value is not None


async def expect(tx: NamespaceWriter, hashes: Iterable[str], *, grace_seconds: int) -> None:
    """Have a sweep look at bytes that are about to be stored, unless they are settled before `grace_seconds` pass.

    Their time lies ahead: until then they are no garbage, and afterwards they are like any other. Whoever expects them
    again has the whole time again.
    """
    await tx.execute(
        """
        INSERT INTO blob_garbage (namespace_id, sha256, created_at)
        SELECT %(namespace_id)s, h, now() + make_interval(secs => %(grace_seconds)s)
        FROM unnest(%(hashes)b::text[]) AS h ORDER BY h
        ON CONFLICT (namespace_id, sha256) DO UPDATE SET created_at = excluded.created_at
        WHERE blob_garbage.created_at > clock_timestamp()""",
        {"hashes": sorted(set(hashes)), "grace_seconds": grace_seconds},
    )


async def settle(tx: NamespaceWriter, hashes: Iterable[str]) -> None:
    """Take bytes that were expected off the list; those that somebody else works on are left to the sweep."""
    await tx.execute(
        """
        DELETE FROM blob_garbage WHERE namespace_id = %(namespace_id)s AND sha256 IN (
          SELECT sha256 FROM blob_garbage WHERE namespace_id = %(namespace_id)s AND sha256 = ANY(%(hashes)b)
            AND created_at > clock_timestamp() FOR UPDATE SKIP LOCKED)""",
        {"hashes": [*hashes]},
    )


async def add_garbage(tx: NamespaceWriter, hashes: Iterable[str]) -> None:
    """Have the next sweep look at these bytes."""
    await tx.execute(
        """
        INSERT INTO blob_garbage (namespace_id, sha256)
        SELECT %(namespace_id)s, h FROM unnest(%(hashes)b::text[]) AS h ORDER BY h
        ON CONFLICT (namespace_id, sha256) DO UPDATE SET created_at = now()""",
        {"hashes": sorted(set(hashes))},
    )


async def hold_garbage(tx: NamespaceWriter, limit: int) -> list[str]:
    """Lock up to `limit` listed hashes; waits for deletions that are listing one of them again."""
    rows = await tx.fetch_all(
        """
        SELECT sha256 FROM blob_garbage WHERE namespace_id = %(namespace_id)s AND created_at <= now()
        ORDER BY sha256 LIMIT %(limit)s FOR UPDATE""",
        {"limit": limit},
    )
    return [row["sha256"] for row in rows]


async def take_garbage(tx: NamespaceWriter, hashes: Sequence[str]) -> list[str]:
    """Take hashes that `hold_garbage` locked off the list; return those that no blob and no document owns.

    A statement of its own: its snapshot has the deletions that `hold_garbage` waited for.
    """
    rows = await tx.fetch_all(
        """
        WITH taken AS (
          DELETE FROM blob_garbage WHERE namespace_id = %(namespace_id)s AND sha256 = ANY(%(hashes)b) RETURNING sha256
        )
        SELECT sha256 FROM taken WHERE NOT EXISTS (
          SELECT 1 FROM blobs b WHERE b.namespace_id = %(namespace_id)s AND b.sha256 = taken.sha256 AND b.text IS NULL)
        AND NOT EXISTS (
          SELECT 1 FROM documents d WHERE d.namespace_id = %(namespace_id)s AND d.document_blobs <> '[]'
            AND own_files(d.document_blobs) @> ARRAY[taken.sha256])
        ORDER BY sha256""",
        {"hashes": [*hashes]},
    )
    return [row["sha256"] for row in rows]


async def raise_generation(tx: NamespaceWriter) -> None:
    """Say that bytes were swept."""
    await tx.execute(
        """
        INSERT INTO blob_sweeps AS s VALUES (%(namespace_id)s, 1)
        ON CONFLICT (namespace_id) DO UPDATE SET generation = s.generation + 1"""
    )


async def namespaces_with_garbage(tx: Reader) -> list[NamespaceId]:
    """Return the namespaces in which a sweep has something to look at."""
    statement = "SELECT DISTINCT namespace_id FROM blob_garbage WHERE created_at <= now()"
    return [row["namespace_id"] for row in await tx.fetch_all(statement)]
