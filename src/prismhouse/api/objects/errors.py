"""What can go wrong with an object that is named in a path."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["AutoProcessMissing", "ObjectNotFound"]


class ObjectNotFound(WarehouseError):
    """No object {id} in this bucket."""

    code = Code.NOT_FOUND
    hint = "List the bucket's objects."


class AutoProcessMissing(WarehouseError):
    """This server does not process objects as they are created."""

    code = Code.NOT_IMPLEMENTED
    hint = "Create the object without auto_process, then POST a batch and submit it."
