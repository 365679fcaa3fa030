"""The OpenAPI description: definitions that bodies carry inline are lifted to components, errors are declared once."""

from __future__ import annotations

from typing import Any

__all__ = ["lifted"]

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_ERROR_STATUSES = ("400", "401", "403", "404", "422", "500", "503")
_PUBLIC_PREFIXES = ("/v1/health",)
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["success", "status", "error"],
    "properties": {
        "success": {"type": "boolean", "const": False},
        "status": {"type": "integer"},
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": ["string", "null"]},
                "details": {"type": ["object", "null"], "additionalProperties": True},
            },
        },
    },
}
_NAMESPACE = {
    "name": "X-Namespace",
    "in": "header",
    "required": False,
    "description": "Namespace id or name; needed when the organization has several.",
    "schema": {"type": "string"},
}
_ORGANIZATION_PREFIXES = ("/v1/organizations", "/v1/namespaces", "/v1/me", "/v1/account", "/v1/health")


def lifted(description: dict[str, Any]) -> dict[str, Any]:
    """Return FastAPI's description, made valid and complete; the argument is changed in place."""
    components = description.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for path, item in description.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                _lift_body(item[method], schemas)
                _declare(item[method], path)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["ErrorResponse"] = _ERROR
    components["securitySchemes"] = {"BearerAuth": {"type": "http", "scheme": "bearer"}}
    return description


def _lift_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    for media in operation.get("requestBody", {}).get("content", {}).values():
        schema = media.get("schema", {})
        for name, definition in schema.pop("$defs", {}).items():
            schemas.setdefault(name, definition)
        title = schema.get("title")
        if title and "properties" in schema:
            schemas.setdefault(title, schema)
            if schemas[title] == schema:
                media["schema"] = {"$ref": f"#/components/schemas/{title}"}


def _declare(operation: dict[str, Any], path: str) -> None:
    responses = operation.setdefault("responses", {})
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}}
    for status in _ERROR_STATUSES:
        responses[status] = {"description": "Error", **error}
    if path.startswith(_PUBLIC_PREFIXES):
        return
    operation["security"] = [{"BearerAuth": []}]
    if not path.startswith(_ORGANIZATION_PREFIXES):
        operation.setdefault("parameters", []).append(dict(_NAMESPACE))
