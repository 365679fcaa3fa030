"""The audit log: written by every noun, read by administrators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from prismhouse.api.audit import store
from prismhouse.api.audit.model import Action, AuditQuery, ResourceType, Status, sequence_of
from prismhouse.api.web.caller import Actor, Caller
from prismhouse.kit import json
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.database import Database, Record, Writer

__all__ = ["Audit", "AuditEventNotFound", "Entry", "ReadsAs", "Who"]

_ROWS_AT_ONCE = 1_000

Entry = tuple[str, Mapping[str, Any] | None]
"""A resource id and what changed of it."""


class AuditEventNotFound(WarehouseError):
    """No audit event {id} in this organization."""

    code = Code.NOT_FOUND
    hint = "`GET /v1/organizations/audit/logs` lists them."


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


class ReadsAs(Who, Protocol):
    """Somebody who reads."""

    @property
    def reads_audited(self) -> bool:
        """Whether the organization records reads."""
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

    async def note_read(
        self,
        who: ReadsAs,
        *,
        action: Action,
        resource_type: ResourceType,
        resource_id: str,
        namespace_id: str | None = None,
    ) -> None:
        """Record that something was read, where the organization wants that; costs nothing where it does not.

        A transaction of its own: a read has none. When it fails, so does the request: no read goes unseen.
        """
        if not who.reads_audited:
            return
        async with self._db.write() as tx:
            await self.record(
                tx,
                who,
                action=action,
                resource_type=resource_type,
                resource_id=resource_id,
                namespace_id=namespace_id,
            )

    async def note_failure(self, who: Who, *, action: Action, resource_type: ResourceType, resource_id: str) -> None:
        """Record, in a transaction of its own, that somebody tried what he may not."""
        async with self._db.write() as tx:
            await self.record(
                tx, who, action=action, resource_type=resource_type, resource_id=resource_id, status="failure"
            )

    async def read(self, organization_id: str, identifier: str) -> Record:
        """Return one row; raise AuditEventNotFound."""
        sequence = sequence_of(identifier)
        async with self._db.read() as tx:
            row = None if sequence is None else await store.find(tx, organization_id, sequence)
        if row is None:
            raise AuditEventNotFound(id=identifier, resource="audit_event")
        return row

    async def page(self, organization_id: str, asked: AuditQuery, *, skip: int, limit: int) -> tuple[list[Record], int]:
        """Return rows, newest first, and how many match in all."""
        async with self._db.read() as tx:
            total = await store.total(tx, organization_id, asked)
            rows = await store.page(tx, organization_id, asked, skip=skip, limit=limit) if skip < total else []
        return rows, total

    async def total(self, organization_id: str, asked: AuditQuery) -> int:
        """Return how many rows match."""
        async with self._db.read() as tx:
            return await store.total(tx, organization_id, asked)

    async def export(self, organization_id: str, asked: AuditQuery, *, limit: int) -> AsyncIterator[list[Record]]:
        """Give up to `limit` rows, newest first, in portions; no connection is held while one is sent."""
        after = None
        while limit > 0:
            async with self._db.read() as tx:
                wanted = min(limit, _ROWS_AT_ONCE)
                rows = await store.page(tx, organization_id, asked, limit=wanted, after=after)
            if rows:
                yield rows
            if len(rows) < wanted:
                return
            limit -= len(rows)
            after = (rows[-1]["occurred_at"], rows[-1]["sequence"])

    async def reads_audited(self, organization_id: str) -> bool:
        """Say whether reads are recorded."""
        async with self._db.read() as tx:
            return await store.reads_audited(tx, organization_id)

    async def audit_reads(self, caller: Caller, *, enabled: bool | None) -> bool:
        """Begin or end recording reads, from the next request on, and record that; None changes nothing."""
        if enabled is None:
            return await self.reads_audited(caller.organization_id)
        async with self._db.write() as tx:
            before = await store.audit_reads(tx, caller.organization_id, enabled=enabled)
            if before != enabled:
                await self.record(
                    tx,
                    caller,
                    action="permission_updated",
                    resource_type="organization",
                    resource_id=caller.organization_id,
                    changes={"read_auditing_enabled": {"old": before, "new": enabled}},
                )
        return enabled
