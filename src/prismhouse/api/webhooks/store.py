"""Every SQL statement that writes events, and those about webhooks themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import Reader, Record, Writer


async def insert_event(tx: Writer, values: Mapping[str, Any]) -> None:
    """Add an event."""
    await tx.execute(
        """INSERT INTO events (event_id, organization_id, namespace_id, event_type, resource_id, payload)
           VALUES (%(event_id)s, %(organization_id)s, %(namespace_id)s, %(event_type)s, %(resource_id)s,
             %(payload)s)""",
        {**values, "payload": Jsonb(dict(values["payload"]))},
    )


async def insert_events(tx: Writer, shared: Mapping[str, Any], **columns: Sequence[str]) -> None:
    """Add events, one per place in the arrays `event_ids`, `event_types`, `resource_ids` and `payloads` (JSON text)."""
    await tx.execute(
        """INSERT INTO events (event_id, organization_id, namespace_id, event_type, resource_id, payload)
           SELECT given.event_id, %(organization_id)s, %(namespace_id)s, given.event_type, given.resource_id,
             given.payload::jsonb
           FROM unnest(%(event_ids)b::text[], %(event_types)b::text[], %(resource_ids)b::text[], %(payloads)b::text[])
             AS given (event_id, event_type, resource_id, payload)""",
        {**shared, **{name: list(values) for name, values in columns.items()}},
    )


_COLUMNS = """webhook_id, organization_id, webhook_name, event_types, resource_types, channels, secrets,
  timeout_seconds, is_active, paused_at, delivery_health, created_at, updated_at"""
_FIND = f"""
SELECT {_COLUMNS} FROM webhooks WHERE organization_id = %(organization_id)s
  AND (webhook_id = %(identifier)s OR webhook_name = %(identifier)s)
ORDER BY webhook_id = %(identifier)s DESC LIMIT 1
"""
_MATCHING = """organization_id = %(organization_id)s
  AND (%(event_type)s::text IS NULL OR event_types && ARRAY[%(event_type)s, '*'])
  AND (%(is_active)s::boolean IS NULL OR is_active = %(is_active)s)"""


async def insert_webhook(tx: Writer, values: Mapping[str, Any]) -> Record | None:
    """Return the new row, or None when the name is taken."""
    return await tx.fetch_one(
        f"""INSERT INTO webhooks (webhook_id, organization_id, webhook_name, event_types, resource_types, channels,
              secrets, timeout_seconds, is_active)
            VALUES (%(webhook_id)s, %(organization_id)s, %(webhook_name)s, %(event_types)b, %(resource_types)b,
              %(channels)s, %(secrets)s, %(timeout_seconds)s, %(is_active)s)
            ON CONFLICT (organization_id, webhook_name) DO NOTHING RETURNING {_COLUMNS}""",
        {**values, "channels": Jsonb(values["channels"])},
    )


async def count_webhooks(tx: Reader, organization_id: str) -> int:
    """Return how many webhooks the organization has."""
    return int(
        await tx.fetch_value(
            "SELECT count(*) FROM webhooks WHERE organization_id = %(organization_id)s",
            {"organization_id": organization_id},
        )
    )


async def find_webhook(tx: Reader, organization_id: str, identifier: str, *, lock: str = "") -> Record | None:
    """Return the webhook with this id or name, locked as the clause says; an id counts before a name."""
    if "\x00" in identifier:
        return None
    return await tx.fetch_one(f"{_FIND} {lock}", {"organization_id": organization_id, "identifier": identifier})


async def update_webhook(tx: Writer, webhook_id: str, values: Mapping[str, Any]) -> Record | None:
    """Store a changed webhook; the name may raise UniqueViolation."""
    health = values["delivery_health"]
    return await tx.fetch_one(
        f"""UPDATE webhooks SET webhook_name = %(webhook_name)s, event_types = %(event_types)b,
              resource_types = %(resource_types)b, channels = %(channels)s, secrets = %(secrets)s,
              timeout_seconds = %(timeout_seconds)s, is_active = %(is_active)s, paused_at = %(paused_at)s,
              delivery_health = %(delivery_health)s, updated_at = clock_timestamp()
            WHERE webhook_id = %(webhook_id)s RETURNING {_COLUMNS}""",
        {
            **values,
            "webhook_id": webhook_id,
            "channels": Jsonb(values["channels"]),
            "delivery_health": None if health is None else Jsonb(health),
        },
    )


async def unused_channel(tx: Reader, webhook_id: str, numbers: Sequence[int]) -> int:
    """Return a number above those given, and above those of all deliveries in the log: any may be sent again."""
    return int(
        await tx.fetch_value(
            """SELECT 1 + greatest(
                 (SELECT max(number) FROM unnest(%(numbers)b::int[]) AS number),
                 (SELECT max(channel) FROM webhook_deliveries WHERE webhook_id = %(webhook_id)s), -1)""",
            {"webhook_id": webhook_id, "numbers": list(numbers)},
        )
    )


async def delete_webhook(tx: Writer, webhook_id: str) -> None:
    """Remove a webhook with its deliveries."""
    await tx.execute("DELETE FROM webhooks WHERE webhook_id = %(webhook_id)s", {"webhook_id": webhook_id})


async def page_of_webhooks(
    tx: Reader,
    organization_id: str,
    *,
    event_type: str | None,
    is_active: bool | None,
    after: tuple[str, str] | None,
    limit: int,
    offset: int,
) -> tuple[list[Record], int]:
    """Return webhooks, newest first, and how many match in all."""
    values: dict[str, Any] = {
        "organization_id": organization_id,
        "event_type": event_type,
        "is_active": is_active,
        "limit": limit,
        "offset": offset,
    }
    total = int(await tx.fetch_value(f"SELECT count(*) FROM webhooks WHERE {_MATCHING}", values))
    further = ""
    if after is not None:
        further = "AND (created_at, webhook_id) < (%(after_time)s::timestamptz, %(after_id)s)"
        values |= {"after_time": after[0], "after_id": after[1]}
    rows = await tx.fetch_all(
        f"""SELECT {_COLUMNS} FROM webhooks WHERE {_MATCHING} {further}
            ORDER BY created_at DESC, webhook_id DESC LIMIT %(limit)s OFFSET %(offset)s""",
        values,
    )
    return rows, total
