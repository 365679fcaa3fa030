"""What became of every row: counts by collection, and one record for each failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from prismhouse.api.batches.model import CountsRow
from prismhouse.engine.extractors.port import RowFailure
from prismhouse.engine.pipeline.ledger import Counts
from prismhouse.kit.ids import BatchId
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = [
    "FailedObject",
    "FailedRow",
    "add_counts",
    "add_failures",
    "counts_of",
    "failed_objects_of",
    "failed_rows",
    "insert_counts",
    "messages_of_objects",
    "newest_of_object",
    "note_documents_before",
    "partial_objects_of",
    "summary_of",
    "take_failures",
]

_NAMES = tuple(Counts.__dataclass_fields__)
_ALL = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    """A row that gave nothing, or the `part`-th one of its parts that did not, and why."""

    source_id: str
    object_id: str
    document_id: str | None
    failure: RowFailure
    attempts: int = 1
    part: int = 0
    retry_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedObject:
    """An object with at least one failed row, or part of one: its first failure."""

    object_id: str
    message: str
    error_type: str
    missing_feature: str | None
    created_at: datetime


async def insert_counts(tx: NamespaceWriter, batch_id: BatchId, rows: Sequence[tuple[int, str, str]]) -> None:
    """Begin the counts of (tier, collection, extractor)."""
    await tx.execute(
        """
        INSERT INTO batch_counts (namespace_id, batch_id, tier, collection_id, extractor_id)
        SELECT %(namespace_id)s, %(batch_id)s, tier, collection_id, extractor_id
        FROM unnest(%(tiers)b::int[], %(collections)b::text[], %(extractors)b::text[])
          AS given (tier, collection_id, extractor_id)
        """,
        {
            "batch_id": batch_id,
            "tiers": [row[0] for row in rows],
            "collections": [row[1] for row in rows],
            "extractors": [row[2] for row in rows],
        },
    )


async def add_counts(
    tx: NamespaceWriter,
    batch_id: BatchId,
    tier: int,
    collection_id: str,
    counts: Counts,
    *,
    began_at: datetime | None = None,
) -> None:
    """Add to the counts of a collection in a tier; `began_at` is when the chunk began that they come from."""
    sets = ", ".join(f"{name} = {name} + %({name})s" for name in _NAMES)
    await tx.execute(
        f"UPDATE batch_counts SET updated_at = clock_timestamp(),"
        f" started_at = least(started_at, %(began_at)s::timestamptz), {sets}"
        " WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND tier = %(tier)s"
        " AND collection_id = %(collection_id)s",
        {
            "batch_id": batch_id,
            "tier": tier,
            "collection_id": collection_id,
            "began_at": began_at,
            **{name: getattr(counts, name) for name in _NAMES},
        },
    )


async def note_documents_before(tx: NamespaceWriter, batch_id: BatchId, tier: int, numbers: Mapping[str, int]) -> None:
    """Note how many documents collections hold before a tier begins."""
    await tx.execute(
        """
        UPDATE batch_counts AS c SET documents_before = given.number
        FROM unnest(%(names)b::text[], %(numbers)b::bigint[]) AS given (name, number)
        WHERE c.namespace_id = %(namespace_id)s AND c.batch_id = %(batch_id)s AND c.tier = %(tier)s
          AND c.collection_id = given.name
        """,
        {"batch_id": batch_id, "tier": tier, "names": list(numbers), "numbers": list(numbers.values())},
    )


async def counts_of(tx: NamespaceReader, batch_ids: Sequence[str]) -> dict[str, list[CountsRow]]:
    """Return the counts of batches, by tier."""
    rows = await tx.fetch_all(
        "SELECT batch_id, tier, collection_id, extractor_id, started_at, documents_before, updated_at, canceled_at,"
        f" {', '.join(_NAMES)}"
        " FROM batch_counts WHERE namespace_id = %(namespace_id)s AND batch_id = ANY(%(batch_ids)b)"
        " ORDER BY batch_id, tier, collection_id",
        {"batch_ids": list(batch_ids)},
    )
    found: dict[str, list[CountsRow]] = {}
    for row in rows:
        counts = Counts(**{name: row.pop(name) for name in _NAMES})
        found.setdefault(row.pop("batch_id"), []).append(CountsRow(**row, counts=counts))
    return found


async def add_failures(
    tx: NamespaceWriter, batch_id: BatchId, tier: int, collection_id: str, rows: Sequence[FailedRow]
) -> None:
    """Record failed rows."""
    if not rows:
        return
    await tx.execute(
        """
        INSERT INTO row_failures (namespace_id, batch_id, tier, collection_id, source_id, object_id, document_id,
                                  part, missing_feature, stage, code, message, error_type, attempts, retry_count)
        SELECT %(namespace_id)s, %(batch_id)s, %(tier)s, %(collection_id)s, given.*
        FROM unnest(%(sources)b::text[], %(objects)b::text[], %(documents)b::text[], %(parts)b::smallint[],
                    %(features)b::text[], %(stages)b::text[], %(codes)b::text[], %(messages)b::text[],
                    %(types)b::text[], %(attempts)b::int[], %(retries)b::int[]) AS given
        ON CONFLICT DO NOTHING
        """,
        {
            "batch_id": batch_id,
            "tier": tier,
            "collection_id": collection_id,
            "sources": [row.source_id for row in rows],
            "objects": [row.object_id for row in rows],
            "documents": [row.document_id for row in rows],
            "parts": [row.part for row in rows],
            "features": [row.failure.missing_feature for row in rows],
            "stages": [row.failure.stage for row in rows],
            "codes": [row.failure.code for row in rows],
            "messages": [row.failure.message.replace("\x00", "")[:2000] for row in rows],
            "types": [str(row.failure.error_type) for row in rows],
            "attempts": [row.attempts for row in rows],
            "retries": [row.retry_count for row in rows],
        },
    )


async def take_failures(
    tx: NamespaceWriter, batch_id: BatchId, tier: int, collection_id: str, source_ids: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Forget that these rows failed, where they did: return attempts, retry_count and code by source."""
    rows = await tx.fetch_all(
        """
        DELETE FROM row_failures WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s
          AND tier = %(tier)s AND collection_id = %(collection_id)s AND source_id = ANY(%(source_ids)b) AND part = 0
        RETURNING source_id, attempts, retry_count, code
        """,
        {"batch_id": batch_id, "tier": tier, "collection_id": collection_id, "source_ids": list(source_ids)},
    )
    return {row["source_id"]: row for row in rows}


