"""/openapi.json is valid OpenAPI 3.1 and complete; /docs needs nothing but the server."""

from __future__ import annotations

import re

from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route
from tests.opened import Open

from prismhouse.server.unbuilt import listed


async def test_the_description_is_valid(opened: Open) -> None:
    description = (await opened.client("").get("/openapi.json")).json()

    assert description["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(description).iter_errors()] == []
    assert "$defs" not in str(description)


async def test_every_built_operation_is_described_with_id_summary_and_errors(opened: Open) -> None:
    description = opened.app.openapi()
    described = {
        (method.upper(), path): operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
    }

    shown = {
        (method, route.path)
        for route in opened.app.routes
        if isinstance(route, Route) and getattr(route, "include_in_schema", False)
        for method in route.methods or ()
    }
    assert shown == set(described)
    ids = [operation["operationId"] for operation in described.values()]
    assert len(ids) == len(set(ids))
    assert all(operation.get("summary") and operation.get("tags") for operation in described.values())
    assert all("404" in operation["responses"] for operation in described.values())


async def test_the_reference_page_loads_only_from_the_server(opened: Open) -> None:
    client = opened.client("")
    page = await client.get("/docs")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    own = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert {"/docs/page.css", "/docs/page.js", "/openapi.json"} <= set(own)
    assert re.findall(r'(?:src|href)="https?:', page.text) == []
    for path in own:
        found = await client.get(path)
        assert found.status_code == 200
        assert "https://" not in found.text.replace("https://*.", "") or path == "/openapi.json"


async def test_the_reference_page_learns_what_is_not_built(opened: Open) -> None:
    absent = (await opened.client("").get("/docs/unbuilt.json")).json()

    assert len(absent) == len(listed())
    assert {"method", "path", "operation_id", "tag"} <= set(absent[0])
