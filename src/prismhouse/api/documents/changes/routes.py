"""HTTP operations that change documents."""

from __future__ import annotations

from enum import Enum

from fastapi import APIRouter, Depends

from prismhouse.api.documents.changes.schemas import (
    BatchDelete,
    BatchUpdate,
    BulkUpdate,
    CreateDocument,
    Fields,
    UpdateACL,
)
from prismhouse.api.documents.changes.service import BulkChanges, DocumentChanges, SeveralDocuments
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller

__all__ = ["routes"]

_IN_COLLECTION: list[str | Enum] = ["Collection Documents"]
_EVERYWHERE: list[str | Enum] = ["Documents"]
_BASE = "/v1/collections/{collection_identifier}/documents"
_ONE = f"{_BASE}/{{document_id}}"


def routes(one: DocumentChanges, several: SeveralDocuments, bulk: BulkChanges, callers: Callers) -> APIRouter:
    """Return the routes that change documents."""
    router = APIRouter()
    _many(router, several, bulk, callers)
    _single(router, one, callers)
    _everywhere(router, one, callers)
    return router


def _many(router: APIRouter, several: SeveralDocuments, bulk: BulkChanges, callers: Callers) -> None:
    write = callers.namespace("write")

    @router.patch(
        f"{_BASE}/bulk",
        operation_id="bulk_update",
        tags=_IN_COLLECTION,
        summary="Update every document that matches",
        openapi_extra=body_schema(BulkUpdate),
    )
    async def bulk_update(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(write),
        body: BulkUpdate = Depends(body_of(BulkUpdate)),
    ) -> Answer:
        task_id = await bulk.update(caller.scope, collection_identifier, body)
        message = f"Bulk update enqueued; GET /v1/tasks/{task_id} says how far it is."
        return answer({"task_id": task_id, "status": "PENDING", "updated_count": None, "message": message})

    @router.post(
        f"{_BASE}/batch",
        operation_id="batch_update",
        tags=_IN_COLLECTION,
        summary="Update documents by id or filter",
        openapi_extra=body_schema(BatchUpdate),
    )
    async def batch_update(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(write),
        body: BatchUpdate = Depends(body_of(BatchUpdate)),
    ) -> Answer:
        outcome = await several.update(caller.scope, collection_identifier, body)
        return answer(
            {
                "updated_count": outcome.done,
                "failed_count": outcome.failed,
                "results": list(outcome.results),
                "message": f"{outcome.done} documents were updated, {outcome.failed} were not.",
            }
        )

    @router.delete(
        f"{_BASE}/batch",
        operation_id="batch_delete",
        tags=_IN_COLLECTION,
        summary="Delete documents by id or filter",
        openapi_extra=body_schema(BatchDelete),
    )
    async def batch_delete(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
        body: BatchDelete = Depends(body_of(BatchDelete)),
    ) -> Answer:
        if body.document_ids is not None:
            outcome = await several.delete(caller.scope, collection_identifier, body.document_ids, reason=body.reason)
            return answer(
                {
                    "task_id": None,
                    "status": "COMPLETED",
                    "deleted_count": outcome.done,
                    "failed_count": outcome.failed,
                    "results": list(outcome.results),
                    "limits": None,
                    "message": f"{outcome.done} documents were deleted, {outcome.failed} were not.",
                }
            )
        deletion = await bulk.delete(caller.scope, collection_identifier, body.filters, reason=body.reason)
        done = f"{deletion.deleted} documents were deleted."
        waiting = f"Batch delete enqueued; GET /v1/tasks/{deletion.task_id} says how far it is."
        return answer(
            {
                "task_id": deletion.task_id,
                "status": "COMPLETED" if deletion.task_id is None else "PENDING",
                "deleted_count": deletion.deleted,
                "failed_count": 0,
                "results": [],
                "limits": {"max_rows_inline": bulk.inline_rows, "matched": deletion.matched},
                "message": done if deletion.task_id is None else waiting,
            }
        )


def _single(router: APIRouter, one: DocumentChanges, callers: Callers) -> None:
    write = callers.namespace("write")

    @router.post(
        _BASE,
        operation_id="create_document",
        tags=_IN_COLLECTION,
        summary="Create Document",
        openapi_extra=body_schema(CreateDocument),
    )
    async def create(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(write),
        body: CreateDocument = Depends(body_of(CreateDocument)),
    ) -> Answer:
        return answer(await one.create(caller.scope, collection_identifier, body))

    async def merge(
        collection_identifier: str,
        document_id: str,
        caller: NamespaceCaller = Depends(write),
        body: Fields = Depends(body_of(Fields)),
    ) -> Answer:
        changed = await one.merge(caller.scope, document_id, body.given(), collection=collection_identifier)
        return answer(changed)

    for method, operation_id in (("PUT", "update_document"), ("PATCH", "patch_document")):
        router.add_api_route(
            _ONE,
            merge,
            methods=[method],
            operation_id=operation_id,
            tags=_IN_COLLECTION,
            summary="Merge fields into a document",
            openapi_extra=body_schema(Fields),
        )

    @router.delete(_ONE, operation_id="delete_document", tags=_IN_COLLECTION, summary="Delete Document")
    async def delete(
        collection_identifier: str,
        document_id: str,
        caller: NamespaceCaller = Depends(callers.namespace("delete")),
    ) -> Answer:
        await one.delete(caller.scope, collection_identifier, document_id)
        return answer({"message": f"Document {document_id} was deleted.", "success": True})

    @router.patch(
        f"{_ONE}/acl",
        operation_id="update_document_acl",
        tags=_IN_COLLECTION,
        summary="Change who may read and change a document",
        openapi_extra=body_schema(UpdateACL, required=False),
    )
    async def share(
        collection_identifier: str,
        document_id: str,
        caller: NamespaceCaller = Depends(write),
        body: UpdateACL = Depends(body_of(UpdateACL)),
    ) -> Answer:
        return answer(await one.share(caller.scope, collection_identifier, document_id, body))


def _everywhere(router: APIRouter, one: DocumentChanges, callers: Callers) -> None:
    write = callers.namespace("write")

    @router.put(
        "/v1/documents/{document_id}",
        operation_id="update_document_ns",
        tags=_EVERYWHERE,
        summary="Replace the fields of a document",
        openapi_extra=body_schema(Fields),
    )
    async def replace(
        document_id: str, caller: NamespaceCaller = Depends(write), body: Fields = Depends(body_of(Fields))
    ) -> Answer:
        return answer(await one.replace(caller.scope, document_id, body.given()))

    @router.patch(
        "/v1/documents/{document_id}",
        operation_id="patch_document_ns",
        tags=_EVERYWHERE,
        summary="Merge fields into a document",
        openapi_extra=body_schema(Fields),
    )
    async def merge(
        document_id: str, caller: NamespaceCaller = Depends(write), body: Fields = Depends(body_of(Fields))
    ) -> Answer:
        return answer(await one.merge(caller.scope, document_id, body.given()))
