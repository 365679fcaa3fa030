"""The work of a batch: tiers, and chunks that become jobs a few at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.types.json import Jsonb

from prismhouse.api.batches.model import TierRow
from prismhouse.kit.ids import BatchId, TaskId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = [
    "COLUMNS",
    "Chunk",
    "Outcome",
    "find_chunk",
    "finish_chunk",
    "insert_chunks",
    "insert_tiers",
    "is_wanted",
    "lock_chunk",
    "objects_left_out",
    "objects_with_documents",
    "open_chunks",
    "remove_replaced",
    "root_objects",
    "take_pending",
    "tiers",
    "tiers_of",
    "update_tier",
    "upstream_documents",
    "upstream_with_documents",
]

COLUMNS = "tier, chunk, collection_id, source_ids, state, run, retry, attempt, deaths"
_CHUNK = f"""
SELECT {COLUMNS} FROM batch_chunks
WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s AND chunk = %(chunk)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some sources for one collection: what one job does.

    Attributes:
        deaths: starts after which the worker was not heard of again; one that goes on counts until it has ended.
        begun_by, begun_alone, proofs: of a chunk that this process has begun: the id of the start, whether it is one
            row that runs without company, and how often such a start was a death.
    """

    tier: int
    chunk: int
    collection_id: str
    source_ids: Sequence[str]
    state: str
    run: int = 0
    retry: bool = False
    attempt: int = 1
    deaths: int = 0
    begun_by: str | None = None
    begun_alone: bool = False
    proofs: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it is still to be run."""
        return self.state in {"pending", "queued"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a row ended: p(rocessed), f(ailed) or s(kipped); and the first document that was made of it."""

    letter: Literal["p", "f", "s"]
    witness: str | None = None


async def insert_tiers(tx: NamespaceWriter, batch_id: BatchId, task_ids: Sequence[TaskId], *, first: int = 0) -> None:
    """Add tiers `first`, `first` + 1, ... with their tasks."""
    await tx.execute(
        """
        INSERT INTO batch_tiers (namespace_id, batch_id, tier, task_id)
        SELECT %(namespace_id)s, %(batch_id)s, %(first)s + ordinal - 1, task_id
        FROM unnest(%(task_ids)b::text[]) WITH ORDINALITY AS given (task_id, ordinal)
        """,
        {"batch_id": batch_id, "task_ids": list(task_ids), "first": first},
    )


async def tiers_of(tx: NamespaceReader, batch_ids: Sequence[str]) -> dict[str, list[TierRow]]:
    """Return the tiers of batches, in order."""
    rows = await tx.fetch_all(
        "SELECT batch_id, tier, task_id, status, started_at, completed_at, fed_run, audit FROM batch_tiers"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = ANY(%(batch_ids)b) ORDER BY batch_id, tier",
        {"batch_ids": list(batch_ids)},
    )
    found: dict[str, list[TierRow]] = {}
    for row in rows:
        found.setdefault(row.pop("batch_id"), []).append(TierRow(**row))
    return found


async def tiers(tx: NamespaceReader, batch_id: str) -> list[TierRow]:
    """Return the tiers of a batch, in order."""
    return (await tiers_of(tx, [batch_id])).get(batch_id, [])


async def update_tier(
    tx: NamespaceWriter, batch_id: BatchId, tier: int, *, status: str, audit: Mapping[str, Any] | None = None
) -> None:
    """Set the status of a tier, when it began or ended, and its books at the end."""
    starts = status == "IN_PROGRESS"
    moment = "started_at" if starts else "completed_at"
    books = "NULL" if starts else "coalesce(%(audit)s::jsonb, audit)"
    await tx.execute(
        f"UPDATE batch_tiers SET status = %(status)s, {moment} = now(), audit = {books}"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s",
        {"batch_id": batch_id, "tier": tier, "status": status, "audit": None if audit is None else Jsonb(dict(audit))},
    )


async def insert_chunks(
    tx: NamespaceWriter,
    batch_id: BatchId,
    tier: int,
    work: Sequence[tuple[str, Sequence[str]]],
    *,
    run: int = 0,
    retry: bool = False,
) -> None:
    """Add chunks of (collection, sources), numbered after those that the tier has."""
    first = int(
        await tx.fetch_value(
            "SELECT coalesce(max(chunk) + 1, 0) FROM batch_chunks"
            " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s",
            {"batch_id": batch_id, "tier": tier},
        )
    )
    rows = [
        (tx.namespace_id, batch_id, tier, number, name, list(ids), run, retry)
        for number, (name, ids) in enumerate(work, first)
    ]
    await tx.unscoped.copy(
        "COPY batch_chunks (namespace_id, batch_id, tier, chunk, collection_id, source_ids, run, retry) FROM STDIN",
        rows,
    )


async def take_pending(tx: NamespaceWriter, batch_id: BatchId, tier: int, limit: int) -> tuple[list[int], int]:
    """Mark pending chunks as queued, until `limit` that are due are; return their numbers, and how many are open.

    Who stops the batch may hold some of them.
    """
    row = await tx.fetch_one(
        """
        WITH open AS (
          SELECT count(*) AS number,
            count(*) FILTER (WHERE state = 'queued' AND (not_before IS NULL OR not_before <= now())) AS due
          FROM batch_chunks WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s
            AND state IN ('pending', 'queued')
        ), next AS MATERIALIZED (
          SELECT chunk FROM batch_chunks
          WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s AND state = 'pending'
          ORDER BY chunk LIMIT greatest(0, %(limit)s - (SELECT due FROM open))
          FOR UPDATE SKIP LOCKED
        ), taken AS (
          UPDATE batch_chunks SET state = 'queued', not_before = NULL
          WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s
            AND chunk IN (SELECT chunk FROM next)
          RETURNING chunk
        )
        SELECT ARRAY(SELECT chunk FROM taken ORDER BY chunk) AS chunks, (SELECT number FROM open) AS number
        """,
        {"batch_id": batch_id, "tier": tier, "limit": limit},
    )
    return (list(row["chunks"]), int(row["number"])) if row else ([], 0)


async def open_chunks(tx: NamespaceReader, batch_id: str, tier: int) -> int:
    """Return how many chunks of a tier are still to be run."""
    return int(
        await tx.fetch_value(
            "SELECT count(*) FROM batch_chunks WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s"
            " AND tier = %(tier)s AND state IN ('pending', 'queued')",
            {"batch_id": batch_id, "tier": tier},
        )
    )


async def find_chunk(tx: NamespaceReader, batch_id: str, tier: int, chunk: int) -> Chunk | None:
    """Return a chunk."""
    row = await tx.fetch_one(_CHUNK, {"batch_id": batch_id, "tier": tier, "chunk": chunk})
    return Chunk(**row) if row else None


async def is_wanted(
    tx: NamespaceReader, batch_id: str, tier: int, chunk: int, *, run: int, statuses: Collection[str]
) -> bool:
    """Say whether a chunk is open, and its batch still in this run and one of these statuses.

    Asked twice a second for each chunk that runs: a batch may name 10,000 objects, so its row stays where it is.
    """
    row = await tx.fetch_one(
        """
        SELECT 1 AS found FROM batch_chunks AS c JOIN batches AS b USING (namespace_id, batch_id)
        WHERE c.namespace_id = %(namespace_id)s AND c.batch_id = %(batch_id)s AND c.tier = %(tier)s
          AND c.chunk = %(chunk)s AND c.state IN ('pending', 'queued')
          AND b.run = %(run)s AND b.status = ANY(%(statuses)b::text[])
        """,
        {"batch_id": batch_id, "tier": tier, "chunk": chunk, "run": run, "statuses": list(statuses)},
    )
    return row is not None


async def lock_chunk(tx: NamespaceWriter, batch_id: str, tier: int, chunk: int) -> Chunk | None:
    """Return a chunk that nobody else finishes until the transaction ends."""
    row = await tx.fetch_one(f"{_CHUNK} FOR UPDATE", {"batch_id": batch_id, "tier": tier, "chunk": chunk})
    return Chunk(**row) if row else None


async def finish_chunk(
    tx: NamespaceWriter, batch_id: BatchId, tier: int, chunk: int, outcomes: Sequence[Outcome | None]
) -> None:
    """Mark a chunk as done, with the outcome of each of its sources in order: a second delivery does nothing."""
    await tx.execute(
        "UPDATE batch_chunks SET state = 'done', outcomes = %(outcomes)s, witnesses = %(witnesses)b::text[],"
        " done_at = clock_timestamp()"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s AND chunk = %(chunk)s",
        {
            "batch_id": batch_id,
            "tier": tier,
            "chunk": chunk,
            "outcomes": "".join(item.letter if item else "?" for item in outcomes),
            "witnesses": [item.witness if item else None for item in outcomes],
        },
    )


async def upstream_with_documents(tx: NamespaceReader, collection_id: str, document_ids: Sequence[str]) -> set[str]:
    """Return those upstream documents that have documents in the collection."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT source_document_id FROM documents WHERE namespace_id = %(namespace_id)s"
        " AND collection_id = %(collection_id)s AND source_document_id = ANY(%(document_ids)b)",
        {"collection_id": collection_id, "document_ids": list(document_ids)},
    )
    return {row["source_document_id"] for row in rows}


