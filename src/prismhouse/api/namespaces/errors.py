"""What can go wrong with namespaces."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = [
    "NamespaceBusy",
    "NamespaceIdTaken",
    "NamespaceNameTaken",
    "NamespaceOutsideScopes",
    "RepairUnbuilt",
    "SystemScopeForbidden",
]


class NamespaceNameTaken(WarehouseError):
    """A namespace named {namespace_name} exists already."""

    code = Code.ALREADY_EXISTS
    wire_code = "namespace_name_taken"
    hint = "Choose another name, or use the existing namespace."


class NamespaceIdTaken(WarehouseError):
    """The namespace id {namespace_id} is in use."""

    code = Code.ALREADY_EXISTS
    wire_code = "namespace_id_taken"
    hint = "Leave namespace_id out: the server makes one."


class NamespaceOutsideScopes(WarehouseError):
    """This key is limited to namespaces ({scopes}) and may not make others."""

    code = Code.FORBIDDEN
    hint = "Give a namespace_id that the scopes cover, or use a key without scopes."


class NamespaceBusy(WarehouseError):
    """The namespace has {count} active batches."""

    code = Code.CONFLICT
    hint = "Wait for them, cancel them, or delete with `?force=true`, which cancels them."


class SystemScopeForbidden(WarehouseError):
    """Namespaces of scope `system` belong to the hosted service."""

    code = Code.FORBIDDEN
    hint = "Leave scope out."


class RepairUnbuilt(WarehouseError):
    """repair_vectors is not built: vector indexes are declared with their collection and never go missing."""

    code = Code.NOT_IMPLEMENTED
    hint = "Leave repair_vectors out."
