"""The audit log over HTTP: for administrators, of the whole organization."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import Enum

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from prismhouse.api.audit.model import ACTIONS, EQUAL, RESOURCE_TYPES, AuditQuery
from prismhouse.api.audit.schemas import UpdateAuditSettings, event
from prismhouse.api.audit.service import Audit
from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.body import body_of, body_schema
from prismhouse.api.web.caller import Caller, Callers
from prismhouse.kit import json
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["routes"]

_TAGS: list[str | Enum] = ["Organization Audit"]
_LOGS = "/v1/organizations/audit/logs"
_SETTINGS = "/v1/organizations/audit/settings"
_NDJSON = "application/x-ndjson"
_MAX_LIMIT = 1000
_MAX_EVENTS = 200_000
_MAX_SKIP = 2**31 - 1


def routes(service: Audit, callers: Callers) -> APIRouter:
    """Return the routes of the audit log and its settings."""
    router = APIRouter()
    _log_routes(router, service, callers)
    _settings_routes(router, service, callers)
    return router


def _log_routes(router: APIRouter, service: Audit, callers: Callers) -> None:
    administrator = callers.administrator()

    @router.get(_LOGS, operation_id="list_audit_logs_organizations", tags=_TAGS, summary="List Audit Logs")
    async def list_logs(request: Request, caller: Caller = Depends(administrator)) -> Answer:
        skip = _whole(request, "skip", default=0, low=0, high=_MAX_SKIP)
        limit = _whole(request, "limit", default=50, low=1, high=_MAX_LIMIT)
        rows, total = await service.page(caller.organization_id, _asked(request), skip=skip, limit=limit)
        return answer({"results": [event(row) for row in rows], "total": total, "skip": skip, "limit": limit})

    @router.get(
        f"{_LOGS}/export",
        operation_id="export_audit_logs_organizations",
        tags=_TAGS,
        summary="Export Audit Logs",
        response_class=Response,
        responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in (_NDJSON, "application/json")}}},
    )
    async def export_logs(request: Request, caller: Caller = Depends(administrator)) -> Response:
        most = _whole(request, "max_events", default=_MAX_EVENTS, low=1, high=_MAX_EVENTS)
        asked = _asked(request)
        total = await service.total(caller.organization_id, asked)
        lines = _lines(service, caller, asked, most=most, total=total)
        if _reads_json_only(request):
            return StreamingResponse(_as_json_text(lines), media_type="application/json")
        return StreamingResponse(lines, media_type=_NDJSON)

    @router.get(
        f"{_LOGS}/{{audit_id}}", operation_id="get_audit_log_organizations", tags=_TAGS, summary="Get Audit Log"
    )
    async def get_log(audit_id: str, caller: Caller = Depends(administrator)) -> Answer:
        return answer(event(await service.read(caller.organization_id, audit_id)))


def _settings_routes(router: APIRouter, service: Audit, callers: Callers) -> None:
    administrator = callers.administrator()

    @router.get(_SETTINGS, operation_id="get_audit_settings_organizations", tags=_TAGS, summary="Get Audit Settings")
    async def get_settings(caller: Caller = Depends(administrator)) -> Answer:
        return answer({"read_auditing_enabled": await service.reads_audited(caller.organization_id)})

    @router.patch(
        _SETTINGS,
        operation_id="update_audit_settings_organizations",
        tags=_TAGS,
        summary="Update Audit Settings",
        openapi_extra=body_schema(UpdateAuditSettings),
    )
    async def update_settings(
        caller: Caller = Depends(administrator), body: UpdateAuditSettings = Depends(body_of(UpdateAuditSettings))
    ) -> Answer:
        enabled = await service.audit_reads(caller, enabled=body.read_auditing_enabled)
        return answer({"read_auditing_enabled": enabled})


async def _lines(service: Audit, caller: Caller, asked: AuditQuery, *, most: int, total: int) -> AsyncIterator[bytes]:
    """Give one event per line; the last line of a log that was cut says so."""
    seen = 0
    # One more than is wanted tells whether it was cut: the log may have grown since it was counted.
    async for rows in service.export(caller.organization_id, asked, limit=most + 1):
        shown = rows[: most - seen]
        seen += len(rows)
        yield b"".join(json.dumps(event(row)) + b"\n" for row in shown)
    if seen > most:
        yield json.dumps({"__truncated__": True, "exported": most, "total": max(total, seen)}) + b"\n"


def _reads_json_only(request: Request) -> bool:
    """Say whether the lines must come as one JSON text: asked for so, or by a generated Python client.

    Those ask for NDJSON and then raise on its content type (openapi-generator's `deserialize`, client 1.3.783).
    """
    accepted = request.headers.get("accept", "*/*")
    generated = request.headers.get("user-agent", "").startswith("OpenAPI-Generator/")
    return generated or ("application/json" in accepted and _NDJSON not in accepted)


async def _as_json_text(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b'"'
    async for some in lines:
        yield json.dumps(some.decode())[1:-1]
    yield b'"'


def _asked(request: Request) -> AuditQuery:
    query = request.query_params
    equal = {name: query[name] for name in EQUAL if query.get(name)}
    for name, known in (("resource_type", RESOURCE_TYPES), ("action", ACTIONS)):
        if name in equal and equal[name] not in known:
            raise Invalid([field_fault(["query", name], f"must be one of {', '.join(known)}")])
    return AuditQuery(**equal, start=_moment(request, "start"), end=_moment(request, "end"))


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        # A `+` that was not escaped arrives as a space: 2026-11-23T10:00:00 02:00.
        date, _, rest = text.replace("T", " ", 1).partition(" ")
        moment = datetime.fromisoformat(f"{date} {rest.replace(' ', '+')}".strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = "must be a time in ISO 8601, as 2026-11-23T10:00:00Z; without an offset it is UTC"
        raise Invalid([field_fault(["query", name], message)]) from error


def _whole(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len(str(high)) or not low <= int(text) <= high:
        raise Invalid([field_fault(["query", name], f"must be an integer from {low} to {high}")])
    return int(text)
