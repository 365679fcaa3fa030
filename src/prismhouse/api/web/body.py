"""Request bodies: bytes to a validated model in one pass. An empty body equals `{}`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from prismhouse.api.web.storable import unstorable
from prismhouse.kit.errors import Invalid, field_fault

__all__ = ["RequestModel", "body_of", "body_schema", "faults_of", "free_body_of"]

Model = TypeVar("Model", bound=BaseModel)
_SUSPICIOUS = (rb"\u0000", b"NaN", b"Infinity")


class RequestModel(BaseModel):
    """Base of request shapes: an undeclared key is an error that names the accepted ones."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


def faults_of(error: ValidationError, model: type[BaseModel], prefix: str = "body") -> Invalid:
    """Return the envelope error for a Pydantic error, naming field, cause and accepted keys."""
    faults = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        message = item["msg"]
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            message = f"Unknown key. Accepted keys: {', '.join(_accepted(model))}."
        faults.append(field_fault([prefix, *item["loc"]], message, item["type"]))
    return Invalid(faults)


def _accepted(model: type[BaseModel]) -> list[str]:
    return sorted(info.alias or name for name, info in model.model_fields.items())


def body_of(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """Return a dependency that reads the body as `model`; raises Invalid (422)."""

    async def dependency(request: Request) -> Model:
        raw = await request.body()
        if any(mark in raw for mark in _SUSPICIOUS):
            _check_storable(raw)
        try:
            return model.model_validate_json(raw or b"{}")
        except ValidationError as error:
            raise faults_of(error, model) from error

    return dependency


def _check_storable(raw: bytes) -> None:
    """Refuse, for every route at once, JSON that Python reads but the database cannot keep as it was sent."""
    try:
        value = json.loads(raw, parse_constant=float)
    except (ValueError, RecursionError):
        return  # not JSON at all: the model's own parser says where
    faults = unstorable(value, ["body"])
    if faults:
        raise Invalid(faults)


def body_schema(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return `openapi_extra` for a route whose body is read by `body_of`; server/app.py lifts the definitions."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}},
    }


def free_body_of(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """As `body_of`, for bodies that the service itself checks value by value: files inside stay unread here."""

    async def dependency(request: Request) -> Model:
        try:
            return model.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            raise faults_of(error, model) from error

    return dependency
