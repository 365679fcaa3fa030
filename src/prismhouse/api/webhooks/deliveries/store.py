"""Every SQL statement about deliveries and the lanes they wait in.

A lane's row is locked first, then its deliveries. Who locks a webhook and lanes locks the webhook before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import Reader, Record, Writer

_MOST_OF_TROUBLED = 2
_EVENT = """e.event_id, e.event_type, e.created_at AS occurred_at, e.namespace_id, e.resource_id, e.payload"""
_HOOK = """w.channels, w.secrets, w.delivery_health IS NOT NULL AS troubled"""
# The first of each lane; LATERAL goes through the partial index of what waits, once for a lane.
_FIRST = """
CROSS JOIN LATERAL (
  SELECT delivery, event_sequence, attempts FROM webhook_deliveries AS d
  WHERE d.webhook_id = lane.webhook_id AND d.channel = lane.channel AND d.resource = lane.resource
    AND d.status = 'pending' ORDER BY d.position LIMIT 1
) AS d
"""
# Those with the least on their way come first, and one that fails takes little: no webhook starves the others.
_CLAIM = """
WITH due AS (
  SELECT lane.* FROM webhooks AS w
  LEFT JOIN unnest(%(webhook_ids)b::text[], %(counts)b::int[]) AS busy (webhook_id, count) USING (webhook_id)
  CROSS JOIN LATERAL (
    SELECT l.webhook_id, l.channel, l.resource, l.due_at, w.timeout_seconds FROM webhook_lanes AS l
    WHERE l.webhook_id = w.webhook_id AND l.due_at <= now() ORDER BY l.due_at
    LIMIT greatest(0, CASE WHEN w.delivery_health IS NULL THEN %(most_of_one)s ELSE %(most_of_troubled)s END
      - coalesce(busy.count, 0)) FOR UPDATE SKIP LOCKED
  ) AS lane
  WHERE w.is_active ORDER BY coalesce(busy.count, 0), lane.due_at LIMIT %(limit)s
)
UPDATE webhook_lanes AS l
SET held_by = %(holder)s, due_at = now() + make_interval(secs => due.timeout_seconds + %(margin_seconds)s)
FROM due WHERE l.webhook_id = due.webhook_id AND l.channel = due.channel AND l.resource = due.resource
RETURNING l.webhook_id, l.channel, l.resource
"""
_HEADS = f"""
SELECT lane.webhook_id, lane.channel, lane.resource, d.delivery, d.attempts, {_HOOK}, {_EVENT}
FROM unnest(%(webhook_ids)b::text[], %(channels)b::smallint[], %(resources)b::text[])
  AS lane (webhook_id, channel, resource)
JOIN webhooks AS w ON w.webhook_id = lane.webhook_id AND w.is_active
{_FIRST}
JOIN events AS e ON e.sequence = d.event_sequence
"""
_HOLD = """
SELECT l.webhook_id, l.channel, l.resource FROM webhook_lanes AS l
JOIN unnest(%(webhook_ids)b::text[], %(channels)b::smallint[], %(resources)b::text[])
  AS lane (webhook_id, channel, resource) USING (webhook_id, channel, resource)
WHERE l.held_by = %(holder)s ORDER BY 1, 2, 3 FOR UPDATE OF l
"""
# What was received is noted even where the lane was lost meanwhile; a failure is then somebody else's to count.
_RECORD = """
UPDATE webhook_deliveries AS d
SET status = given.status, attempts = d.attempts + 1, last_attempt_at = now(), last_status_code = given.code,
  last_error = given.error, last_duration_ms = given.duration_ms,
  completed_at = CASE WHEN given.status <> 'pending' THEN now() END
FROM unnest(%(deliveries)b::bigint[], %(statuses)b::text[], %(codes)b::int[], %(errors)b::text[],
  %(durations)b::float8[]) AS given (delivery, status, code, error, duration_ms)
WHERE d.delivery = given.delivery AND d.status = 'pending'
"""
_EXTEND = """
UPDATE webhook_lanes AS l
SET due_at = now() + make_interval(secs => w.timeout_seconds + %(margin_seconds)s)
FROM unnest(%(webhook_ids)b::text[], %(channels)b::smallint[], %(resources)b::text[])
  AS lane (webhook_id, channel, resource), webhooks AS w
WHERE l.webhook_id = lane.webhook_id AND l.channel = lane.channel AND l.resource = lane.resource
  AND w.webhook_id = l.webhook_id AND l.held_by = %(holder)s
"""
_RELEASE = """
UPDATE webhook_lanes AS l SET held_by = NULL, due_at = now() + make_interval(secs => lane.delay_seconds)
FROM unnest(%(webhook_ids)b::text[], %(channels)b::smallint[], %(resources)b::text[], %(delays)b::float8[])
  AS lane (webhook_id, channel, resource, delay_seconds)
