"""The journal of a batch: what happened to it, entry by entry.

An entry is written in the transaction of the change it tells of, so it is there exactly when the change is. A batch
keeps the newest 200 entries of each event, messages of 2,000 characters and details of 8,000: chunks that are retried
for days push out each other, never the milestones. Entries go with their batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from psycopg.types.json import Jsonb

from prismhouse.kit.json import dumps, loads
from prismhouse.storage.postgres.database import NamespaceReader, NamespaceWriter

__all__ = ["Entry", "JournalEvent", "Level", "entries", "record"]

Level = Literal["info", "warning", "error"]
_KEPT_PER_EVENT = 200
_MESSAGE_CHARACTERS = 2000
_DETAILS_CHARACTERS = 8000


class JournalEvent(StrEnum):
    """Events that are recorded. Others may be: a name is all that an event is."""

    BATCH_CREATED = "batch.created"
    BATCH_SUBMITTED = "batch.submitted"
    BATCH_STARTED = "batch.started"
    BATCH_ENDED = "batch.ended"
    BATCH_CANCELED = "batch.canceled"
    BATCH_RETRIED = "batch.retried"
    BATCH_RESUBMITTED = "batch.resubmitted"
    BATCH_GIVEN_UP = "batch.given_up"
    DOCUMENTS_DELETED = "documents.deleted"
    TIER_STARTED = "tier.started"
    TIER_ENDED = "tier.ended"
    TIER_CANCELED = "tier.canceled"
    TIER_RETRIED = "tier.retried"
    TIER_HEALED = "tier.healed"
    JOB_CANCELED = "job.canceled"
    CHUNK_RETRIED = "chunk.retried"
    ROWS_RETRIED = "rows.retried"
    ROWS_ISOLATED = "rows.isolated"
    PROCESS_KILLED = "process.killed"
    WORKER_LOST = "worker.lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry. `number` counts those of the same event; where the first kept one is not 1, older ones went."""

    batch_id: str
    tier: int | None
    level: Level
    event: str
    number: int
    message: str
    details: Mapping[str, Any]
    created_at: datetime


async def record(
    tx: NamespaceWriter,
    batch_id: str,
    *,
    tier: int | None,
    level: Level,
    event: str,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry, in the transaction of the change; takes no lock that another entry would wait for.

    Args:
        tier: None for what concerns the batch as a whole.
        event: one of `JournalEvent`; a new name must be a constant, since the bound is per name.
        message: a sentence for a person.
        details: JSON values. With `infrastructure` set to oom, preemption, node_failure, ray_bug, rolling_update or
            unknown, the entry is among the batch's infrastructure events.
    """
    row = await tx.fetch_one(
        """
        INSERT INTO batch_journal (namespace_id, batch_id, tier, level, event, number, message, details)
        SELECT %(namespace_id)s, %(batch_id)s, %(tier)s, %(level)s, %(event)s, 1 + coalesce((
          SELECT number FROM batch_journal WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s
          AND event = %(event)s ORDER BY entry DESC LIMIT 1), 0), %(message)s, %(details)s
        RETURNING number
        """,
        {
            "batch_id": batch_id,
            "tier": tier,
            "level": level,
            "event": str(event),
            "message": _clean(message)[:_MESSAGE_CHARACTERS],
            "details": Jsonb(_storable(details or {})),
        },
    )
    if row is not None and row["number"] > _KEPT_PER_EVENT:
        await _drop_old(tx, batch_id, str(event))


async def _drop_old(tx: NamespaceWriter, batch_id: str, event: str) -> None:
    # What another transaction is dropping is skipped, not waited for: entries are written before and after locks.
    await tx.execute(
        """
        DELETE FROM batch_journal WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND entry IN (
          SELECT entry FROM batch_journal
          WHERE namespace_id = %(namespace_id)s AND batch_id = %(batch_id)s AND event = %(event)s
          ORDER BY entry DESC OFFSET %(kept)s FOR UPDATE SKIP LOCKED)
        """,
        {"batch_id": batch_id, "event": event, "kept": _KEPT_PER_EVENT},
    )


async def entries(
    tx: NamespaceReader,
    batch_ids: Sequence[str],
    *,
    tier: int | None = None,
    events: Sequence[str] | None = None,
    levels: Sequence[Level] | None = None,
    limit: int = 1000,
) -> dict[str, list[Entry]]:
    """Return the newest `limit` entries of each batch, oldest first; with `tier`, also those of the batch itself."""
    rows = await tx.fetch_all(
        """
        SELECT kept.* FROM unnest(%(batch_ids)b::text[]) AS asked (batch_id), LATERAL (
          SELECT batch_id, tier, level, event, number, message, details, created_at, entry FROM batch_journal
          WHERE namespace_id = %(namespace_id)s AND batch_id = asked.batch_id
            AND (%(tier)s::int IS NULL OR tier IS NULL OR tier = %(tier)s)
            AND (%(events)s::text[] IS NULL OR event = ANY(%(events)s))
            AND (%(levels)s::text[] IS NULL OR level = ANY(%(levels)s))
          ORDER BY entry DESC LIMIT %(limit)s) AS kept
        ORDER BY kept.batch_id, kept.entry
        """,
        {
            "batch_ids": list(batch_ids),
            "tier": tier,
            "events": None if events is None else [str(name) for name in events],
            "levels": None if levels is None else list(levels),
            "limit": limit,
        },
    )
    found: dict[str, list[Entry]] = {}
    for row in rows:
        del row["entry"]
        found.setdefault(row["batch_id"], []).append(Entry(**row))
    return found


def _storable(details: Mapping[str, Any]) -> Any:
    text = dumps(_clean(details)).decode()
    if len(text) > _DETAILS_CHARACTERS:
        kept = {name: details[name] for name in ("infrastructure",) if name in details}
        return {**kept, "left_out": f"{len(text)} characters of details"}
    return loads(text)


def _clean(value: Any) -> Any:
    """Return the value without what PostgreSQL cannot hold: U+0000, and halves of characters."""
    match value:
        case str():
            return value.replace("\x00", "").encode("utf-8", "replace").decode()
        case Mapping():
            return {_clean(str(name)): _clean(item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case _:
            return value
