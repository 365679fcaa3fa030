"""Organizations and their users. Keys are in key_service.py; `Organizations` offers both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prismhouse.api.audit.model import Action, changed
from prismhouse.api.audit.service import Audit
from prismhouse.api.organizations import store
from prismhouse.api.organizations.errors import (
    NoOrganization,
    NotOnThisServer,
    ProtectedUser,
    UserExists,
    UserNotFound,
)
from prismhouse.api.organizations.key_service import BOOTSTRAP_NAME, Keys
from prismhouse.api.organizations.keys import digest, new_key, prefix_of, same
from prismhouse.api.organizations.schemas import CreateKey, CreateUser, UpdateOrganization, UpdateUser
from prismhouse.api.web.caller import SYSTEM, Actor
from prismhouse.kit.errors import Invalid, field_fault
from prismhouse.kit.ids import KeyId, OrganizationId, new_id
from prismhouse.storage.postgres.database import Database, Record, Writer

__all__ = ["Organizations"]

_ADMIN_EMAIL = "admin@localhost"
_PROFILE: tuple[str, ...] = ("logo_url", "billing_email", "notifications_email")
_AUDITED = ("email", "user_name", "role", "status", "avatar_url", "metadata")
_HOSTED_ONLY = (
    "rate_limit_overrides",
    "default_llm_credentials",
    "spend_limits",
    "nsfw_check_enabled",
    "nsfw_fail_closed",
)


class Organizations:
    """What an administrator can do, over HTTP and from the command line."""

    def __init__(self, db: Database, *, audit: Audit | None = None) -> None:
        self._db = db
        self._audit = audit or Audit(db)
        self.keys = Keys(db, audit=self._audit)

    async def bootstrap(self, bootstrap_key: str | None = None) -> str | None:
        """Make the first organization, its admin and the key `admin-key`; return the key, or None if they stand.

        Any number of processes may call it at once: one makes them. With `bootstrap_key`, that text becomes the
        key; on a database that has another admin key, it replaces it, so that a lost key can be exchanged.
        """
        if bootstrap_key is not None and (not bootstrap_key.strip() or not bootstrap_key.isprintable()):
            raise Invalid([field_fault(["bootstrap_api_key"], "must be printable text without spaces around")])
        async with self._db.write() as tx:
            await store.lock_bootstrap(tx)
            standing = await store.bootstrap_key(tx)
            if standing is None:
                _, key = await self._make(tx, name="default", email=_ADMIN_EMAIL, key=bootstrap_key, bootstrap=True)
                return key
            if bootstrap_key is not None and not same(standing["key_hash"], digest(bootstrap_key)):
                await store.replace_secret(
                    tx, standing["key_id"], key_hash=digest(bootstrap_key), key_prefix=prefix_of(bootstrap_key)
                )
                await self.keys.record(tx, SYSTEM, "api_key_rotated", standing)
            return None

    async def create(self, *, name: str, email: str = _ADMIN_EMAIL) -> tuple[OrganizationId, str]:
        """Make one more organization with an admin; return its id and the plaintext of its admin key."""
        async with self._db.write() as tx:
            return await self._make(tx, name=name, email=email, key=None, bootstrap=True)

    async def _make(
        self, tx: Writer, *, name: str, email: str, key: str | None, bootstrap: bool
    ) -> tuple[OrganizationId, str]:
        organization_id = OrganizationId(new_id("org"))
        user_id = new_id("usr")
        plaintext = key or new_key()
        await store.insert_organization(tx, organization_id=organization_id, organization_name=name)
        admin = CreateUser(email=email, user_name="Administrator", role="admin")
        user = await store.insert_user(tx, _user_values(organization_id, user_id, admin))
        row = await self.keys.insert(
            tx,
            CreateKey(name=BOOTSTRAP_NAME, description="Made at the first start.", permissions=["admin"]),
            organization_id=organization_id,
            user_id=user_id,
            plaintext=plaintext,
            by=None,
            bootstrap=bootstrap,
        )
        if user is not None:
            await self._record(tx, SYSTEM, "user_created", user, _shown(user))
        await self.keys.record(tx, SYSTEM, "api_key_created", row)
        return organization_id, plaintext

    async def create_key(
        self,
        *,
        name: str,
        permissions: Sequence[str] = ("read", "write", "delete"),
        namespaces: Sequence[str] = (),
        description: str | None = None,
        expires_at: datetime | None = None,
        organization_id: OrganizationId | None = None,
        user_email: str | None = None,
    ) -> tuple[Record, str]:
        """Make a key without HTTP; return its row and the plaintext. Defaults: the first organization and its admin."""
        organization_id, user_email = await self._owner(organization_id, user_email)
        wanted: dict[str, Any] = {
            "name": name,
            "permissions": list(permissions),
            "description": description,
            "expires_at": expires_at,
            "scopes": [{"resource_type": "namespace", "resource_id": pattern} for pattern in namespaces],
        }
        return await self.keys.create(organization_id, user_email, CreateKey.model_validate(wanted), by=None)

    async def list_keys(
        self, *, include_revoked: bool = False, organization_id: OrganizationId | None = None
    ) -> list[Record]:
        """Return the keys of an organization (the first one) with `user_email`, newest first."""
        organization_id, _ = await self._owner(organization_id, None)
        return await self.keys.list(organization_id, None, include_revoked=include_revoked)

    async def revoke_key(self, identifier: str, *, organization_id: OrganizationId | None = None) -> Record:
        """Revoke a key by id or name; it stops working when this returns."""
        organization_id, _ = await self._owner(organization_id, None)
        return await self.keys.revoke(organization_id, None, identifier, by=None)

    async def _owner(
        self, organization_id: OrganizationId | None, user_email: str | None
    ) -> tuple[OrganizationId, str]:
        async with self._db.read() as tx:
            found = organization_id or await store.first_organization(tx)
            if found is None:
                raise NoOrganization
            if user_email is None:
                admins, _ = await store.users(tx, found, role="admin", status="active", skip=0, limit=1)
                user_email = admins[0]["email"] if admins else _ADMIN_EMAIL
        return OrganizationId(found), user_email

    async def read(self, organization_id: OrganizationId) -> tuple[Record, list[Record]]:
        """Return the organization and its users."""
        async with self._db.read() as tx:
            row = await store.organization(tx, organization_id)
            users, _ = await store.users(tx, organization_id, role=None, status=None, skip=0, limit=1000)
        if row is None:
            raise NoOrganization
        return row, users

    async def update(self, organization_id: OrganizationId, body: UpdateOrganization) -> tuple[Record, list[Record]]:
        """Change name, metadata, logo and emails; refuse what only the hosted service has."""
        refused = sorted(body.model_fields_set.intersection(_HOSTED_ONLY))
        if refused:
            raise NotOnThisServer(fields=", ".join(refused))
        given = body.model_dump(exclude_unset=True)
        profile: dict[str, Any] = {name: given[name] for name in _PROFILE if name in given}
        async with self._db.write() as tx:
            await store.update_organization(
                tx, organization_id, name=body.organization_name, metadata=body.metadata, profile=profile
            )
        return await self.read(organization_id)

    async def users(
        self, organization_id: OrganizationId, *, role: str | None, status: str | None, skip: int, limit: int
    ) -> tuple[list[Record], int]:
        """Return a page of users and the total."""
        async with self._db.read() as tx:
            return await store.users(tx, organization_id, role=role, status=status, skip=skip, limit=limit)

    async def user(self, organization_id: OrganizationId, email: str) -> Record:
        """Return one user; raise UserNotFound."""
        async with self._db.read() as tx:
            row = await store.user(tx, organization_id, email)
        if row is None:
            raise UserNotFound(id=email, resource="user")
        return row

    async def create_user(self, organization_id: OrganizationId, body: CreateUser, *, actor: Actor = SYSTEM) -> Record:
        """Add a user; raise UserExists."""
        async with self._db.write() as tx:
            row = await store.insert_user(tx, _user_values(organization_id, new_id("usr"), body))
            if row is None:
                raise UserExists(email=body.email)
            await self._record(tx, actor, "user_created", row, _shown(row))
        return row

    async def update_user(
        self, organization_id: OrganizationId, email: str, body: UpdateUser, *, by: KeyId, actor: Actor = SYSTEM
    ) -> Record:
        """Change a user; a status other than active revokes the user's keys in the same transaction."""
        changes = {k: v for k, v in body.model_dump(exclude_unset=True).items() if v is not None or k == "avatar_url"}
        async with self._db.write() as tx:
            row = await store.user(tx, organization_id, email)
            if row is None:
                raise UserNotFound(id=email, resource="user")
            if changes.get("status", "active") != "active":
                if row["holds_bootstrap"]:
                    raise ProtectedUser(email=email)
                await self._revoke_all(tx, row, by=by, actor=actor)
            after = await store.update_user(tx, row["user_id"], changes) or row
            if differences := changed(_shown(row), _shown(after)):
                await self._record(tx, actor, "user_updated", row, differences)
        return after

    async def delete_user(self, organization_id: OrganizationId, email: str, *, actor: Actor = SYSTEM) -> None:
        """Remove a user and the user's keys."""
        async with self._db.write() as tx:
            row = await store.user(tx, organization_id, email)
            if row is None:
                raise UserNotFound(id=email, resource="user")
            if row["holds_bootstrap"]:
                raise ProtectedUser(email=email)
            await self._revoke_all(tx, row, by=actor.actor_id, actor=actor)
            await self._record(tx, actor, "user_deleted", row, _shown(row))
            await store.delete_user(tx, row["user_id"])

    async def _revoke_all(self, tx: Writer, user: Record, *, by: str, actor: Actor) -> None:
        revoked = await store.revoke_all(tx, user["user_id"], by=by)
        await self._audit.record_many(
            tx,
            actor,
            organization_id=user["organization_id"],
            namespace_id=None,
            action="api_key_revoked",
            resource_type="api_key",
            entries=[(key["key_id"], {"name": key["name"], "user_id": user["user_id"]}) for key in revoked],
        )

    async def _record(self, tx: Writer, actor: Actor, action: Action, row: Record, changes: dict[str, Any]) -> None:
        await self._audit.record_many(
            tx,
            actor,
            organization_id=row["organization_id"],
            namespace_id=None,
            action=action,
            resource_type="user",
            entries=[(row["user_id"], changes)],
        )


def _shown(row: Record) -> dict[str, Any]:
    return {name: row[name] for name in _AUDITED}


def _user_values(organization_id: OrganizationId, user_id: str, body: CreateUser) -> dict[str, Any]:
    return {
        **body.model_dump(),
        "organization_id": organization_id,
        "user_id": user_id,
        "status": body.status or "active",
    }
