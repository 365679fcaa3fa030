"""Errors become answers here and nowhere else."""

from __future__ import annotations

from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from prismhouse.api.web.answers import Answer, answer
from prismhouse.api.web.caller import UnresolvedList
from prismhouse.api.web.paging import Page, pagination
from prismhouse.kit.errors import Code, Invalid, WarehouseError, field_fault
from prismhouse.storage.postgres.database import StatementTooSlow

__all__ = ["envelope", "install"]

_RETRY_AFTER_SECONDS = 2
# Never sent: it stands in the access log, as it does in those of other servers.
_CLIENT_CLOSED = 499
_BY_STATUS = {code.status: code for code in reversed(Code)}
_log = structlog.get_logger(__name__)


class AlreadyThere(WarehouseError):
    """Another request stored the same name or key at the same moment."""

    code = Code.ALREADY_EXISTS
    hint = "Read what is there, or choose another name."


class GoneMeanwhile(WarehouseError):
    """What this request refers to was deleted at the same moment; nothing was stored."""

    code = Code.CONFLICT
    hint = "List what is there, and send the request again."


def envelope(error: WarehouseError) -> Answer:
    """Return the error envelope; a passing fault carries Retry-After and the hints the client reads."""
    details: dict[str, Any] = {key: value for key, value in error.details.items() if value is not None}
    headers: dict[str, str] = {}
    if error.code.retryable:
        seconds = int(details.get("retry_after_seconds", _RETRY_AFTER_SECONDS))
        details |= {"retryable": True, "retry_after_seconds": seconds, "retry_after": seconds}
        headers["Retry-After"] = str(seconds)
    return _answer(error.code, error.message, code=error.wire_code, details=details, headers=headers)


def _answer(
    kind: Code,
    message: str,
    *,
    code: str | None,
    details: dict[str, Any] | None,
    headers: dict[str, str] | None = None,
    status: int | None = None,
) -> Answer:
    body = {
        "success": False,
        "status": status or kind.status,
        "error": {"message": message, "type": kind.wire_type, "code": code, "details": details or None},
    }
    return answer(body, status or kind.status, headers)


async def _on_warehouse_error(_: Request, error: Exception) -> Answer:
    assert isinstance(error, WarehouseError)  # noqa: S101 - registered for this type only
    return envelope(error)


async def _on_framework_validation(_: Request, error: Exception) -> Answer:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    return envelope(Invalid([field_fault(item["loc"], item["msg"], item["type"]) for item in error.errors()]))


async def _on_http_exception(request: Request, error: Exception) -> Answer:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    kind = _BY_STATUS.get(error.status_code, Code.BAD_REQUEST)
    message = str(error.detail)
    if error.status_code == Code.NOT_FOUND.status:
        message = f"No operation {request.method} {request.url.path}. See /docs for all operations."
    elif error.status_code == 405:
        message = f"{request.method} is not an operation of {request.url.path}. See /docs for all operations."
    return _answer(kind, message, code=None, details=None, headers=dict(error.headers or {}), status=error.status_code)


async def _on_unresolved_list(_: Request, error: Exception) -> Answer:
    assert isinstance(error, UnresolvedList)  # noqa: S101 - registered for this type only
    page = Page(limit=100, offset=0, cursor=None, include_total=False)
    warning = {
        "resource": "namespace",
        "reason": "unresolved",
        "next_step": f"No namespace {error.namespace} is open to this key. Create it, or send another X-Namespace.",
    }
    # Lists differ in what stands beside the rows; clients take the keys they know.
    body = {"results": [], "pagination": pagination(page, total=0, next_cursor=None), "total_count": 0, "total": 0}
    # A header holds latin-1 only, a name anything.
    named = error.namespace.encode("ascii", "backslashreplace").decode()
    return answer(body | {"warnings": [warning]}, headers={"X-Namespace-Unresolved": named[:200]})


async def _on_disconnect(request: Request, _: Exception) -> Answer:
    """The client went away while it sent: nobody reads this, and nothing is wrong here."""
    _log.debug("client disconnected", method=request.method, path=request.url.path)
    return Answer(b"", status_code=_CLIENT_CLOSED)


async def _on_data_error(request: Request, error: Exception) -> Answer:
    """A value of the request that no validation caught and the database refused: out of range, or no text."""
    assert isinstance(error, psycopg.DataError)  # noqa: S101 - registered for this type only
    _log.warning("the database refused a value", method=request.method, path=request.url.path, exc_info=error)
    # Only the first line: the rest of the message quotes the statement.
    reason = error.diag.message_primary or str(error)
    return envelope(Invalid([field_fault(["body"], f"holds a value that cannot be stored: {reason}")]))


async def _on_conflict(request: Request, error: Exception) -> Answer:
    """Two requests at the same moment: what was checked a moment ago is no longer so."""
    _log.info("a request lost a race", method=request.method, path=request.url.path, exc_info=error)
    return envelope(AlreadyThere() if isinstance(error, psycopg.errors.UniqueViolation) else GoneMeanwhile())


async def _on_time_out(request: Request, _: Exception) -> Answer:
    _log.warning("a statement ran out of time", method=request.method, path=request.url.path)
    return envelope(StatementTooSlow())


async def _on_anything_else(request: Request, error: Exception) -> Answer:
    request_id = getattr(request.state, "request_id", None)
    _log.error("request failed", method=request.method, path=request.url.path, request_id=request_id, exc_info=error)
    message = f"Something went wrong on our side; the server's log has the cause under request id {request_id}."
    return _answer(Code.INTERNAL, message, code=None, details={"request_id": request_id})


def install(app: FastAPI) -> None:
    """Answer every error of `app` in the envelope."""
    app.add_exception_handler(WarehouseError, _on_warehouse_error)
    app.add_exception_handler(RequestValidationError, _on_framework_validation)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(UnresolvedList, _on_unresolved_list)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(psycopg.DataError, _on_data_error)
    app.add_exception_handler(psycopg.errors.UniqueViolation, _on_conflict)
    app.add_exception_handler(psycopg.errors.ForeignKeyViolation, _on_conflict)
    app.add_exception_handler(psycopg.errors.QueryCanceled, _on_time_out)
    app.add_exception_handler(TimeoutError, _on_time_out)
    app.add_exception_handler(Exception, _on_anything_else)
