"""HTTP operations that follow documents to their sources and on."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from fastapi import APIRouter, Depends

from prismhouse.api.documents.lineage.service import Lineage
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.caller import Callers, NamespaceCaller

__all__ = ["routes"]

_TAGS: list[str | Enum] = ["Collection Documents"]
_LINEAGE: list[str | Enum] = ["Document Lineage"]
_ONE = "/v1/collections/{collection_identifier}/documents/{document_id}"


def routes(service: Lineage, callers: Callers) -> APIRouter:
    """Return the routes of lineage."""
    router = APIRouter()
    _documents(router, service, callers)
    _lineage(router, service, callers)
    return router


def _documents(router: APIRouter, service: Lineage, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.get(f"{_ONE}/ancestors", operation_id="get_document_ancestors", tags=_TAGS, summary="Get Ancestors")
    async def ancestors(
        collection_identifier: str, document_id: str, caller: NamespaceCaller = Depends(read)
    ) -> Answer:
        return answer(_listed(await service.ancestors(caller.scope, collection_identifier, document_id)))

    @router.get(f"{_ONE}/descendants", operation_id="get_document_descendants", tags=_TAGS, summary="Get Descendants")
    async def descendants(
        collection_identifier: str, document_id: str, caller: NamespaceCaller = Depends(read)
    ) -> Answer:
        return answer(_listed(await service.descendants(caller.scope, collection_identifier, document_id)))

    @router.get(f"{_ONE}/diagnostics", operation_id="get_document_diagnostics", tags=_TAGS, summary="Diagnose Document")
    async def diagnostics(
        collection_identifier: str, document_id: str, caller: NamespaceCaller = Depends(read)
    ) -> Answer:
        return answer(await service.diagnostics(caller.scope, collection_identifier, document_id))


def _lineage(router: APIRouter, service: Lineage, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.get(
        "/v1/collections/{collection_id}/documents/{document_id}/lineage",
        operation_id="get_document_lineage",
        tags=_LINEAGE,
        summary="Get Lineage",
    )
    async def lineage(collection_id: str, document_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(await service.lineage(caller.scope, collection_id, document_id))

    @router.get(
        "/v1/objects/{object_id}/decomposition-tree",
        operation_id="get_decomposition_tree_objects",
        tags=_LINEAGE,
        summary="Get the collections an object went through",
    )
    async def tree(
        object_id: str, include_document_ids: bool = False, caller: NamespaceCaller = Depends(read)
    ) -> Answer:
        return answer(await service.tree(caller.scope, object_id, include_document_ids=include_document_ids))


def _listed(documents: Sequence[bytes]) -> bytes:
    return b"[%s]" % b",".join(documents)
