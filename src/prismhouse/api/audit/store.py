"""Every SQL statement about audit rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prismhouse.api.audit.model import EQUAL, AuditQuery
from prismhouse.storage.postgres.database import Reader, Record, Writer

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


_SELECT = """
SELECT a.sequence, a.occurred_at, a.resource_type, a.resource_id, a.action, a.actor_id, a.actor_type, a.status,
  a.changes, a.reason, a.ip_address, a.user_agent,
  u.user_name AS actor_name, u.email AS actor_email, k.name AS actor_key_name
FROM ({rows}) AS a
LEFT JOIN api_keys AS k ON k.key_id = a.key_id AND k.organization_id = a.organization_id
LEFT JOIN users AS u ON u.organization_id = a.organization_id
  AND u.user_id = CASE a.actor_type WHEN 'user' THEN a.actor_id ELSE k.user_id END
ORDER BY a.occurred_at DESC, a.sequence DESC
"""
_ANNOTATIONS = ("annotation_created", "annotation_updated", "annotation_deleted")
# In the words of the partial index: true of every row that is not about an annotation.
_NO_ANNOTATION = "action NOT IN ('annotation_created', 'annotation_updated', 'annotation_deleted')"


def _where(asked: AuditQuery) -> str:
    parts = ["organization_id = %(organization_id)s"]
    parts += [f"{name} = %({name})s" for name in EQUAL if getattr(asked, name) is not None]
    if asked.start is not None:
        parts.append("occurred_at >= %(start)s")
    if asked.end is not None:
        parts.append("occurred_at <= %(end)s")
    elsewhere = asked.action is not None and asked.action not in _ANNOTATIONS
    if elsewhere or asked.resource_type not in {None, "annotation"}:
        parts.append(_NO_ANNOTATION)
    return " AND ".join(parts)


def _values(organization_id: str, asked: AuditQuery, **more: Any) -> dict[str, Any]:
    return {"organization_id": organization_id, **asked.values(), **more}


async def total(tx: Reader, organization_id: str, asked: AuditQuery) -> int:
    """Return how many rows match."""
    # prepare=False: the planner must see which action is meant, to choose the partial index.
    row = await tx.fetch_one(
        f"SELECT count(*) AS total FROM audit_events WHERE {_where(asked)}",
        _values(organization_id, asked),
        prepare=False,
    )
    return 0 if row is None else int(row["total"])


async def page(
    tx: Reader,
    organization_id: str,
    asked: AuditQuery,
    *,
    limit: int,
    skip: int = 0,
    after: tuple[datetime, int] | None = None,
) -> list[Record]:
    """Return rows newest first: from the row `skip`, or those older than `after`."""
    where = _where(asked)
    if after is not None:
        where += " AND (occurred_at, sequence) < (%(after_time)s, %(after_sequence)s)"
    rows = f"""SELECT * FROM audit_events WHERE {where}
               ORDER BY occurred_at DESC, sequence DESC OFFSET %(skip)s LIMIT %(limit)s"""
    place = {"after_time": after[0], "after_sequence": after[1]} if after else {}
    values = _values(organization_id, asked, limit=limit, skip=skip, **place)
    return await tx.fetch_all(_SELECT.format(rows=rows), values, prepare=False)


async def find(tx: Reader, organization_id: str, sequence: int) -> Record | None:
    """Return one row of the organization."""
    rows = "SELECT * FROM audit_events WHERE sequence = %(sequence)s AND organization_id = %(organization_id)s"
    return await tx.fetch_one(_SELECT.format(rows=rows), {"sequence": sequence, "organization_id": organization_id})


async def reads_audited(tx: Reader, organization_id: str) -> bool:
    """Say whether reads are recorded."""
    return bool(
        await tx.fetch_value(
            "SELECT read_auditing_enabled FROM organizations WHERE organization_id = %(organization_id)s",
            {"organization_id": organization_id},
        )
    )


async def audit_reads(tx: Writer, organization_id: str, *, enabled: bool) -> bool:
    """Begin or end recording reads; return what it was before."""
    before = await tx.fetch_value(
        "SELECT read_auditing_enabled FROM organizations WHERE organization_id = %(organization_id)s FOR UPDATE",
        {"organization_id": organization_id},
    )
    await tx.execute(
        "UPDATE organizations SET read_auditing_enabled = %(enabled)s WHERE organization_id = %(organization_id)s",
        {"organization_id": organization_id, "enabled": enabled},
    )
    return bool(before)
