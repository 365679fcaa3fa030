"""Rows as the API shows them."""

from __future__ import annotations

from typing import Any

from prismhouse.api.organizations.schemas import KeyAnswer, NewKeyAnswer
from prismhouse.api.web.caller import Caller
from prismhouse.kit.clock import iso
from prismhouse.storage.postgres.database import Record

__all__ = ["key", "me", "new_key", "organization", "user"]

# There are no plans or quotas on a server of your own: the numbers say "not limited" in the API's terms.
_TIER = "enterprise"
RATE_LIMITS = dict.fromkeys(("metadata", "data", "search", "upload", "compute"), 1_000_000)


def me(caller: Caller) -> dict[str, Any]:
    """Return who calls."""
    return {
        "organization_id": caller.organization_id,
        "organization_name": caller.organization_name,
        "account_type": _TIER,
        "user_email": caller.user_email,
        "key": {
            "name": caller.key_name,
            "key_type": caller.key_type,
            "permissions": sorted(caller.permissions),
            "expires_at": caller.expires_at,
        },
        "rate_limits": RATE_LIMITS,
        "principal_scoped": caller.principal_id is not None,
    }


def organization(row: Record, users: list[Record] | None) -> dict[str, Any]:
    """Return the organization with its users, or null in their place."""
    return {
        "organization_id": row["organization_id"],
        "organization_name": row["organization_name"],
        "logo_url": row["profile"].get("logo_url"),
        "account_type": _TIER,
        "credit_count": 0,
        "metadata": row["metadata"],
        "billing_email": row["profile"].get("billing_email"),
        "notifications_email": row["profile"].get("notifications_email"),
        "rate_limits": RATE_LIMITS,
        "auto_billing_enabled": False,
        "billing_cycle_start": 1,
        "current_month_usage": 0,
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "users": None if users is None else [user(one) for one in users],
        "requires_plan": False,
        "is_internal": False,
    }


def user(row: Record) -> dict[str, Any]:
    """Return a user."""
    return {
        "user_id": row["user_id"],
        "organization_id": row["organization_id"],
        "email": row["email"],
        "user_name": row["user_name"],
        "avatar_url": row["avatar_url"],
        "role": row["role"],
        "status": row["status"],
        "metadata": row["metadata"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def _shared(row: Record) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name in KeyAnswer.model_fields}
    times = {name: iso(row[name]) for name in ("expires_at", "last_used_at", "created_at", "revoked_at")}
    # The contract requires internal_id; the organization's id is the only tenant id there is.
    return {**kept, **times, "description": row["description"] or "", "internal_id": row["organization_id"]}


def key(row: Record) -> dict[str, Any]:
    """Return a key without its secret."""
    return KeyAnswer(**_shared(row)).model_dump()


def new_key(row: Record, plaintext: str) -> dict[str, Any]:
    """Return a key with its secret."""
    return NewKeyAnswer(**_shared(row), key=plaintext).model_dump()
