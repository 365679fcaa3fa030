"""Who calls, in which namespace, and with which permission: FastAPI dependencies for routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fastapi import Request

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import KeyId, NamespaceId, OrganizationId

__all__ = [
    "Authenticator",
    "Caller",
    "Callers",
    "Forbidden",
    "NamespaceCaller",
    "Permission",
    "Scope",
    "Unauthorized",
]

Permission = Literal["read", "write", "delete", "admin"]
_IMPLIES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "delete": frozenset({"read", "write", "delete"}),
    "admin": frozenset({"read", "write", "delete", "admin"}),
}


class Unauthorized(WarehouseError):
    """{reason}"""

    code = Code.UNAUTHORIZED
    hint = "Send `Authorization: Bearer <key>`; `prismhouse keys create` makes a key."


class Forbidden(WarehouseError):
    """This key may not {permission} here; it has {held}."""

    code = Code.FORBIDDEN
    hint = "Use a key with the permission, or ask an administrator to change this one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The tenant every service call works in."""

    organization_id: OrganizationId
    namespace_id: NamespaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated key. `namespaces` None: every namespace of the organization; else patterns (`ns_x`, `ns_x*`)."""

    organization_id: OrganizationId
    organization_name: str
    user_id: str
    user_email: str
    key_id: KeyId
    key_name: str
    key_prefix: str
    key_type: str
    permissions: frozenset[str]
    namespaces: tuple[str, ...] | None
    principal_id: str | None
    expires_at: str | None

    def require(self, permission: Permission) -> None:
        """Raise Forbidden unless the key holds `permission` or a stronger one."""
        held = frozenset[str]().union(*(_IMPLIES.get(name, frozenset()) for name in self.permissions))
        if permission not in held:
            raise Forbidden(permission=permission, held=", ".join(sorted(self.permissions)) or "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceCaller:
    """A caller in one namespace that exists, is his, and is open to his key."""

    caller: Caller
    namespace_id: NamespaceId
    namespace_name: str

    @property
    def scope(self) -> Scope:
        """What services take."""
        return Scope(organization_id=self.caller.organization_id, namespace_id=self.namespace_id)


class Authenticator(Protocol):
    """What `organizations` and `namespaces` provide to the web layer, in one database round trip."""

    async def authenticate(self, key: str, *, origin: str | None) -> Caller:
        """Return the caller of a live key; raise Unauthorized."""
        ...

    async def enter(self, key: str, namespace: str | None, *, origin: str | None) -> NamespaceCaller:
        """Return the caller in the namespace named by id or name (None: the only one); raise NamespaceNotFound."""
        ...


def _bearer(request: Request) -> str:
    header = request.headers.get("authorization")
    if not header:
        raise Unauthorized(reason="The Authorization header is missing.")
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized(reason="The Authorization header is not of the form `Bearer <key>`.")
    return key.strip()


class Callers:
    """Makes the dependencies: `caller: NamespaceCaller = Depends(callers.namespace("write"))`."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def organization(self, permission: Permission) -> Callable[[Request], Awaitable[Caller]]:
        """For organization-level routes, which ignore X-Namespace."""

        async def dependency(request: Request) -> Caller:
            caller = await self._authenticator.authenticate(_bearer(request), origin=request.headers.get("origin"))
            caller.require(permission)
            request.state.log = {"key_id": caller.key_id, "organization_id": caller.organization_id}
            return caller

        return dependency

    def namespace(self, permission: Permission) -> Callable[[Request], Awaitable[NamespaceCaller]]:
        """For namespaced routes: header X-Namespace (or X-Namespace-Id), else `?namespace=`."""

        async def dependency(request: Request) -> NamespaceCaller:
            headers: Any = request.headers
            named = headers.get("x-namespace") or headers.get("x-namespace-id") or request.query_params.get("namespace")
            inside = await self._authenticator.enter(_bearer(request), named, origin=headers.get("origin"))
            inside.caller.require(permission)
            request.state.log = {"key_id": inside.caller.key_id, "namespace_id": inside.namespace_id}
            return inside

        return dependency