async def failed_objects_of(
    tx: NamespaceReader, batch_ids: Sequence[str], limit: int
) -> dict[str, tuple[int, list[FailedObject]]]:
    """Return, by batch, how many objects have failed rows, and the first `limit` of them."""
    return await _objects_of(tx, "part = 0", batch_ids, limit)


async def partial_objects_of(
    tx: NamespaceReader, batch_ids: Sequence[str], limit: int
) -> dict[str, tuple[int, list[FailedObject]]]:
    """Return, by batch, how many objects gave less than they could, and the first `limit`: by their worst loss."""
    return await _objects_of(tx, "part > 0", batch_ids, limit)


async def _objects_of(
    tx: NamespaceReader, condition: LiteralString, batch_ids: Sequence[str], limit: int
) -> dict[str, tuple[int, list[FailedObject]]]:
    rows = await tx.fetch_all(
        f"""
        SELECT * FROM (
          SELECT *, count(*) OVER (PARTITION BY batch_id) AS total,
                 row_number() OVER (PARTITION BY batch_id ORDER BY created_at, object_id) AS number
          FROM (SELECT DISTINCT ON (batch_id, object_id)
                  batch_id, object_id, message, error_type, missing_feature, created_at
                FROM row_failures
                WHERE namespace_id = %(namespace_id)s AND batch_id = ANY(%(batch_ids)b) AND {condition}
                ORDER BY batch_id, object_id, missing_feature NULLS FIRST, created_at, part) firsts
        ) numbered WHERE number <= %(limit)s ORDER BY batch_id, number
        """,
        {"batch_ids": list(batch_ids), "limit": limit},
    )
    found: dict[str, tuple[int, list[FailedObject]]] = {}
    for row in rows:
        _, objects = found.setdefault(row["batch_id"], (row["total"], []))
        objects.append(FailedObject(**{name: row[name] for name in FailedObject.__dataclass_fields__}))
    return found


