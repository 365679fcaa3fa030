"""What can go wrong with organizations, users and keys."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "KeyNameTaken",
    "KeyNotFound",
    "KeyTerminal",
    "NoOrganization",
    "NotOnThisServer",
    "OriginForbidden",
    "ProtectedKey",
    "ProtectedUser",
    "UserExists",
    "UserNotFound",
]


class UserNotFound(WarehouseError):
    """No user {id} in this organization."""

    code = Code.NOT_FOUND
    hint = "`GET /v1/organizations/users` lists them."


class UserExists(WarehouseError):
    """The organization has a user {email} already."""

    code = Code.ALREADY_EXISTS
    hint = "Change the user with PATCH, or use another email."


class ProtectedUser(WarehouseError):
    """The user {email} holds the admin key and can be neither removed nor suspended."""

    code = Code.FORBIDDEN
    hint = "Make another user for what this one should no longer do."


class KeyNotFound(WarehouseError):
    """No live key {id} of this user."""

    code = Code.NOT_FOUND
    hint = "`GET /v1/organizations/users/<email>/api-keys?include_revoked=true` lists all keys."


class KeyNameTaken(WarehouseError):
    """The user has a live key named {name} already."""

    code = Code.ALREADY_EXISTS
    hint = "Choose another name, or rotate the existing key."


class KeyTerminal(WarehouseError):
    """The key {name} is {status}, and that is final."""

    code = Code.BAD_REQUEST
    hint = "Create a new key."


class ProtectedKey(WarehouseError):
    """The key of the first start ({name}) cannot be changed or revoked through the API."""

    code = Code.FORBIDDEN
    hint = "Set PRISMHOUSE_BOOTSTRAP_API_KEY and restart to exchange it."


class OriginForbidden(WarehouseError):
    """This key may not be used from the origin {origin}."""

    code = Code.FORBIDDEN
    hint = "Add the origin to the key's allowed_origins."


class NotOnThisServer(WarehouseError):
    """{fields} belong to the hosted service and have no effect on a server of your own."""

    code = Code.NOT_ENABLED
    hint = "Leave them out."


class NoOrganization(WarehouseError):
    """The database has no organization yet."""

    code = Code.CONFLICT
    hint = "Start the server once: `prismhouse serve` makes the first organization and key."
