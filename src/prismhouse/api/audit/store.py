"""Every SQL statement about audit rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.storage.postgres.database import Writer

# 1,000 rows: one statement, no reference to check, times and numbers made by the database.
_INSERT = """
INSERT INTO audit_events (organization_id, namespace_id, action, resource_type, resource_id, status, changes, reason,
  actor_id, actor_type, key_id, ip_address, user_agent)
SELECT %(organization_id)s, %(namespace_id)s, %(action)s, %(resource_type)s, given.resource_id, %(status)s,
  given.changes::jsonb, %(reason)s, %(actor_id)s, %(actor_type)s, %(key_id)s, %(ip_address)s, %(user_agent)s
FROM unnest(%(resource_ids)b::text[], %(changes)b::text[]) AS given (resource_id, changes)
"""


async def insert(
    tx: Writer, shared: Mapping[str, Any], *, resource_ids: Sequence[str], changes: Sequence[str | None]
) -> None:
    """Add one row per resource; `changes` is JSON text per row, or empty where no row has any."""
    await tx.execute(_INSERT, {**shared, "resource_ids": [*resource_ids], "changes": [*changes]})
