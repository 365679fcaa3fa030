"""Every SQL statement about the places of events, and the deliveries that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from prismhouse.storage.postgres.database import Reader, Record, Writer

# The lock is taken by a statement of its own: the next one sees what its last holder committed.
_HOLD = "SELECT last_position FROM event_feed FOR UPDATE"
# By `sequence`: who emits holds the resource's lock, so of one resource that is the order of its changes.
_PLACE = """
WITH waiting AS (
  SELECT sequence FROM events WHERE position IS NULL ORDER BY sequence LIMIT %(limit)s
), numbered AS (
  SELECT sequence, %(last)s + row_number() OVER (ORDER BY sequence) AS position FROM waiting
), placed AS (
  UPDATE events SET position = numbered.position FROM numbered WHERE events.sequence = numbered.sequence
  RETURNING events.sequence, events.position, organization_id, event_type, created_at,
    md5(coalesce(namespace_id, '') || '/' || resource_id) AS resource
), made AS (
  INSERT INTO webhook_deliveries (webhook_id, channel, resource, position, event_sequence)
  SELECT w.webhook_id, coalesce((channel.value ->> 'number')::int, channel.place - 1), e.resource, e.position,
    e.sequence
  FROM placed AS e
  JOIN webhooks AS w ON w.organization_id = e.organization_id AND (w.is_active OR w.paused_at IS NOT NULL)
    AND e.created_at >= w.created_at AND (e.event_type = ANY(w.event_types) OR '*' = ANY(w.event_types))
    AND (w.resource_types IS NULL OR split_part(e.event_type, '.', 1) = ANY(w.resource_types))
  CROSS JOIN jsonb_array_elements(w.channels) WITH ORDINALITY AS channel (value, place)
  ORDER BY e.position
  RETURNING webhook_id, channel, resource
), lanes AS (
  -- The update changes nothing and locks: whoever is about to remove the lane as empty waits, and looks again.
  INSERT INTO webhook_lanes AS lane (webhook_id, channel, resource)
  SELECT DISTINCT webhook_id, channel, resource FROM made ORDER BY 1, 2, 3
  ON CONFLICT (webhook_id, channel, resource) DO UPDATE SET held_by = lane.held_by
)
UPDATE event_feed SET last_position = %(last)s + (SELECT count(*) FROM placed) RETURNING last_position
"""
_FORGET = """
WITH oldest AS (
  SELECT sequence, created_at, position FROM events WHERE sequence > %(after)s ORDER BY sequence LIMIT %(limit)s
), gone AS (
  DELETE FROM events USING oldest
  WHERE events.sequence = oldest.sequence AND oldest.position IS NOT NULL AND oldest.created_at < now() - %(age)s
    AND NOT EXISTS (
      SELECT FROM webhook_deliveries AS d WHERE d.event_sequence = oldest.sequence AND d.status <> 'delivered')
  RETURNING events.organization_id, events.position
), noted AS (
  INSERT INTO event_retention AS kept (organization_id, forgotten_through)
  SELECT organization_id, max(position) FROM gone GROUP BY organization_id
  ON CONFLICT (organization_id)
  DO UPDATE SET forgotten_through = greatest(kept.forgotten_through, excluded.forgotten_through)
)
SELECT (SELECT count(*) FROM gone) AS forgotten,
  (SELECT max(sequence) FROM oldest HAVING min(created_at) < now() - %(age)s) AS reached
"""
_PAGE = """
SELECT position, namespace_id, event_type, payload, created_at FROM events
WHERE organization_id = %(organization_id)s AND position > %(after)s {narrower} ORDER BY position LIMIT %(limit)s
"""


async def hold(tx: Writer, *, wait: bool) -> int | None:
    """Return the last place given and keep others from giving any; while somebody else does, wait or return None."""
    found = await tx.fetch_value(_HOLD if wait else f"{_HOLD} SKIP LOCKED")
    return None if found is None else int(found)


async def last_position(tx: Reader) -> int:
    """Return the last place given."""
    return int(await tx.fetch_value("SELECT last_position FROM event_feed"))


async def keep_webhooks(tx: Writer) -> None:
    """Keep those who may get deliveries from being deleted; whoever locks both locks the webhook before its lanes."""
    await tx.execute(
        """SELECT FROM webhooks WHERE (is_active OR paused_at IS NOT NULL)
             AND organization_id IN (SELECT organization_id FROM events WHERE position IS NULL)
           ORDER BY webhook_id FOR KEY SHARE"""
    )


async def place(tx: Writer, *, last: int, limit: int) -> int:
    """Give places to the oldest events without one, and make their deliveries; return the last place given."""
    return int(await tx.fetch_value(_PLACE, {"last": last, "limit": limit}))


async def waiting(tx: Reader) -> bool:
    """Say whether an event is committed and has no place yet."""
    return bool(await tx.fetch_value("SELECT EXISTS (SELECT FROM events WHERE position IS NULL)"))


async def forget(tx: Writer, *, age: timedelta, after: int, limit: int) -> tuple[int, int | None]:
    """Delete events older than `age` that nobody waits for, among the next `limit` after the sequence `after`.

    Returns how many went, and where to go on; None when there is nothing old any more.
    """
    row = await tx.fetch_one(_FORGET, {"age": age, "after": after, "limit": limit}) or {}
    return int(row["forgotten"]), row["reached"]


async def forgotten_through(tx: Reader, organization_id: str) -> int:
    """Return the last place that was forgotten; 0 when none was."""
    found = await tx.fetch_value(
        "SELECT forgotten_through FROM event_retention WHERE organization_id = %(organization_id)s",
        {"organization_id": organization_id},
    )
    return int(found or 0)


async def page(
    tx: Reader,
    organization_id: str,
    *,
    after: int,
    limit: int,
    namespace_id: str | None = None,
    event_type: str | None = None,
    patterns: Sequence[str] | None = None,
) -> list[Record]:
    """Return the next events after the place `after`, in order; with `patterns` those of namespaces that one names."""
    narrower = ""
    if namespace_id is not None:
        narrower += " AND namespace_id = %(namespace_id)s"
    if event_type is not None:
        narrower += " AND event_type = %(event_type)s"
    if patterns is not None:
        narrower += """ AND EXISTS (SELECT FROM unnest(%(patterns)b::text[]) AS p WHERE p = namespace_id
          OR (right(p, 1) = '*' AND starts_with(namespace_id, rtrim(p, '*'))))"""
    values = {
        "organization_id": organization_id,
        "after": after,
        "limit": limit,
        "namespace_id": namespace_id,
        "event_type": event_type,
        "patterns": None if patterns is None else list(patterns),
    }
    return await tx.fetch_all(_PAGE.format(narrower=narrower), values)


async def namespace_named(tx: Reader, organization_id: str, named: str) -> str:
    """Return the id of the namespace with this id or name; what is not known is taken for the id of one that went."""
    found = await tx.fetch_value(
        """SELECT namespace_id FROM namespaces WHERE organization_id = %(organization_id)s
             AND (namespace_id = %(named)s OR (namespace_name = %(named)s AND status = 'active'))
           ORDER BY namespace_id = %(named)s DESC LIMIT 1""",
        {"organization_id": organization_id, "named": named},
    )
    return str(found or named)
