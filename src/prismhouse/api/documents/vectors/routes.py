"""HTTP operations on vectors that users bring. The path names the namespace, whatever X-Namespace says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Depends

from prismhouse.api.documents.service import Documents
from prismhouse.api.documents.service.vectors import Wanted
from prismhouse.api.documents.vectors.errors import StorageElsewhere
from prismhouse.api.documents.vectors.schemas import CreateStandalone, Promotion, UpsertDocuments
from prismhouse.api.documents.vectors.service import Promotions, Upserts
from prismhouse.api.namespaces.schemas import CreateNamespace
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers

__all__ = ["routes"]

_TAGS: list[Any] = ["BYO Documents"]
_ALL = "/v1/namespaces"
_ONE = f"{_ALL}/{{namespace_id}}"


def routes(
    namespaces: Namespaces, upserts: Upserts, promotions: Promotions, documents: Documents, callers: Callers
) -> APIRouter:
    """Return the routes of namespaces with vectors of one's own."""
    router = APIRouter(tags=_TAGS)
    _create_route(router, namespaces, callers)
    _document_routes(router, namespaces, upserts, documents, callers)
    _promotion_routes(router, namespaces, promotions, callers)
    return router


def _create_route(router: APIRouter, namespaces: Namespaces, callers: Callers) -> None:
    @router.post(
        f"{_ALL}/standalone",
        operation_id="create_standalone_namespace",
        summary="Create a namespace for vectors of one's own",
        openapi_extra=body_schema(CreateStandalone),
    )
    async def create(
        caller: Caller = Depends(callers.organization("write")),
        body: CreateStandalone = Depends(body_of(CreateStandalone)),
    ) -> Answer:
        if body.storage is not None and body.storage.connection_id is not None:
            raise StorageElsewhere
        row = await namespaces.create(caller, _as_namespace(body))
        content = {
            "namespace_id": row["namespace_id"],
            "namespace_name": row["namespace_name"],
            "mode": row["mode"],
            "status": row["status"],
            "vector_configs": _shown(row["vector_configs"] or ()),
            "tiering": "auto",
            "document_count": 0,
        }
        return answer(content, headers={"Location": f"{_ALL}/{row['namespace_id']}"})


def _as_namespace(body: CreateStandalone) -> CreateNamespace:
    """Return the same as the general route takes it; here the name may be an id, which is longer or shorter."""
    given = body.model_dump(exclude={"storage", "config", "namespace_name", "vector_configs", "payload_indexes"})
    return CreateNamespace(namespace_name="standalone", mode="standalone", **given).model_copy(
        update={
            "namespace_name": body.namespace_name or body.namespace_id,
            "vector_configs": body.vector_configs,
            "payload_indexes": body.payload_indexes,
        }
    )


def _document_routes(
    router: APIRouter, namespaces: Namespaces, upserts: Upserts, documents: Documents, callers: Callers
) -> None:
    @router.post(
        f"{_ONE}/documents/upsert",
        operation_id="upsert_documents_byo_namespaces",
        summary="Insert or replace documents with vectors of one's own",
        openapi_extra=body_schema(UpsertDocuments),
    )
    async def upsert(
        namespace_id: str,
        caller: Caller = Depends(callers.organization("write")),
        body: UpsertDocuments = Depends(body_of(UpsertDocuments)),
    ) -> Answer:
        inside = await namespaces.inside(caller, namespace_id, "write")
        return answer(dict(await upserts.upsert(inside.scope, body)))

    @router.get(
        f"{_ONE}/documents/{{document_id}}",
        operation_id="get_document_byo_namespaces",
        summary="Get a document of a namespace",
    )
    async def read(
        namespace_id: str,
        document_id: str,
        return_vectors: bool = False,
        caller: Caller = Depends(callers.organization("read")),
    ) -> Answer:
        inside = await namespaces.inside(caller, namespace_id, "read")
        return answer(await documents.get(inside.scope, document_id, wanted=Wanted(values=return_vectors)))


def _promotion_routes(router: APIRouter, namespaces: Namespaces, promotions: Promotions, callers: Callers) -> None:
    @router.post(
        f"{_ONE}/promote",
        operation_id="promote_namespace",
        summary="Let models make the vectors of queries",
        openapi_extra=body_schema(Promotion, required=False),
    )
    async def promote(
        namespace_id: str,
        caller: Caller = Depends(callers.organization("write")),
        body: Promotion = Depends(body_of(Promotion)),
    ) -> Answer:
        inside = await namespaces.inside(caller, namespace_id, "write")
        plan = await promotions.promote(inside.scope, body)
        content = {
            "namespace_id": inside.namespace_id,
            "previous_mode": "standalone",
            "mode": "managed",
            "status": "active",
            "vector_configs": _shown(plan.configs),
            "vector_inference_map": plan.inference_map,
        }
        return answer(content)

    @router.post(
        f"{_ONE}/promote/validate",
        operation_id="validate_promotion_namespaces_id_promote",
        summary="Say what a promotion would do",
        openapi_extra=body_schema(Promotion, required=False),
    )
    async def validate(
        namespace_id: str,
        caller: Caller = Depends(callers.organization("read")),
        body: Promotion = Depends(body_of(Promotion)),
    ) -> Answer:
        inside = await namespaces.inside(caller, namespace_id, "read")
        plan = await promotions.plan(inside.scope, body)
        standalone = plan.space.mode == "standalone"
        todo = "none"
        if not standalone:
            todo = "The namespace is managed already: there is nothing to promote."
        elif plan.faults:
            todo = "Correct what `errors` name."
        content = {
            "namespace_id": inside.namespace_id,
            "current_mode": plan.space.mode,
            "valid": standalone and not plan.faults,
            "vector_configs": _shown(plan.configs),
            "suggestions": list(plan.suggestions),
            "errors": [dict(fault) for fault in plan.faults],
            "required_user_action": todo,
        }
        return answer(content)


def _shown(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in config.items() if key != "modalities"} for config in configs]
