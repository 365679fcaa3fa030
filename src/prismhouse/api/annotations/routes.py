"""Routes of annotations. Literal paths stand before those with an id."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from prismhouse.api.annotations.schemas import (
    MAX_PAGE,
    BulkAnnotations,
    CreateAnnotation,
    ListAnnotations,
    PatchAnnotation,
)
from prismhouse.api.annotations.service import Annotations
from prismhouse.api.annotations.service.export import Format
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema, faults_of
from prismhouse.api.web.caller import Callers, NamespaceCaller

__all__ = ["routes"]

_TAGS: list[Any] = ["Annotations"]
_ROOT = "/v1/annotations"
_ONE = _ROOT + "/{annotation_id}"
_MEDIA_TYPES = {Format.NDJSON: "application/x-ndjson", Format.CSV: "text/csv; charset=utf-8; header=present"}
_MAX_SKIP = 2**63 - 1
# The `+` of an offset that was not escaped arrives as a space: 2026-11-23T10:00:00 02:00.
_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")


def _asked(request: Request) -> ListAnnotations:
    """Return the filters of a query; raise Invalid naming the parameter that is none."""
    query = {name: request.query_params[name] for name in ListAnnotations.model_fields if name in request.query_params}
    if "as_of" in query:
        query["as_of"] = _PLUS.sub(r"\1+\2", query["as_of"])
    try:
        return ListAnnotations.model_validate(query)
    except ValidationError as error:
        raise faults_of(error, ListAnnotations, "query") from error


def _described(*parameters: str) -> dict[str, Any]:
    """Return `openapi_extra` that names query parameters read by `_asked`."""
    schemas: dict[str, Any] = {name: {"type": "string"} for name in parameters}
    if "as_of" in schemas:
        schemas["as_of"]["format"] = "date-time"
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in schemas.items()
        ]
    }


_FILTERS = _described(*ListAnnotations.model_fields)


def routes(service: Annotations, callers: Callers) -> APIRouter:
    """Return the router of annotations."""
    router = APIRouter(tags=_TAGS)
    _many_routes(router, service, callers)
    _set_routes(router, service, callers)
    _one_routes(router, service, callers)
    _version_routes(router, service, callers)
    return router


def _many_routes(router: APIRouter, service: Annotations, callers: Callers) -> None:
    read, write = callers.namespace("read"), callers.namespace("write")

    async def listed(caller: NamespaceCaller, body: ListAnnotations, skip: int, limit: int) -> Answer:
        results, total = await service.list(caller.scope, body, skip=skip, limit=limit)
        return answer({"results": results, "total_count": total})

    @router.post(
        f"{_ROOT}/bulk",
        operation_id="bulk_annotations",
        summary="Bulk Annotations",
        openapi_extra=body_schema(BulkAnnotations),
    )
    async def bulk(
        caller: NamespaceCaller = Depends(write), body: BulkAnnotations = Depends(body_of(BulkAnnotations))
    ) -> Answer:
        if body.delete:
            caller.caller.require("delete")
        return answer(await service.bulk(caller.scope, body))

    @router.post(
        f"{_ROOT}/list",
        operation_id="list_annotations",
        summary="List Annotations",
        openapi_extra=body_schema(ListAnnotations, required=False),
    )
    async def list_post(
        skip: int | None = Query(None, ge=0, le=_MAX_SKIP),
        offset: int = Query(0, ge=0, le=_MAX_SKIP),
        limit: int = Query(50, ge=1, le=MAX_PAGE),
        caller: NamespaceCaller = Depends(read),
        body: ListAnnotations = Depends(body_of(ListAnnotations)),
    ) -> Answer:
        return await listed(caller, body, offset if skip is None else skip, limit)

    @router.get(_ROOT, operation_id="list_annotations_get", summary="List Annotations", openapi_extra=_FILTERS)
    async def list_get(
        request: Request,
        skip: int | None = Query(None, ge=0, le=_MAX_SKIP),
        offset: int = Query(0, ge=0, le=_MAX_SKIP),
        limit: int = Query(50, ge=1, le=MAX_PAGE),
        caller: NamespaceCaller = Depends(read),
    ) -> Answer:
        return await listed(caller, _asked(request), offset if skip is None else skip, limit)


def _set_routes(router: APIRouter, service: Annotations, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.get(f"{_ROOT}/stats", operation_id="annotation_stats", summary="Annotation Stats")
    async def stats(
        document_id: str | None = None, collection_id: str | None = None, caller: NamespaceCaller = Depends(read)
    ) -> Answer:
        by_label = await service.stats(caller.scope, document_id=document_id, collection_id=collection_id)
        return answer({"total": sum(by_label.values()), "by_label": by_label})

    @router.get(
        f"{_ROOT}/export",
        operation_id="export_annotations",
        summary="Export Annotations",
        openapi_extra=_FILTERS,
        response_class=StreamingResponse,
        responses={200: {"content": {kind.partition(";")[0]: {} for kind in _MEDIA_TYPES.values()}}},
    )
    async def export(
        request: Request,
        shape: Format = Query(Format.NDJSON, alias="format"),
        caller: NamespaceCaller = Depends(read),
    ) -> StreamingResponse:
        portions = await service.export(caller.scope, _asked(request), shape)
        headers = {
            "Content-Type": _MEDIA_TYPES[shape],
            "Content-Disposition": f'attachment; filename="annotations.{shape}"',
        }
        return StreamingResponse(portions, headers=headers)


def _one_routes(router: APIRouter, service: Annotations, callers: Callers) -> None:
    read, write, delete = callers.namespace("read"), callers.namespace("write"), callers.namespace("delete")

    @router.post(
        _ROOT,
        operation_id="create_annotation",
        summary="Create Annotation",
        openapi_extra=body_schema(CreateAnnotation),
    )
    async def create(
        caller: NamespaceCaller = Depends(write), body: CreateAnnotation = Depends(body_of(CreateAnnotation))
    ) -> Answer:
        made = await service.create(caller.scope, body)
        return answer(made, headers={"Location": f"{_ROOT}/{made['annotation_id']}"})

    @router.get(_ONE, operation_id="get_annotation", summary="Get Annotation")
    async def get(annotation_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(await service.read(caller.scope, annotation_id))

    @router.patch(
        _ONE,
        operation_id="patch_annotation",
        summary="Patch Annotation",
        openapi_extra=body_schema(PatchAnnotation),
    )
    async def patch(
        annotation_id: str,
        caller: NamespaceCaller = Depends(write),
        body: PatchAnnotation = Depends(body_of(PatchAnnotation)),
    ) -> Answer:
        return answer(await service.patch(caller.scope, annotation_id, body))

    @router.delete(_ONE, operation_id="delete_annotation", summary="Delete Annotation")
    async def remove(annotation_id: str, caller: NamespaceCaller = Depends(delete)) -> Answer:
        await service.delete(caller.scope, annotation_id)
        return answer({"success": True, "message": f"Annotation {annotation_id} was deleted."})


def _version_routes(router: APIRouter, service: Annotations, callers: Callers) -> None:
    read = callers.namespace("read")

    @router.get(f"{_ONE}/versions", operation_id="get_annotation_versions", summary="Get Annotation Versions")
    async def versions(annotation_id: str, caller: NamespaceCaller = Depends(read)) -> Answer:
        return answer(await service.versions(caller.scope, annotation_id))

    @router.get(
        f"{_ONE}/versions/{{version}}",
        operation_id="get_annotation_at_version",
        summary="Get Annotation At Version",
    )
    async def at_version(
        annotation_id: str, version: int = Path(ge=1), caller: NamespaceCaller = Depends(read)
    ) -> Answer:
        return answer(await service.at_version(caller.scope, annotation_id, version))