async def objects_with_documents(tx: NamespaceReader, batch_id: str) -> set[str]:
    """Return the objects from which a batch wrote documents."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT root_object_id FROM documents"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s",
        {"batch_id": batch_id},
    )
    return {row["root_object_id"] for row in rows}


async def upstream_documents(
    tx: NamespaceReader, batch_id: str, collection_ids: Sequence[str], *, own_only: bool, kept: Sequence[str] = ()
) -> list[str]:
    """Return documents of `collection_ids` made from the batch's objects: by this batch, or by any.

    What the batch itself made before it was resubmitted does not count, but for the collections in `kept`.
    """
    rows = await tx.fetch_all(
        """
        SELECT document_id FROM documents JOIN batch_objects ON batch_objects.namespace_id = %(namespace_id)s
          AND batch_objects.batch_id = %(batch_id)s AND batch_objects.object_id = documents.root_object_id
        WHERE documents.namespace_id = %(namespace_id)s AND documents.collection_id = ANY(%(collection_ids)b)
          AND (NOT %(own_only)s OR documents.batch_id = %(batch_id)s AND (
            documents.collection_id = ANY(%(kept)b) OR documents.updated_at >= (SELECT replaces_before FROM batches
              WHERE batches.namespace_id = %(namespace_id)s AND batches.batch_id = %(batch_id)s)))
        ORDER BY batch_objects.ordinal, document_id
        """,
        {"batch_id": batch_id, "collection_ids": list(collection_ids), "own_only": own_only, "kept": list(kept)},
    )
    return [row["document_id"] for row in rows]


async def objects_left_out(
    tx: NamespaceReader, batch_id: str, collection_ids: Sequence[str], *, limit: int
) -> dict[str, list[str]]:
    """Return, by collection, objects of the batch with documents there that no chunk of its first tier holds."""
    rows = await tx.fetch_all(
        """
        SELECT asked.collection_id, found.object_id FROM unnest(%(collection_ids)b::text[]) AS asked (collection_id),
          LATERAL (
            SELECT o.object_id FROM batch_objects AS o
            WHERE o.namespace_id = %(namespace_id)s AND o.batch_id = %(batch_id)s
              AND o.object_id <> ALL (SELECT unnest(c.source_ids) FROM batch_chunks AS c
                WHERE c.namespace_id = %(namespace_id)s AND c.batch_id = %(batch_id)s AND c.tier = 0
                  AND c.collection_id = asked.collection_id)
              AND EXISTS (SELECT 1 FROM documents AS d WHERE d.namespace_id = %(namespace_id)s
                AND d.root_object_id = o.object_id AND d.collection_id = asked.collection_id)
            ORDER BY o.ordinal, o.object_id LIMIT %(limit)s) AS found
        """,
        {"batch_id": batch_id, "collection_ids": list(collection_ids), "limit": limit},
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["collection_id"], []).append(row["object_id"])
    return found


async def root_objects(tx: NamespaceReader, collection_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the objects behind the documents of collections, by bucket, oldest first."""
    rows = await tx.fetch_all(
        """
        SELECT bucket_id, array_agg(object_id ORDER BY sequence) AS ids FROM objects
        WHERE namespace_id = %(namespace_id)s AND object_id IN (
          SELECT root_object_id FROM documents
          WHERE namespace_id = %(namespace_id)s AND collection_id = ANY(%(collection_ids)b))
        GROUP BY bucket_id ORDER BY bucket_id
        """,
        {"collection_ids": list(collection_ids)},
    )
    return {row["bucket_id"]: row["ids"] for row in rows}


