"""Who calls, in which namespace, and with which permission: FastAPI dependencies for routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from fastapi import Request

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import KeyId, NamespaceId, OrganizationId
from prismhouse.storage.postgres.readers import read_as

__all__ = [
    "SYSTEM",
    "Actor",
    "Authenticator",
    "Caller",
    "Callers",
    "Denied",
    "Forbidden",
    "NamespaceCaller",
    "NamespaceNotFound",
    "Permission",
    "Scope",
    "ScopedKey",
    "Unauthorized",
    "UnresolvedList",
    "namespace_named",
]

Permission = Literal["read", "write", "delete", "admin"]
_IMPLIES: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "delete": frozenset({"read", "write", "delete"}),
    "admin": frozenset({"read", "write", "delete", "admin"}),
}
_ALL = _IMPLIES["admin"]
_AGENT_LENGTH = 500
_REASON_LENGTH = 500


class Unauthorized(WarehouseError):
    """{reason}"""

    code = Code.UNAUTHORIZED
    hint = "Send `Authorization: Bearer <key>`; `prismhouse keys create` makes a key."


class Forbidden(WarehouseError):
    """This key may not {permission} here; it has {held}."""

    code = Code.FORBIDDEN
    hint = "Use a key with the permission, or ask an administrator to change this one."


class ScopedKey(WarehouseError):
    """This key is limited to {limit}; the operation concerns the whole organization."""

    code = Code.FORBIDDEN
    hint = "Use a key without scopes that is not bound to a user (principal_id)."


class NamespaceNotFound(WarehouseError):
    """No namespace {id}, or it is not open to this key."""

    code = Code.NOT_FOUND
    hint = "`GET /v1/namespaces` lists yours; X-Namespace takes an id or a name."

    def __init__(self, name: str) -> None:
        super().__init__(id=name, resource="namespace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something, and from where: what an audit row and an annotation say.

    `actor_type` is `api_key` (`actor_id` is the key's), `user` (a key bound to a person: the user's id) or `system`.
    `reason` is why, as the request's X-Change-Reason says.
    """

    actor_id: str
    actor_type: str
    key_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    reason: str | None = None


