"""A key and a namespace become a caller in one database round trip. Nothing is cached: revocation holds at once."""

from __future__ import annotations

import asyncio
import time

import structlog

from prismhouse.api.namespaces import store
from prismhouse.api.organizations.errors import OriginForbidden
from prismhouse.api.organizations.keys import digest, grants_of, origin_allowed, same
from prismhouse.api.organizations.service import Organizations
from prismhouse.api.web.caller import Caller, NamespaceCaller, NamespaceNotFound, Unauthorized
from prismhouse.kit.clock import iso
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import KeyId, NamespaceId, OrganizationId
from prismhouse.storage.postgres.database import Database, Record

__all__ = ["KeyAuthenticator", "NamespaceNotNamed"]

_TOUCH_SECONDS = 60.0
_MAX_KEY_LENGTH = 1024
_log = structlog.get_logger(__name__)


class NamespaceNotNamed(WarehouseError):
    """The request names no namespace, and the organization has {count} that this key opens."""

    code = Code.BAD_REQUEST
    hint = "Send the header X-Namespace with an id or a name; `GET /v1/namespaces` lists them."


class KeyAuthenticator:
    """Implements the web layer's `Authenticator`."""

    def __init__(self, db: Database, organizations: Organizations) -> None:
        self._db = db
        self._organizations = organizations
        self._touched: dict[str, float] = {}
        self._touching: set[asyncio.Task[None]] = set()

    async def authenticate(self, key: str, *, origin: str | None) -> Caller:
        """Return the caller of a live key; raise Unauthorized, or OriginForbidden."""
        key_hash = self._digest(key)
        async with self._db.read() as tx:
            row = await store.identity(tx, key_hash)
        return self._caller(row, key_hash, origin)

    async def enter(self, key: str, namespace: str | None, *, origin: str | None) -> NamespaceCaller:
        """Return the caller in the namespace named by id or name (None: the only one)."""
        key_hash = self._digest(key)
        named = None if namespace is None else namespace.replace("\x00", "\ufffd")
        async with self._db.read() as tx:
            rows = await store.identity_in_namespace(tx, key_hash, named)
        caller = self._caller(rows[0] if rows else None, key_hash, origin)
        found = [row for row in rows if row["namespace_id"] is not None]
        if named is not None and not found:
            raise NamespaceNotFound(named)
        if len(found) != 1:
            raise NamespaceNotNamed(count="several" if found else "none")
        namespace_id = NamespaceId(found[0]["namespace_id"])
        return NamespaceCaller(
            caller=caller.inside(namespace_id),
            namespace_id=namespace_id,
            namespace_name=found[0]["namespace_name"],
        )

    async def settle(self) -> None:
        """Wait for notes of key use that are still being written; call before the database closes."""
        if self._touching:
            await asyncio.gather(*self._touching)

    @staticmethod
    def _digest(key: str) -> str:
        if len(key) > _MAX_KEY_LENGTH:
            raise Unauthorized(reason="The key is not known.")
        return digest(key)

    def _caller(self, row: Record | None, key_hash: str, origin: str | None) -> Caller:
        if row is None or not same(row["key_hash"], key_hash):
            raise Unauthorized(reason="The key is not known.")
        if row["status"] != "active":
            raise Unauthorized(reason=f"The key is {row['status']}.")
        if row["user_status"] != "active":
            raise Unauthorized(reason="The user of this key is not active.")
        if not origin_allowed(row["allowed_origins"], origin):
            raise OriginForbidden(origin=origin)
        self._note_use(row)
        grants = grants_of(row["scopes"])
        return Caller(
            organization_id=OrganizationId(row["organization_id"]),
            organization_name=row["organization_name"],
            user_id=row["user_id"],
            user_email=row["user_email"],
            key_id=KeyId(row["key_id"]),
            key_name=row["name"],
            key_prefix=row["key_prefix"],
            key_type=row["key_type"],
            permissions=frozenset(row["permissions"]),
            namespaces=None if grants is None else tuple(grants),
            principal_id=row["principal_id"],
            expires_at=iso(row["expires_at"]),
            grants=grants,
            reads_audited=row["read_auditing_enabled"],
        )

    def _note_use(self, row: Record) -> None:
        """Write last_used_at beside the request, at most once a minute for a key and process."""
        key_id, now = row["key_id"], time.monotonic()
        if now - self._touched.get(key_id, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
            return
        self._touched[key_id] = now
        task = asyncio.create_task(self._touch(key_id))
        self._touching.add(task)
        task.add_done_callback(self._touching.discard)

    async def _touch(self, key_id: str) -> None:
        try:
            await self._organizations.keys.touch(key_id)
        except WarehouseError as error:
            _log.warning("last_used_at was not written", key_id=key_id, reason=error.message)
