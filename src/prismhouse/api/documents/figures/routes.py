"""HTTP operations that sum up documents."""

from __future__ import annotations

from enum import Enum

from fastapi import APIRouter, Depends

from prismhouse.api.documents.changes.schemas import Fields
from prismhouse.api.documents.figures.schemas import DistinctValues
from prismhouse.api.documents.figures.service import Figures
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Callers, NamespaceCaller
from prismhouse.query.aggregate import Aggregation

__all__ = ["routes"]

_TAGS: list[str | Enum] = ["Collection Documents"]
_BASE = "/v1/collections/{collection_identifier}/documents"


def routes(service: Figures, callers: Callers) -> APIRouter:
    """Return the routes that sum up documents."""
    router = APIRouter(tags=_TAGS)
    read = callers.namespace("read")

    @router.post(
        f"{_BASE}/aggregate",
        operation_id="aggregate_documents",
        summary="Aggregate Documents",
        openapi_extra=body_schema(Aggregation),
    )
    async def aggregate(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(read),
        body: Aggregation = Depends(body_of(Aggregation)),
    ) -> Answer:
        return answer((await service.aggregate(caller.scope, collection_identifier, body)).answer())

    @router.post(
        f"{_BASE}/distinct",
        operation_id="distinct_document_values",
        summary="List the values of a field",
        openapi_extra=body_schema(DistinctValues),
    )
    async def distinct(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(read),
        body: DistinctValues = Depends(body_of(DistinctValues)),
    ) -> Answer:
        return answer(await service.distinct(caller.scope, collection_identifier, body))

    @router.post(
        f"{_BASE}/schema/validate",
        operation_id="validate_document_schema",
        summary="Try a document against the schema",
        openapi_extra=body_schema(Fields),
    )
    async def validate(
        collection_identifier: str,
        caller: NamespaceCaller = Depends(read),
        body: Fields = Depends(body_of(Fields)),
    ) -> Answer:
        return answer(await service.validate(caller.scope, collection_identifier, body.given()))

    return router
