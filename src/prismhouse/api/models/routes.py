"""Models over HTTP: the organization's, and those of a namespace, which the path names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from prismhouse.api.archives.schemas import ConfirmArchive
from prismhouse.api.models.schemas import CreateModelUpload, EnableModel, ModelForm
from prismhouse.api.models.service import Bringing, Deployments, Keeping
from prismhouse.api.models.service.bring import CONTENT_TYPE
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema, faults_of
from prismhouse.api.web.caller import Caller, Callers
from prismhouse.api.web.forms import Forms
from prismhouse.kit.clock import iso
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["FORM_PATH", "Models", "routes"]

_ALL = "/v1/models"
_ONE = f"{_ALL}/{{model_id}}"
_OF = "/v1/namespaces/{namespace_id}/models"
_OF_ONE = f"{_OF}/{{model_id}}"
_TAGS: list[Any] = ["Models"]
_OF_TAGS: list[Any] = ["Custom Models"]

FORM_PATH = r"/v1/namespaces/[^/]+/models"
"""The path that takes a form of any size: it sees to its limit itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What the routes of models work with."""

    bringing: Bringing
    keeping: Keeping
    deployments: Deployments
    namespaces: Namespaces
    forms: Forms


def routes(models: Models, callers: Callers) -> APIRouter:
    """Return the routes of models."""
    router = APIRouter()
    _upload_routes(router, models.bringing, callers)
    _organization_routes(router, models.keeping, callers)
    _shared_routes(router, models, callers)
    _form_route(router, models, callers)
    _namespace_routes(router, models, callers)
    return router


def _upload_routes(router: APIRouter, bringing: Bringing, callers: Callers) -> None:
    @router.post(
        f"{_ALL}/uploads",
        operation_id="generate_upload_url_models",
        tags=_TAGS,
        summary="Get a presigned URL for a model's archive",
        openapi_extra=body_schema(CreateModelUpload),
    )
    async def create_upload(
        caller: Caller = Depends(callers.organization("write")),
        body: CreateModelUpload = Depends(body_of(CreateModelUpload)),
    ) -> Answer:
        caller.require_unscoped()
        issued = await bringing.issue(caller, body)
        return answer(
            {
                "upload_id": issued.upload_id,
                "presigned_url": issued.presigned_url,
                "required_content_type": CONTENT_TYPE,
                "s3_key": issued.s3_key,
                "expires_at": iso(issued.expires_at),
                "organization_id": caller.organization_id,
                "name": body.name,
                "version": body.version,
                "model_format": body.model_format,
            }
        )

    @router.post(
        f"{_ALL}/uploads/{{upload_id}}/confirm",
        operation_id="confirm_upload_models",
        tags=_TAGS,
        summary="Confirm a model's upload",
        openapi_extra=body_schema(ConfirmArchive, required=False),
    )
    async def confirm_upload(
        upload_id: str,
        caller: Caller = Depends(callers.organization("write")),
        body: ConfirmArchive = Depends(body_of(ConfirmArchive)),
    ) -> Answer:
        caller.require_unscoped()
        return answer(dict(await bringing.confirm(caller, upload_id, body)))


def _organization_routes(router: APIRouter, keeping: Keeping, callers: Callers) -> None:
    @router.get(_ALL, operation_id="list_models", tags=_TAGS, summary="List the organization's models")
    async def list_models(caller: Caller = Depends(callers.organization("read"))) -> Answer:
        models = await keeping.list(caller)
        content = {"models": models, "total": len(models), "organization_id": caller.organization_id}
        return answer({"success": True, **content})

    @router.get(f"{_ONE}/download", operation_id="download_model", tags=_TAGS, summary="Get a link to the archive")
    async def download_model(model_id: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        return answer(await keeping.download(caller, model_id))

    @router.get(_ONE, operation_id="get_model", tags=_TAGS, summary="Get a model of the organization")
    async def get_model(model_id: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        return answer({"success": True, "model": await keeping.read(caller, model_id)})

    @router.delete(_ONE, operation_id="delete_model", tags=_TAGS, summary="Delete a model of the organization")
    async def delete_model(model_id: str, caller: Caller = Depends(callers.organization("delete"))) -> Answer:
        caller.require_unscoped()
        await keeping.delete(caller, model_id)
        return answer({"success": True, "model_id": model_id, "message": "The model was deleted."})


def _shared_routes(router: APIRouter, models: Models, callers: Callers) -> None:
    """Literal paths, before those with an id."""
    keeping = models.keeping

    @router.get(
        f"{_OF}/available",
        operation_id="list_available_org_models_namespaces",
        tags=_OF_TAGS,
        summary="List the organization's models that the namespace may enable",
    )
    async def available(namespace_id: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "read")
        rows = await keeping.available(inside)
        return answer({"success": True, "models": rows, "total": len(rows), "namespace_id": inside.namespace_id})

    @router.post(
        f"{_OF}/org/{{model_id}}/enable",
        operation_id="enable_org_model_namespaces",
        tags=_OF_TAGS,
        summary="Let the namespace use a model of the organization",
        openapi_extra=body_schema(EnableModel, required=False),
    )
    async def enable(
        namespace_id: str,
        model_id: str,
        caller: Caller = Depends(callers.organization("write")),
        body: EnableModel = Depends(body_of(EnableModel)),
    ) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "write")
        await keeping.enable(inside, model_id, body.resource_overrides)
        status, message = "not_deployed", "The model is enabled."
        if body.deploy:
            row, _ = await models.deployments.deploy(inside, model_id)
            status, message = row["status"], _told(row)
        return answer(
            {
                "success": status != "failed",
                "model_id": model_id,
                "namespace_id": inside.namespace_id,
                "deployment_status": status,
                "message": message,
            }
        )

    @router.post(
        f"{_OF}/org/{{model_id}}/disable",
        operation_id="disable_org_model_namespaces",
        tags=_OF_TAGS,
        summary="Take a model of the organization from the namespace",
    )
    async def disable(
        namespace_id: str, model_id: str, caller: Caller = Depends(callers.organization("write"))
    ) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "write")
        await keeping.disable(inside, model_id)
        named = {"model_id": model_id, "namespace_id": inside.namespace_id}
        return answer({"success": True, **named, "message": "The model is disabled."})


def _form_route(router: APIRouter, models: Models, callers: Callers) -> None:
    schema = ModelForm.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["properties"] = {"file": {"type": "string", "format": "binary"}, **schema["properties"]}
    schema["required"] = ["file", *schema["required"]]
    described = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}

    @router.post(
        _OF,
        operation_id="upload_model_namespaces",
        tags=_OF_TAGS,
        summary="Upload a model of the namespace's own",
        openapi_extra=described,
    )
    async def upload(
        namespace_id: str, request: Request, caller: Caller = Depends(callers.organization("write"))
    ) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "write")
        async with models.forms.received(request, caller.organization_id) as form:
            fields = _checked(form.fields)
            if set(form.files) != {"file"}:
                raise Invalid([field_fault(["body", "file"], "the archive is missing, or there are other files")])
            model_id = await models.bringing.receive(inside, fields, form.files["file"])
        model = await models.keeping.read_in(inside, model_id)
        return answer(
            {
                "success": True,
                "model_id": model_id,
                "deployment_status": "not_deployed",
                "endpoint": model_id,
                "model_archive_url": model["model_archive_url"],
            }
        )


def _checked(fields: Mapping[str, str]) -> ModelForm:
    try:
        return ModelForm.model_validate({name: value for name, value in fields.items() if value})
    except ValidationError as error:
        raise faults_of(error, ModelForm) from error


def _namespace_routes(router: APIRouter, models: Models, callers: Callers) -> None:
    @router.get(_OF, operation_id="list_models_namespaces", tags=_OF_TAGS, summary="List the namespace's models")
    async def list_models(namespace_id: str, caller: Caller = Depends(callers.organization("read"))) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "read")
        rows = await models.keeping.list_in(inside)
        return answer({"success": True, "models": rows, "total": len(rows), "namespace_id": inside.namespace_id})

    @router.get(_OF_ONE, operation_id="get_model_namespaces", tags=_OF_TAGS, summary="Get a model of the namespace")
    async def get_model(
        namespace_id: str, model_id: str, caller: Caller = Depends(callers.organization("read"))
    ) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "read")
        return answer({"success": True, "model": await models.keeping.read_in(inside, model_id)})

    @router.delete(
        _OF_ONE, operation_id="delete_model_namespaces", tags=_OF_TAGS, summary="Delete a model of the namespace's own"
    )
    async def delete_model(
        namespace_id: str, model_id: str, caller: Caller = Depends(callers.organization("delete"))
    ) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "delete")
        await models.keeping.delete_in(inside, model_id)
        return answer({"success": True, "model_id": model_id, "message": "The model was deleted."})

    @router.post(
        f"{_OF_ONE}/deploy",
        operation_id="deploy_model_namespaces",
        tags=_OF_TAGS,
        summary="Unpack a model, try it out, and let collections use it",
    )
    async def deploy(
        namespace_id: str, model_id: str, caller: Caller = Depends(callers.organization("write"))
    ) -> Answer:
        inside = await models.namespaces.inside(caller, namespace_id, "write")
        row, cached = await models.deployments.deploy(inside, model_id)
        return answer(
            {
                "success": row["status"] != "failed",
                "model_id": model_id,
                "namespace_id": inside.namespace_id,
                "deployment_status": row["status"],
                "cached": cached,
                "message": _told(row),
            }
        )


def _told(row: Mapping[str, Any]) -> str:
    match row["status"]:
        case "deployed":
            return f"Deployed: text_extractor takes {row['model_id']} as embedding_model in this namespace."
        case "failed":
            return row["message"] or "It could not be loaded."
        case _:
            return "It is being loaded; ask again, or look at `deployed` of the model."