SYSTEM = Actor(actor_id="system", actor_type="system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The tenant every service call works in, and who works.

    `principal_id` is the end user a key is bound to, who sees and changes only what access lists allow.
    """

    organization_id: OrganizationId
    namespace_id: NamespaceId
    actor: Actor = SYSTEM
    reads_audited: bool = False
    principal_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated key. `namespaces` None: every namespace of the organization; else patterns (`ns_x`, `ns_x*`).

    `grants` maps each pattern to the permissions that its scope leaves; a pattern without an entry leaves all.
    """

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
    grants: Mapping[str, frozenset[str]] | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    change_reason: str | None = None
    reads_audited: bool = False

    @property
    def actor(self) -> Actor:
        """Who is told to have done what this caller does."""
        bound = self.principal_id is not None
        return Actor(
            actor_id=self.user_id if bound else self.key_id,
            actor_type="user" if bound else "api_key",
            key_id=self.key_id,
            ip_address=self.ip_address,
            user_agent=self.user_agent,
            reason=self.change_reason,
        )

    @property
    def held(self) -> frozenset[str]:
        """The permissions with all that they imply."""
        return frozenset[str]().union(*(_IMPLIES.get(name, frozenset()) for name in self.permissions))

    def require(self, permission: Permission) -> None:
        """Raise Forbidden unless the key holds `permission` or a stronger one."""
        if permission not in self.held:
            raise Forbidden(permission=permission, held=", ".join(sorted(self.permissions)) or "none")

    def require_unscoped(self) -> None:
        """Raise ScopedKey when the key is limited to namespaces or a user: it must not change who may do what."""
        if self.namespaces is not None:
            raise ScopedKey(limit=f"namespaces ({', '.join(self.namespaces)})")
        if self.principal_id is not None:
            raise ScopedKey(limit=f"user {self.principal_id}")

    def opens(self, namespace_id: str) -> bool:
        """Say whether the key's scopes include the namespace."""
        return self.namespaces is None or any(_covers(pattern, namespace_id) for pattern in self.namespaces)

    def inside(self, namespace_id: str) -> Caller:
        """Return the caller with the permissions that the scopes leave in the namespace."""
        if self.namespaces is None or self.grants is None:
            return self
        matching = [self.grants.get(name, _ALL) for name in self.namespaces if _covers(name, namespace_id)]
        left = frozenset[str]().union(*matching)
        return replace(self, permissions=frozenset(name for name in self.held if _IMPLIES[name] <= left))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceCaller:
    """A caller in one namespace that exists, is his, and is open to his key."""

    caller: Caller
    namespace_id: NamespaceId
    namespace_name: str

    @property
    def scope(self) -> Scope:
        """What services take."""
        return Scope(
            organization_id=self.caller.organization_id,
            namespace_id=self.namespace_id,
            actor=self.caller.actor,
            reads_audited=self.caller.reads_audited,
            principal_id=self.caller.principal_id,
        )


class Authenticator(Protocol):
    """What `organizations` and `namespaces` provide to the web layer, in one database round trip."""

    async def authenticate(self, key: str, *, origin: str | None) -> Caller:
        """Return the caller of a live key; raise Unauthorized."""
        ...

    async def enter(self, key: str, namespace: str | None, *, origin: str | None) -> NamespaceCaller:
        """Return the caller in the namespace named by id or name (None: the only one); raise NamespaceNotFound."""
        ...


def _from(request: Request, caller: Caller) -> Caller:
    """Note where a request comes from: the peer's address (uvicorn puts a trusted proxy's client in its place)."""
    return replace(
        caller,
        ip_address=request.client.host if request.client else None,
        user_agent=_sent(request.headers.get("user-agent", ""))[:_AGENT_LENGTH] or None,
        change_reason=_sent(request.headers.get("x-change-reason", "")).strip()[:_REASON_LENGTH] or None,
    )


def _covers(pattern: str, namespace_id: str) -> bool:
    return pattern == namespace_id or (pattern.endswith("*") and namespace_id.startswith(pattern.rstrip("*")))


def _bearer(request: Request) -> str:
    header = request.headers.get("authorization")
    if not header:
        raise Unauthorized(reason="The Authorization header is missing.")
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized(reason="The Authorization header is not of the form `Bearer <key>`.")
    return key.strip()


Denied = Callable[[Caller, str, Mapping[str, str]], Awaitable[None]]
"""Told of a caller who was refused an administrator's operation, with its id and path parameters."""


class Callers:
    """Makes the dependencies: `caller: NamespaceCaller = Depends(callers.namespace("write"))`."""

    def __init__(self, authenticator: Authenticator, *, denied: Denied | None = None) -> None:
        self._authenticator = authenticator
        self._denied = denied

    def organization(self, permission: Permission) -> Callable[[Request], Awaitable[Caller]]:
        """For organization-level routes, which ignore X-Namespace."""

        async def dependency(request: Request) -> Caller:
            caller = await self._known(request)
            caller.require(permission)
            return caller

        return dependency

    def administrator(self) -> Callable[[Request], Awaitable[Caller]]:
        """For routes that change the organization, its users or keys: admin, and not limited to namespaces."""

        async def dependency(request: Request) -> Caller:
            caller = await self._known(request)
            try:
                caller.require("admin")
                caller.require_unscoped()
            except (Forbidden, ScopedKey):
                if self._denied is not None:
                    await self._denied(caller, _operation_id(request), request.path_params)
                raise
            return caller

        return dependency

    async def _known(self, request: Request) -> Caller:
        caller = await self._authenticator.authenticate(_bearer(request), origin=request.headers.get("origin"))
        read_as(caller.principal_id)
        request.state.log = {"key_id": caller.key_id, "organization_id": caller.organization_id}
        return _from(request, caller)

    def namespace(self, permission: Permission) -> Callable[[Request], Awaitable[NamespaceCaller]]:
        """For namespaced routes: header X-Namespace (or X-Namespace-Id), else `?namespace=`.

        A route whose operation id begins with `list_` answers 200 with no rows and a warning when the namespace is
        not there; every other route answers 404. The route itself does not run and needs no code for either.
        """

        async def dependency(request: Request) -> NamespaceCaller:
            named = namespace_named(request)
            origin = request.headers.get("origin")
            try:
                inside = await self._authenticator.enter(_bearer(request), named, origin=origin)
            except NamespaceNotFound as error:
                if _is_list(request):
                    raise UnresolvedList(str(error.details["id"])) from error
                raise
            read_as(inside.caller.principal_id)
            request.state.log = {"key_id": inside.caller.key_id, "namespace_id": inside.namespace_id}
            inside.caller.require(permission)
            return replace(inside, caller=_from(request, inside.caller))

        return dependency


class UnresolvedList(Exception):
    """A list was asked for in a namespace that is not there: `api/web/errors.py` answers it with 200 and no rows."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.namespace = namespace


def _operation_id(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "operation_id", None) or "")


def _is_list(request: Request) -> bool:
    return _operation_id(request).startswith("list_")


def namespace_named(request: Request) -> str | None:
    """Return the namespace a request names, as an id or a name; the header wins over `?namespace=`."""
    headers = request.headers
    named = headers.get("x-namespace") or headers.get("x-namespace-id")
    return _sent(named) if named else request.query_params.get("namespace") or None


def _sent(header: str) -> str:
    """Return a header as its sender wrote it: names hold any letter, and most clients send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