WHERE l.webhook_id = lane.webhook_id AND l.channel = lane.channel AND l.resource = lane.resource
  AND l.held_by = %(holder)s
"""
# The lanes are locked by an earlier statement, so that this one sees every delivery that was added to them.
_CLOSE = """
DELETE FROM webhook_lanes AS l
USING unnest(%(webhook_ids)b::text[], %(channels)b::smallint[], %(resources)b::text[])
  AS lane (webhook_id, channel, resource)
WHERE l.webhook_id = lane.webhook_id AND l.channel = lane.channel AND l.resource = lane.resource
  AND NOT EXISTS (SELECT FROM webhook_deliveries AS d WHERE d.webhook_id = l.webhook_id AND d.channel = l.channel
    AND d.resource = l.resource AND d.status = 'pending')
"""
_SHOWN = """
SELECT d.delivery, d.channel, d.status, d.attempts, d.last_attempt_at, d.last_status_code, d.last_error,
  d.last_duration_ms, d.created_at, d.completed_at, d.position, e.event_id, e.event_type, e.namespace_id,
  e.resource_id, CASE WHEN d.status = 'pending' THEN l.due_at END AS next_attempt_at, l.held_by IS NOT NULL AS held
FROM webhook_deliveries AS d
LEFT JOIN events AS e ON e.sequence = d.event_sequence
LEFT JOIN webhook_lanes AS l ON l.webhook_id = d.webhook_id AND l.channel = d.channel AND l.resource = d.resource
WHERE d.webhook_id = %(webhook_id)s
"""
_REOPEN = """
WITH again AS (
  UPDATE webhook_deliveries SET status = 'pending', attempts = 0, completed_at = NULL, last_error = NULL
  WHERE webhook_id = %(webhook_id)s AND delivery = %(delivery)s AND status <> 'pending'
    AND EXISTS (SELECT FROM events WHERE events.sequence = event_sequence)
  RETURNING webhook_id, channel, resource
)
INSERT INTO webhook_lanes AS lane (webhook_id, channel, resource) SELECT webhook_id, channel, resource FROM again
ON CONFLICT (webhook_id, channel, resource) DO UPDATE SET held_by = lane.held_by
"""
_FORGET = """
DELETE FROM webhook_deliveries WHERE delivery IN (
  SELECT delivery FROM webhook_deliveries
  WHERE (status = 'delivered' AND completed_at < now() - %(log)s)
     OR (status = 'failed' AND completed_at < now() - %(retention)s)
  ORDER BY completed_at LIMIT %(limit)s)
