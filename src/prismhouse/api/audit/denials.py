"""Administrators' work that somebody else tried: the audit log has it with the status `failure`."""

from __future__ import annotations

from collections.abc import Mapping

from prismhouse.api.audit.model import Action, ResourceType
from prismhouse.api.audit.service import Audit
from prismhouse.api.web.caller import Caller

__all__ = ["Denials"]

# Operation -> what it would have done, and the path parameter that names to what (None: the organization).
_TRIED: dict[str, tuple[Action, ResourceType, str | None]] = {
    "create_user_organizations": ("user_created", "organization", None),
    "update_user_organizations_email": ("user_updated", "user", "user_email"),
    "delete_user_organizations_email": ("user_deleted", "user", "user_email"),
    "create_key_organizations_users_email": ("api_key_created", "user", "user_email"),
    "update_key_organizations_users_email_name": ("api_key_scope_updated", "api_key", "key_name"),
    "delete_key_organizations_users_email_name": ("api_key_revoked", "api_key", "key_name"),
    "rotate_key_organizations_users_email_name": ("api_key_rotated", "api_key", "key_name"),
    "update_audit_settings_organizations": ("permission_updated", "organization", None),
    "create_webhook_organizations": ("webhook_created", "organization", None),
    "update_webhook_organizations": ("webhook_updated", "webhook", "identifier"),
    "delete_webhook_organizations": ("webhook_deleted", "webhook", "identifier"),
    "redeliver_webhook_organizations": ("webhook_updated", "webhook", "identifier"),
}


class Denials:
    """Writes a row for each refused attempt to change users, keys or what is audited."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def note(self, caller: Caller, operation_id: str, path: Mapping[str, str]) -> None:
        """Record that the caller was refused; operations that change nothing are not recorded."""
        if operation_id not in _TRIED:
            return
        action, resource_type, parameter = _TRIED[operation_id]
        resource_id = path[parameter] if parameter else caller.organization_id
        await self._audit.note_failure(caller, action=action, resource_type=resource_type, resource_id=resource_id)
