"""The HTTP operation that gives a scene as a file."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from prismhouse.api.documents.scenes.service import Scenes
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.caller import Callers, NamespaceCaller

__all__ = ["routes"]


def routes(service: Scenes, callers: Callers) -> APIRouter:
    """Return the route of scenes."""
    router = APIRouter()
    read = callers.namespace("read")

    @router.get(
        "/v1/collections/{collection_identifier}/documents/{document_id}/download",
        operation_id="download_document_media",
        tags=["Collection Documents"],
        summary="Download Scene",
    )
    async def download(collection_identifier: str, document_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(await service.download(caller.scope, collection_identifier, document_id))

    return router
