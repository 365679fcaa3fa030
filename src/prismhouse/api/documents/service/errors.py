"""What can go wrong with a document."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["DocumentElsewhere", "DocumentNotFound", "SourceObjectNotFound"]


class DocumentNotFound(WarehouseError):
    """No document {id} here."""

    code = Code.NOT_FOUND
    hint = "List documents, or check the collection and the X-Namespace header."
    wire_code = "document_not_found"

    def __init__(self, identifier: str) -> None:
        super().__init__(resource="document", id=identifier)


class SourceObjectNotFound(WarehouseError):
    """No object {id} in this namespace."""

    code = Code.NOT_FOUND
    hint = "List the objects of a bucket, or check the X-Namespace header."
    wire_code = "object_not_found"

    def __init__(self, identifier: str) -> None:
        super().__init__(resource="object", id=identifier)


class DocumentElsewhere(WarehouseError):
    """A document with one of these ids stands in another collection of the namespace."""

    code = Code.CONFLICT
    hint = "Use another document_id, or delete the other document first."
