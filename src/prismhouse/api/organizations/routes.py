"""Identity, organization, users and API keys over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from prismhouse.api.organizations import wire
from prismhouse.api.organizations.schemas import (
    CreateKey,
    CreateUser,
    UpdateKey,
    UpdateOrganization,
    UpdateUser,
)
from prismhouse.api.organizations.service import Organizations
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["routes"]

_ORGANIZATION = "/v1/organizations"
_USERS = f"{_ORGANIZATION}/users"
_USER = f"{_USERS}/{{user_email}}"
_KEYS = f"{_USER}/api-keys"
_MAX_SKIP = 10_000
_MAX_LIMIT = 1000


def routes(service: Organizations, callers: Callers) -> APIRouter:
    """Return the routes of identity, organization, users and keys."""
    router = APIRouter()
    anyone = Depends(callers.organization("read"))

    @router.get("/v1/account", include_in_schema=False)
    @router.get("/v1/me", operation_id="whoami_me", tags=["Account"], summary="Who am I")
    async def whoami(caller: Caller = anyone) -> Answer:
        return answer(wire.me(caller))

    _organization_routes(router, service, callers)
    _user_routes(router, service, callers)
    _key_routes(router, service, callers)
    return router


def _organization_routes(router: APIRouter, service: Organizations, callers: Callers) -> None:
    @router.get(_ORGANIZATION, operation_id="get_organization", tags=["Organizations"], summary="Get the organization")
    async def read(caller: Caller = Depends(callers.organization("read"))) -> Answer:
        row, users = await service.read(caller.organization_id)
        # Who else works here is for administrators; a key in a browser needs no list of emails.
        open_to_all = "admin" in caller.held and caller.namespaces is None
        return answer(wire.organization(row, users if open_to_all else None))

    @router.patch(
        _ORGANIZATION,
        operation_id="update_organization",
        tags=["Organizations"],
        summary="Change the organization",
        openapi_extra=body_schema(UpdateOrganization),
    )
    async def update(
        caller: Caller = Depends(callers.administrator()),
        body: UpdateOrganization = Depends(body_of(UpdateOrganization)),
    ) -> Answer:
        return answer(wire.organization(*await service.update(caller.organization_id, body)))


def _user_routes(router: APIRouter, service: Organizations, callers: Callers) -> None:
    tags: list[Any] = ["Organization Users"]

    @router.get(_USERS, operation_id="list_users_organizations", tags=tags, summary="List users")
    async def list_users(request: Request, caller: Caller = Depends(callers.administrator())) -> Answer:
        skip = _whole(request, "skip", default=0, low=0, high=_MAX_SKIP)
        limit = _whole(request, "limit", default=100, low=1, high=_MAX_LIMIT)
        query = request.query_params
        rows, total = await service.users(
            caller.organization_id, role=query.get("role"), status=query.get("status"), skip=skip, limit=limit
        )
        results = [wire.user(row) for row in rows]
        return answer({"results": results, "total": total, "total_count": total, "skip": skip, "limit": limit})

    @router.post(
        _USERS,
        operation_id="create_user_organizations",
        tags=tags,
        summary="Add a user",
        openapi_extra=body_schema(CreateUser),
    )
    async def create_user(
        caller: Caller = Depends(callers.administrator()), body: CreateUser = Depends(body_of(CreateUser))
    ) -> Answer:
        return answer(wire.user(await service.create_user(caller.organization_id, body, actor=caller.actor)))

    @router.get(_USER, operation_id="get_user_organizations_email", tags=tags, summary="Get a user")
    async def get_user(user_email: str, caller: Caller = Depends(callers.administrator())) -> Answer:
        return answer(wire.user(await service.user(caller.organization_id, user_email)))

    @router.patch(
        _USER,
        operation_id="update_user_organizations_email",
        tags=tags,
        summary="Change a user",
        openapi_extra=body_schema(UpdateUser),
    )
    async def update_user(
        user_email: str,
        caller: Caller = Depends(callers.administrator()),
        body: UpdateUser = Depends(body_of(UpdateUser)),
    ) -> Answer:
        changed = await service.update_user(
            caller.organization_id, user_email, body, by=caller.key_id, actor=caller.actor
        )
        return answer(wire.user(changed))

    @router.delete(_USER, operation_id="delete_user_organizations_email", tags=tags, summary="Remove a user")
    async def delete_user(user_email: str, caller: Caller = Depends(callers.administrator())) -> Answer:
        await service.delete_user(caller.organization_id, user_email, actor=caller.actor)
        return answer({"message": f"User {user_email} and the user's keys are gone.", "success": True})


def _key_routes(router: APIRouter, service: Organizations, callers: Callers) -> None:
    tags: list[Any] = ["Organization API Keys"]
    keys = service.keys

    @router.get(_KEYS, operation_id="list_keys_organizations_users_email", tags=tags, summary="List a user's keys")
    async def list_keys(
        user_email: str, include_revoked: bool = False, caller: Caller = Depends(callers.administrator())
    ) -> Answer:
        rows = await keys.list(caller.organization_id, user_email, include_revoked=include_revoked)
        return answer({"results": [wire.key(row) for row in rows], "total": len(rows), "total_count": len(rows)})

    @router.post(
        _KEYS,
        operation_id="create_key_organizations_users_email",
        tags=tags,
        summary="Create a key; the answer shows it once",
        openapi_extra=body_schema(CreateKey),
    )
    async def create_key(
        user_email: str,
        caller: Caller = Depends(callers.administrator()),
        body: CreateKey = Depends(body_of(CreateKey)),
    ) -> Answer:
        row, plaintext = await keys.create(
            caller.organization_id, user_email, body, by=caller.key_id, actor=caller.actor
        )
        return answer(wire.new_key(row, plaintext))

    @router.patch(
        f"{_KEYS}/{{key_name}}",
        operation_id="update_key_organizations_users_email_name",
        tags=tags,
        summary="Change a key",
        openapi_extra=body_schema(UpdateKey),
    )
    async def update_key(
        user_email: str,
        key_name: str,
        caller: Caller = Depends(callers.administrator()),
        body: UpdateKey = Depends(body_of(UpdateKey)),
    ) -> Answer:
        row = await keys.update(
            caller.organization_id, user_email, key_name, body, by=caller.key_id, actor=caller.actor
        )
        return answer(wire.key(row))

    @router.delete(
        f"{_KEYS}/{{key_name}}",
        operation_id="delete_key_organizations_users_email_name",
        tags=tags,
        summary="Revoke a key",
    )
    async def revoke_key(user_email: str, key_name: str, caller: Caller = Depends(callers.administrator())) -> Answer:
        await keys.revoke(caller.organization_id, user_email, key_name, by=caller.key_id, actor=caller.actor)
        return answer({"message": f"Key {key_name} is revoked.", "success": True})

    @router.post(
        f"{_KEYS}/{{key_name}}/rotate",
        operation_id="rotate_key_organizations_users_email_name",
        tags=tags,
        summary="Exchange a key's secret; the answer shows it once",
    )
    async def rotate_key(user_email: str, key_name: str, caller: Caller = Depends(callers.administrator())) -> Answer:
        row, plaintext = await keys.rotate(caller.organization_id, user_email, key_name, actor=caller.actor)
        return answer(wire.new_key(row, plaintext))


def _whole(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len(str(high)) or not low <= int(text) <= high:
        raise Invalid([field_fault(["query", name], f"must be an integer from {low} to {high}")])
    return int(text)
