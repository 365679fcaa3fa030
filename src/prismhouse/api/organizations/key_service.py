"""API keys: made, listed, changed, revoked, rotated. Revocation holds from the commit on: nothing caches a key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prismhouse.api.audit.model import Action, changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.organizations import store
from prismhouse.api.organizations.errors import (
    KeyNameTaken,
    KeyNotFound,
    KeyTerminal,
    ProtectedKey,
    UserNotFound,
)
from prismhouse.api.organizations.keys import digest, new_key, prefix_of, unusable
from prismhouse.api.organizations.schemas import CreateKey, ResourceScope, UpdateKey
from prismhouse.api.web.caller import SYSTEM, Actor
from prismhouse.kit.clock import utc_now
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import KeyId, OrganizationId, new_id
from prismhouse.storage.postgres.database import Database, Reader, Record, Writer

__all__ = ["BOOTSTRAP_NAME", "Keys"]

BOOTSTRAP_NAME = "admin-key"
_AUDITED = (
    "name", "user_id", "key_prefix", "description", "permissions", "scopes", "rate_limit_override", "allowed_origins",
    "status", "expires_at",
)  # fmt: skip
_NULL_CLEARS = {"description", "rate_limit_override", "expires_at"}


class Keys:
    """The keys of an organization's users; `user_email` None means whoever owns the key."""

    def __init__(self, db: Database, *, audit: Audit | None = None) -> None:
        self._db = db
        self._audit = audit or Audit(db)

    async def insert(
        self,
        tx: Writer,
        body: CreateKey,
        *,
        organization_id: OrganizationId,
        user_id: str,
        plaintext: str,
        by: KeyId | None,
        bootstrap: bool = False,
    ) -> Record:
        """Add a key with the given secret in the caller's transaction; raise KeyNameTaken."""
        row = await store.insert_key(
            tx,
            {
                **body.model_dump(),
                "key_id": new_id("key"),
                "organization_id": organization_id,
                "user_id": user_id,
                "key_hash": digest(plaintext),
                "key_prefix": prefix_of(plaintext),
                "allowed_origins": body.allowed_origins or None,
                "expires_at": _future(body.expires_at),
                "is_bootstrap": bootstrap,
                "created_by": by,
            },
        )
        if row is None:
            raise KeyNameTaken(name=body.name)
        return row

    async def create(
        self,
        organization_id: OrganizationId,
        user_email: str,
        body: CreateKey,
        *,
        by: KeyId | None,
        actor: Actor = SYSTEM,
    ) -> tuple[Record, str]:
        """Make a key of the user; return its row and the plaintext, which is kept nowhere."""
        if body.name == BOOTSTRAP_NAME:
            raise ProtectedKey(name=body.name)
        _check_scopes(body.scopes)
        plaintext = new_key()
        async with self._db.write() as tx:
            user_id = await self._user_id(tx, organization_id, user_email)
            row = await self.insert(
                tx, body, organization_id=organization_id, user_id=str(user_id), plaintext=plaintext, by=by
            )
            await self.record(tx, actor, "api_key_created", row)
        return row, plaintext

    async def list(
        self, organization_id: OrganizationId, user_email: str | None, *, include_revoked: bool
    ) -> list[Record]:
        """Return the keys of a user, or of everyone, newest first."""
        async with self._db.read() as tx:
            user_id = await self._user_id(tx, organization_id, user_email)
            return await store.keys(tx, organization_id, user_id=user_id, include_revoked=include_revoked)

    async def update(
        self,
        organization_id: OrganizationId,
        user_email: str,
        identifier: str,
        body: UpdateKey,
        *,
        by: KeyId,
        actor: Actor = SYSTEM,
    ) -> Record:
        """Change a live key."""
        given = body.model_dump(exclude_unset=True)
        changes = {name: value for name, value in given.items() if value is not None or name in _NULL_CLEARS}
        _check_scopes(body.scopes)
        if "expires_at" in changes:
            changes["expires_at"] = _future(body.expires_at)
        if "allowed_origins" in changes:
            changes["allowed_origins"] = body.allowed_origins or None
        async with self._db.write() as tx:
            row = await self._live(tx, organization_id, user_email, identifier)
            if body.name == BOOTSTRAP_NAME:
                raise ProtectedKey(name=body.name)
            if body.name and await store.key_name_taken(tx, row["user_id"], body.name, but=row["key_id"]):
                raise KeyNameTaken(name=body.name)
            if body.status in {"revoked", "expired"}:
                changes |= {"revoked_at": utc_now(), "revoked_by": by}
            after = (await store.update_key(tx, row["key_id"], changes) if changes else row) or row
            if differences := changed(_shown(row), _shown(after)):
                revoked = changes.get("revoked_at") is not None
                action: Action = "api_key_revoked" if revoked else "api_key_scope_updated"
                await self.record(tx, actor, action, row, differences)
            return after

    async def revoke(
        self,
        organization_id: OrganizationId,
        user_email: str | None,
        identifier: str,
        *,
        by: KeyId | None,
        actor: Actor = SYSTEM,
    ) -> Record:
        """Kill a live key; it fails from the next request on."""
        changes = {"status": "revoked", "revoked_at": utc_now(), "revoked_by": by}
        async with self._db.write() as tx:
            row = await self._live(tx, organization_id, user_email, identifier)
            await self.record(tx, actor, "api_key_revoked", row)
            return await store.update_key(tx, row["key_id"], changes) or row

    async def rotate(
        self, organization_id: OrganizationId, user_email: str, identifier: str, *, actor: Actor = SYSTEM
    ) -> tuple[Record, str]:
        """Exchange the secret of a live key; the old one fails from the next request on."""
        plaintext = new_key()
        changes = {"key_hash": digest(plaintext), "key_prefix": prefix_of(plaintext)}
        async with self._db.write() as tx:
            row = await self._live(tx, organization_id, user_email, identifier)
            after = await store.update_key(tx, row["key_id"], changes) or row
            await self.record(tx, actor, "api_key_rotated", row, changed(_shown(row), _shown(after)))
            return after, plaintext

    async def touch(self, key_id: str) -> None:
        """Note that the key was used."""
        async with self._db.write() as tx:
            await store.touch_key(tx, key_id)

    async def record(
        self, tx: Writer, actor: Actor, action: Action, row: Record, changes: dict[str, Any] | None = None
    ) -> None:
        """Write an audit row about a key: what changed of it, or what it is."""
        await self._audit.record_many(
            tx,
            actor,
            organization_id=row["organization_id"],
            namespace_id=None,
            action=action,
            resource_type="api_key",
            entries=[(row["key_id"], _shown(row) if changes is None else changes)],
        )

    async def _user_id(self, tx: Reader, organization_id: OrganizationId, user_email: str | None) -> str | None:
        if user_email is None:
            return None
        row = await store.user(tx, organization_id, user_email)
        if row is None:
            raise UserNotFound(id=user_email, resource="user")
        return str(row["user_id"])

    async def _live(
        self, tx: Writer, organization_id: OrganizationId, user_email: str | None, identifier: str
    ) -> Record:
        user_id = await self._user_id(tx, organization_id, user_email)
        row = await store.key(tx, organization_id, identifier, user_id=user_id)
        if row is None:
            raise KeyNotFound(id=identifier, resource="api_key")
        if row["is_bootstrap"]:
            raise ProtectedKey(name=row["name"])
        if row["status"] != "active":
            raise KeyTerminal(name=row["name"], status=row["status"])
        return row


def _shown(row: Record) -> dict[str, Any]:
    """Return what the audit log may know of a key: never the secret or its digest."""
    return {name: row[name] for name in _AUDITED}


def _future(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if aware <= utc_now():
        raise Invalid([field_fault(["body", "expires_at"], "must lie in the future")])
    return aware


def _check_scopes(scopes: list[ResourceScope] | None) -> None:
    """Refuse operations that leave nothing, or nothing of what they name: the key would fail without saying why."""
    faults: list[Any] = [
        field_fault(["body", "scopes", index, "operations"], message)
        for index, scope in enumerate(scopes or [])
        if scope.operations and (message := unusable(scope.operations))
    ]
    if faults:
        raise Invalid(faults)
