"""The audit log: written by every noun, read by administrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from prismhouse.api.audit import store
from prismhouse.api.audit.model import Action, ResourceType, Status
from prismhouse.api.web.caller import Actor
from prismhouse.kit import json
from prismhouse.storage.postgres.database import Database, Writer

__all__ = ["Audit", "Entry", "Who"]

Entry = tuple[str, Mapping[str, Any] | None]
"""A resource id and what changed of it."""


class Who(Protocol):
    """Somebody who acts in an organization: a Caller or a Scope."""

    @property
    def organization_id(self) -> str:
        """Whose log it is."""
        ...

    @property
    def actor(self) -> Actor:
        """Who acts."""
        ...


class Audit:
    """Writes audit rows in the transaction of the change: both are there or neither."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(
        self,
        tx: Writer,
        who: Who,
        *,
        action: Action,
        resource_type: ResourceType,
        resource_id: str,
        changes: Mapping[str, Any] | None = None,
        reason: str | None = None,
        namespace_id: str | None = None,
        status: Status = "success",
    ) -> None:
        """Write one row. The namespace is the scope's unless given; `changes` must hold no secret."""
        await self.record_many(
            tx,
            who.actor,
            organization_id=who.organization_id,
            namespace_id=namespace_id or getattr(who, "namespace_id", None),
            action=action,
            resource_type=resource_type,
            entries=[(resource_id, changes)],
            reason=reason,
            status=status,
        )

    async def record_many(
        self,
        tx: Writer,
        actor: Actor,
        *,
        organization_id: str,
        namespace_id: str | None,
        action: Action,
        resource_type: ResourceType,
        entries: Sequence[Entry],
        reason: str | None = None,
        status: Status = "success",
    ) -> None:
        """Write one row per entry in one statement; nothing for no entries. `changes` must hold no secret.

        `reason` is why, in the caller's words; without one it is what the request's X-Change-Reason says.
        """
        if not entries:
            return
        shared = {
            "organization_id": organization_id,
            "namespace_id": namespace_id,
            "action": action,
            "resource_type": resource_type,
            "status": status,
            "reason": reason or actor.reason,
            "actor_id": actor.actor_id,
            "actor_type": actor.actor_type,
            "key_id": actor.key_id,
            "ip_address": actor.ip_address,
            "user_agent": actor.user_agent,
        }
        changes: list[str | None] = []
        if any(what is not None for _, what in entries):
            changes = [None if what is None else json.dumps(what).decode() for _, what in entries]
        await store.insert(tx, shared, resource_ids=[name for name, _ in entries], changes=changes)
