"""What can go wrong with a collection."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["CollectionBusy", "CollectionNameTaken", "CollectionNotFound", "ImmutableField"]


class CollectionNotFound(WarehouseError):
    """No collection {id} in this namespace."""

    code = Code.NOT_FOUND
    hint = "List collections, or check the X-Namespace header."
    wire_code = "collection_not_found"

    def __init__(self, identifier: str) -> None:
        super().__init__(resource="collection", id=identifier)


class CollectionNameTaken(WarehouseError):
    """A collection named {collection_name} exists in this namespace."""

    code = Code.ALREADY_EXISTS
    hint = "Choose another collection_name."
    wire_code = "collection_name_taken"


class CollectionBusy(WarehouseError):
    """Collection {collection_id} has active batches: {batches}."""

    code = Code.CONFLICT
    hint = "Wait until they end, or cancel them, then delete the collection."


class ImmutableField(WarehouseError):
    """{fields} cannot change after creation."""

    code = Code.INVALID
    hint = "Clone the collection with POST /v1/collections/{{id}}/clone and override it there."
