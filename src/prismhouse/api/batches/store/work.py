"""Chunks while they are worked on: begun, made smaller, put back, tried again; and what their rows cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.api.batches.store.chunks import COLUMNS, Chunk
from prismhouse.engine.pipeline.cost import Rate
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["begin", "keep", "learn", "put_back", "rate_of", "undo_begin"]

_THIS = " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s AND chunk = %(chunk)s"
# When the database began to run without a break: a crash of one backend ends all sessions, but not the postmaster; then
# the statistics begin anew.
_RUNNING_SINCE = "(SELECT greatest(pg_postmaster_start_time(), stats_reset) FROM pg_stat_bgwriter)"
_PUT_BACK = """
INSERT INTO batch_chunks
SELECT made.* FROM batch_chunks AS parent, LATERAL jsonb_populate_record(parent, %(changes)s || jsonb_build_object(
  'not_before', now() + make_interval(secs => %(delay_seconds)s),
  'chunk', (SELECT max(chunk) + 1 FROM batch_chunks
    WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s))) AS made
WHERE parent.namespace_id = %(namespace_id)s AND parent.batch_id = %(batch_id)s AND parent.tier = %(tier)s
  AND parent.chunk = %(chunk)s
RETURNING chunk
"""


async def begin(tx: NamespaceWriter, batch_id: str, tier: int, chunk: int, *, start: str, alone: bool) -> Chunk | None:
    """Count a start and return the chunk, if it is open: a start that is never undone or finished is a death.

    A start before the database broke down is forgiven: its worker may have lived and could not tell. One of a single
    row without company, in a database that ran on, is a proof.

    The commit does not wait for the disk: a start that a crash of the database undid has cost nothing.

    Args:
        start: its id, for `undo_begin`.
        alone: whether no other chunk runs in this process.
    """
    row = await tx.fetch_one(
        "UPDATE batch_chunks SET"
        f" deaths = deaths + 1 - (begun_by IS NOT NULL AND begun_in <> {_RUNNING_SINCE})::int,"
        f" proofs = proofs + (begun_by IS NOT NULL AND begun_alone AND begun_in = {_RUNNING_SINCE})::int,"
        f" begun_by = %(start)s, begun_in = {_RUNNING_SINCE},"
        " begun_alone = %(alone)s AND cardinality(source_ids) = 1"
        f"{_THIS} AND state IN ('pending', 'queued')"
        " AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'"
        f" RETURNING {COLUMNS}, begun_by, begun_alone, proofs",
        {"batch_id": batch_id, "tier": tier, "chunk": chunk, "start": start, "alone": alone},
    )
    return Chunk(**row) if row else None


async def undo_begin(tx: NamespaceWriter, batch_id: str, begun: Chunk) -> None:
    """Take a start back: the worker lived to tell, even if another has begun since and took it for a death."""
    await tx.execute(
        "UPDATE batch_chunks SET deaths = greatest(0, deaths - 1),"
        " proofs = greatest(0, proofs - (%(alone)s AND begun_by IS DISTINCT FROM %(start)s)::int),"
        f" begun_by = nullif(begun_by, %(start)s){_THIS}",
        {
            "batch_id": batch_id,
            "tier": begun.tier,
            "chunk": begun.chunk,
            "start": begun.begun_by,
            "alone": begun.begun_alone,
        },
    )


async def keep(
    tx: NamespaceWriter,
    batch_id: str,
    tier: int,
    chunk: int,
    source_ids: Sequence[str],
    *,
    state: str = "queued",
    deaths: int | None = None,
) -> None:
    """Leave only these sources in a chunk; the others must be put back in the same transaction."""
    await tx.execute(
        "UPDATE batch_chunks SET source_ids = %(source_ids)b::text[], state = %(state)s,"
        f" deaths = coalesce(%(deaths)s, deaths){_THIS}",
        {
            "batch_id": batch_id,
            "tier": tier,
            "chunk": chunk,
            "source_ids": list(source_ids),
            "state": state,
            "deaths": deaths,
        },
    )


async def put_back(
    tx: NamespaceWriter,
    batch_id: str,
    tier: int,
    chunk: int,
    source_ids: Sequence[str],
    *,
    state: str = "pending",
    deaths: int = 0,
    attempt: int | None = None,
    delay_seconds: float | None = None,
) -> int:
    """Make a new chunk, like that one but of these sources, and return its number; `tx` has locked the batch."""
    changes: dict[str, Any] = {
        "source_ids": list(source_ids),
        "state": state,
        "deaths": deaths,
        **({} if attempt is None else {"attempt": attempt}),
        # How the parent ended is not how its offspring did.
        "outcomes": "",
        "witnesses": None,
        "done_at": None,
        # Nor is it to blame for what happened to it.
        "begun_by": None,
        "begun_alone": False,
        "proofs": 0,
    }
    return int(
        await tx.fetch_value(
            _PUT_BACK,
            {
                "batch_id": batch_id,
                "tier": tier,
                "chunk": chunk,
                "changes": Jsonb(changes),
                "delay_seconds": delay_seconds,
            },
        )
    )


async def rate_of(tx: NamespaceReader, collection_id: str, extractor_id: str) -> Rate:
    """Return what rows of a collection cost; before it had any, those that its namespace sent to the extractor."""
    row = await tx.fetch_one(
        """
        SELECT sum(seconds) AS seconds, sum(rows) AS rows, sum(bytes) AS bytes, sum(documents) AS documents
        FROM extraction_rates WHERE namespace_id = %(namespace_id)s AND extractor_id = %(extractor_id)s
        GROUP BY collection_id = %(collection_id)s ORDER BY collection_id = %(collection_id)s DESC LIMIT 1
        """,
        {"collection_id": collection_id, "extractor_id": extractor_id},
    )
    return Rate(**row) if row else Rate()


async def learn(tx: NamespaceWriter, collection_id: str, extractor_id: str, measured: Rate) -> None:
    """Add a measurement, before which all earlier ones lose half of their weight."""
    await tx.execute(
        """
        INSERT INTO extraction_rates AS known
          (namespace_id, collection_id, extractor_id, seconds, rows, bytes, documents)
        VALUES (%(namespace_id)s, %(collection_id)s, %(extractor_id)s,
          %(seconds)s, %(rows)s, %(bytes)s, %(documents)s)
        ON CONFLICT (namespace_id, collection_id, extractor_id) DO UPDATE SET measured_at = now(),
          seconds = known.seconds / 2 + excluded.seconds, rows = known.rows / 2 + excluded.rows,
          bytes = known.bytes / 2 + excluded.bytes, documents = known.documents / 2 + excluded.documents
        """,
        {
            "collection_id": collection_id,
            "extractor_id": extractor_id,
            "seconds": measured.seconds,
            "rows": measured.rows,
            "bytes": measured.bytes,
            "documents": measured.documents,
        },
    )