async def remove_replaced(tx: NamespaceWriter, batch_id: BatchId, collection_ids: Sequence[str]) -> int:
    """Delete what earlier runs wrote for objects of the batch that this run wrote anew and completely.

    A run that still went on when this one began is not earlier: what it wrote may be newer. What the batch itself
    wrote before it was resubmitted, and not again, is old too.
    """
    return await tx.execute(
        """
        DELETE FROM documents old USING batch_objects
        WHERE old.namespace_id = %(namespace_id)s AND old.collection_id = ANY(%(collection_ids)b)
          AND batch_objects.namespace_id = %(namespace_id)s AND batch_objects.batch_id = %(batch_id)s
          AND batch_objects.object_id = old.root_object_id
          AND (old.batch_id IS DISTINCT FROM %(batch_id)s OR old.updated_at < (
            SELECT replaces_before FROM batches mine
            WHERE mine.namespace_id = %(namespace_id)s AND mine.batch_id = %(batch_id)s))
          AND NOT EXISTS (SELECT 1 FROM row_failures failed WHERE failed.namespace_id = %(namespace_id)s
            AND failed.batch_id = %(batch_id)s AND failed.object_id = old.root_object_id
            AND failed.missing_feature IS NULL)
          AND NOT EXISTS (SELECT 1 FROM batches mine JOIN batches other USING (namespace_id)
            WHERE mine.namespace_id = %(namespace_id)s AND mine.batch_id = %(batch_id)s
            AND other.batch_id = old.batch_id AND other.batch_id <> mine.batch_id
            AND (other.completed_at IS NULL OR other.completed_at > mine.replaces_before))
        """,
        {"batch_id": batch_id, "collection_ids": list(collection_ids)},
    )
