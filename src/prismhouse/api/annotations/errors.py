"""What can go wrong with an annotation."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["AnnotatedDocumentNotFound", "AnnotationNotFound", "AnnotationVersionNotFound"]


class AnnotationNotFound(WarehouseError):
    """No annotation {id}."""

    code = Code.NOT_FOUND
    hint = "POST /v1/annotations/list gives those that are there; with `as_of` also those deleted since."

    def __init__(self, annotation_id: str) -> None:
        super().__init__(id=annotation_id, resource="annotation")


class AnnotationVersionNotFound(WarehouseError):
    """Annotation {id} has no version {version}: it is at version {current_version}."""

    code = Code.NOT_FOUND
    hint = "GET /v1/annotations/{id}/versions lists them."


class AnnotatedDocumentNotFound(WarehouseError):
    """No document {id} in {place}."""

    code = Code.NOT_FOUND
    hint = "Check the id, and that `collection_id` is of the collection that holds the document."

    def __init__(self, document_id: str, collection_id: str | None) -> None:
        place = "this namespace" if collection_id is None else f"collection {collection_id}"
        super().__init__(id=document_id, resource="document", place=place, collection_id=collection_id)
