"""Every SQL statement about events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from prismhouse.storage.postgres.database import Writer


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
