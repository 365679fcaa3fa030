"""What can go wrong with vectors that users bring."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["AccessListsForbidden", "AlreadyManaged", "IdempotencyClash", "NotStandalone", "StorageElsewhere"]


class NotStandalone(WarehouseError):
    """Namespace {namespace_id} takes its vectors from extractors, not from requests."""

    code = Code.BAD_REQUEST
    hint = "POST /v1/namespaces/standalone makes a namespace for vectors of your own."


class AlreadyManaged(WarehouseError):
    """Namespace {namespace_id} is managed already."""

    code = Code.CONFLICT
    hint = "There is nothing to promote."


class IdempotencyClash(WarehouseError):
    """The idempotency key {idempotency_key} was used with another body."""

    code = Code.CONFLICT
    hint = "Send each request with a key of its own, and a repeated request unchanged."


class AccessListsForbidden(WarehouseError):
    """The key of a single user may not set access lists here."""

    code = Code.FORBIDDEN
    hint = "Leave `acl` out: new documents belong to this user; PATCH .../acl shares them."


class StorageElsewhere(WarehouseError):
    """Vectors in a storage connection of one's own are not built: they stand in the warehouse's database."""

    code = Code.NOT_IMPLEMENTED
    hint = "Leave `storage` out."