async def messages_of_objects(tx: NamespaceReader, batch_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the first message of every object with failed rows, and of every other one with lost parts."""
    failed = await failed_objects_of(tx, [batch_id], _ALL)
    partial = await partial_objects_of(tx, [batch_id], _ALL)
    first, second = (
        {item.object_id: item.message for item in found.get(batch_id, (0, []))[1] if item.missing_feature is None}
        for found in (failed, partial)
    )
    return first, second


async def summary_of(tx: NamespaceReader, batch_ids: Sequence[str]) -> dict[str, dict[tuple[int, str], int]]:
    """Return, by batch, the number of failed rows and parts by (tier, error type); a missing feature is neither."""
    rows = await tx.fetch_all(
        "SELECT batch_id, tier, error_type, count(*) AS number FROM row_failures WHERE namespace_id = %(namespace_id)s"
        " AND batch_id = ANY(%(batch_ids)b) AND missing_feature IS NULL GROUP BY batch_id, tier, error_type",
        {"batch_ids": list(batch_ids)},
    )
    found: dict[str, dict[tuple[int, str], int]] = {}
    for row in rows:
        found.setdefault(row["batch_id"], {})[row["tier"], row["error_type"]] = row["number"]
    return found


async def failed_rows(
    tx: NamespaceReader, batch_id: str, *, tier: int | None, collection_id: str | None, limit: int, offset: int
) -> tuple[list[Mapping[str, Any]], int]:
    """Return a page of failed rows and lost parts, oldest first, and how many there are."""
    where = (
        "FROM row_failures WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s"
        " AND missing_feature IS NULL AND (%(tier)s::int IS NULL OR tier = %(tier)s)"
        " AND (%(collection_id)s::text IS NULL OR collection_id = %(collection_id)s)"
    )
    parameters = {
        "batch_id": batch_id,
        "tier": tier,
        "collection_id": collection_id and collection_id.replace("\x00", ""),
        "limit": limit,
        "offset": offset,
    }
    rows = await tx.fetch_all(
        "SELECT tier, collection_id, object_id, document_id, part,"
        " stage, code, message, error_type, attempts, retry_count, created_at"
        f" {where} ORDER BY created_at, tier, collection_id, source_id, part LIMIT %(limit)s OFFSET %(offset)s",
        parameters,
    )
    return list(rows), int(await tx.fetch_value(f"SELECT count(*) {where}", parameters))


async def newest_of_object(
    tx: NamespaceReader, object_id: str, collection_id: str, *, limit: int
) -> list[Mapping[str, Any]]:
    """Return the newest failures of an object in a collection, whatever batch met them."""
    rows = await tx.fetch_all(
        """
        SELECT f.batch_id, f.stage, f.message, f.created_at
        FROM batch_objects AS o JOIN row_failures AS f ON f.namespace_id = o.namespace_id AND f.batch_id = o.batch_id
          AND f.object_id = o.object_id
        WHERE o.namespace_id = %(namespace_id)s AND o.object_id = %(object_id)s
          AND f.collection_id = %(collection_id)s
        ORDER BY f.created_at DESC, f.batch_id, f.part LIMIT %(limit)s
        """,
        {"object_id": object_id, "collection_id": collection_id, "limit": limit},
    )
    return [*rows]
