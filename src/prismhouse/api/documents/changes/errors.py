"""What can go wrong when a document is changed."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["DocumentReadOnly", "NotTheOwner", "TooManyMatch"]


class DocumentReadOnly(WarehouseError):
    """The user of this key may read document {id}, not change it."""

    code = Code.FORBIDDEN
    hint = "Its owner can add the user to `write` with PATCH .../acl."


class NotTheOwner(WarehouseError):
    """The user of this key does not own document {id}."""

    code = Code.FORBIDDEN
    hint = "Its owner, or a key that is bound to no user, changes access lists."


class TooManyMatch(WarehouseError):
    """More than {limit} documents match, too many to change within one request; nothing was changed."""

    code = Code.INVALID
    hint = "PATCH .../documents/bulk makes the same change as a task."