"""

Lane = tuple[str, int, str]
"""Webhook, channel, resource."""


def _columns(lanes: Sequence[Lane]) -> dict[str, list[Any]]:
    return {
        "webhook_ids": [one[0] for one in lanes],
        "channels": [one[1] for one in lanes],
        "resources": [one[2] for one in lanes],
    }


async def claim(
    tx: Writer, *, holder: str, busy: Mapping[str, int], most_of_one: int, limit: int, margin_seconds: float
) -> list[Lane]:
    """Take up to `limit` due lanes of active webhooks, of each only what `busy` leaves it; few of one that fails."""
    rows = await tx.fetch_all(
        _CLAIM,
        {
            "webhook_ids": list(busy),
            "counts": list(busy.values()),
            "most_of_one": most_of_one,
            "most_of_troubled": min(_MOST_OF_TROUBLED, most_of_one),
            "limit": limit,
            "holder": holder,
            "margin_seconds": margin_seconds,
        },
    )
    return [(row["webhook_id"], row["channel"], row["resource"]) for row in rows]


async def heads(tx: Reader, lanes: Sequence[Lane]) -> dict[Lane, Record]:
    """Return the first waiting delivery of each lane of an active webhook, with its event and its webhook."""
    rows = await tx.fetch_all(_HEADS, _columns(lanes))
    return {(row["webhook_id"], row["channel"], row["resource"]): row for row in rows}


async def hold(tx: Writer, lanes: Sequence[Lane], *, holder: str) -> set[Lane]:
    """Lock those of the lanes that `holder` still has."""
    rows = await tx.fetch_all(_HOLD, {**_columns(lanes), "holder": holder})
    return {(row["webhook_id"], row["channel"], row["resource"]) for row in rows}


async def record(tx: Writer, outcomes: Sequence[tuple[int, str, int | None, str | None, float]]) -> None:
    """Note an attempt for each (delivery, status, HTTP status, error, milliseconds)."""
    deliveries, statuses, codes, errors, durations = (list(column) for column in zip(*outcomes, strict=True))
    await tx.execute(
        _RECORD,
        {
            "deliveries": deliveries,
            "statuses": statuses,
            "codes": codes,
            "errors": errors,
            "durations": [float(duration) for duration in durations],  # psycopg takes no list of ints and floats
        },
    )


async def extend(tx: Writer, lanes: Sequence[Lane], *, holder: str, margin_seconds: float) -> None:
    """Keep lanes for another attempt."""
    await tx.execute(_EXTEND, {**_columns(lanes), "holder": holder, "margin_seconds": margin_seconds})


async def release(tx: Writer, delays: Mapping[Lane, float], *, holder: str) -> None:
    """Give lanes back, due again after so many seconds."""
    lanes = list(delays)
    await tx.execute(_RELEASE, {**_columns(lanes), "delays": [float(delays[one]) for one in lanes], "holder": holder})


async def close(tx: Writer, lanes: Sequence[Lane]) -> None:
    """Remove held lanes in which nothing waits."""
    await tx.execute(_CLOSE, _columns(lanes))


async def hasten(tx: Writer, webhook_id: str) -> None:
    """Make everything that waits due now, where nobody is at it."""
    await tx.execute(
        """UPDATE webhook_lanes SET due_at = now() WHERE (webhook_id, channel, resource) IN (
             SELECT webhook_id, channel, resource FROM webhook_lanes
             WHERE webhook_id = %(webhook_id)s AND held_by IS NULL AND due_at > now()
             ORDER BY 1, 2, 3 FOR UPDATE)""",
        {"webhook_id": webhook_id},
    )


async def lock_lanes(tx: Writer, webhook_id: str) -> None:
    """Wait for those who are noting attempts of a webhook, and keep others from it: what is deleted goes at once."""
    await tx.execute(
        "SELECT FROM webhook_lanes WHERE webhook_id = %(webhook_id)s ORDER BY channel, resource FOR UPDATE",
        {"webhook_id": webhook_id},
    )


async def health(tx: Writer, webhook_id: str) -> Record | None:
    """Return and lock what is known of a webhook's failures."""
    return await tx.fetch_one(
        "SELECT delivery_health, is_active, paused_at FROM webhooks WHERE webhook_id = %(webhook_id)s"
        " FOR NO KEY UPDATE",
        {"webhook_id": webhook_id},
    )


async def set_health(tx: Writer, webhook_id: str, known: Mapping[str, Any] | None, *, pause: bool) -> None:
    """Note a run of failures, or its end; with `pause` the webhook stops, and events wait."""
    await tx.execute(
        """UPDATE webhooks SET delivery_health = %(known)s, is_active = is_active AND NOT %(pause)s,
             paused_at = CASE WHEN %(pause)s THEN now() ELSE paused_at END
           WHERE webhook_id = %(webhook_id)s""",
        {"webhook_id": webhook_id, "known": None if known is None else Jsonb(known), "pause": pause},
    )


async def page(tx: Reader, webhook_id: str, *, status: str | None, before: int | None, limit: int) -> list[Record]:
    """Return deliveries, newest first."""
    where = "" if status is None else " AND d.status = %(status)s"
    where += "" if before is None else " AND d.delivery < %(before)s"
    return await tx.fetch_all(
        f"{_SHOWN}{where} ORDER BY d.delivery DESC LIMIT %(limit)s",
        {"webhook_id": webhook_id, "status": status, "before": before, "limit": limit},
        prepare=False,
    )


async def find(tx: Reader, webhook_id: str, delivery: int) -> Record | None:
    """Return one delivery of a webhook."""
    return await tx.fetch_one(
        f"{_SHOWN} AND d.delivery = %(delivery)s", {"webhook_id": webhook_id, "delivery": delivery}
    )


async def reopen(tx: Writer, webhook_id: str, delivery: int) -> int:
    """Have a delivery that ended sent again; return whether it had, and its event is still there."""
    return await tx.execute(_REOPEN, {"webhook_id": webhook_id, "delivery": delivery})


async def forget(tx: Writer, *, log: timedelta, retention: timedelta, limit: int) -> int:
    """Delete some deliveries that ended long ago; return how many."""
    return await tx.execute(_FORGET, {"log": log, "retention": retention, "limit": limit})


async def release_all(tx: Writer, *, holder: str) -> None:
    """Give back every lane of a holder that ends."""
    await tx.execute(
        "UPDATE webhook_lanes SET held_by = NULL, due_at = now() WHERE held_by = %(holder)s", {"holder": holder}
    )


async def relax(tx: Writer) -> None:
    """Let this transaction commit without waiting for the disk: losing it would only repeat what it noted."""
    await tx.execute("SET LOCAL synchronous_commit = off")
