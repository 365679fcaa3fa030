"""Every SQL statement about events."""

from __future__ import annotations

from collections.abc import Mapping
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
