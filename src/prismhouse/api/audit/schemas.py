"""Wire shapes of the audit log."""

from __future__ import annotations

from typing import Any

from prismhouse.api.audit.model import audit_id
from prismhouse.api.web.body import RequestModel
from prismhouse.storage.postgres.database import Record

__all__ = ["UpdateAuditSettings", "event"]

_SAME = (
    "resource_type",
    "resource_id",
    "action",
    "actor_id",
    "actor_type",
    "status",
    "changes",
    "reason",
    "ip_address",
    "user_agent",
    "actor_name",
    "actor_email",
    "actor_key_name",
)


class UpdateAuditSettings(RequestModel):
    """Body of PATCH audit settings; null leaves it as it is."""

    read_auditing_enabled: bool | None = None


def event(row: Record) -> dict[str, Any]:
    """Return a row as the API shows it; the time stays a datetime, which becomes RFC 3339."""
    shown = {"audit_id": audit_id(row["sequence"]), "timestamp": row["occurred_at"]}
    return shown | {name: row[name] for name in _SAME}
