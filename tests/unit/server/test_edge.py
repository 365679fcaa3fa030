"""The edge and the route table, over an application without a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import psycopg
import pytest
from fastapi import APIRouter, FastAPI, Request
from structlog.testing import capture_logs

from prismhouse.api.web.answers import Answer, answer
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.server.app import assemble

SECRET = "sk_secret_in_the_header"


class Odd(WarehouseError):
    """It is odd."""

    code = Code.TOO_MANY


def application() -> FastAPI:
    router = APIRouter()

    @router.get("/v1/things/special")
    async def special() -> Answer:
        return answer({"found": "special"})

    @router.get("/v1/things/{thing_id}")
    async def read(thing_id: str, request: Request) -> Answer:
        request.state.log = {"key_id": "key_1", "namespace_id": "ns_1"}
        return answer({"found": thing_id})

    @router.post("/v1/things/{thing_id}/parts/")
    async def parts(request: Request) -> Answer:
        return answer({"size": len(await request.body())})

    @router.get("/v1/crash")
    async def crash() -> Answer:
        raise RuntimeError(SECRET)

    @router.get("/v1/odd")
    async def odd() -> Answer:
        raise Odd

    return assemble([router], body_bytes=2048)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(application(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://house", headers={"Authorization": f"Bearer {SECRET}"}
    ) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/things/special", "special"),
        ("/v1/things/other", "other"),
        ("/things/other", "other"),
        ("/api/v1/things/other", "other"),
        ("/v1/things/a%20b", "a b"),
    ],
)
async def test_a_literal_path_goes_before_a_parameter(client: httpx2.AsyncClient, path: str, found: str) -> None:
    assert (await client.get(path)).json() == {"found": found}


@pytest.mark.parametrize("path", ["/v1/things/x/parts", "/v1/things/x/parts/", "/things/x/parts"])
async def test_the_last_slash_does_not_matter(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.post(path, content=b"12")).json() == {"size": 2}


@pytest.mark.parametrize("path", ["/v1/things//parts", "/v1/things", "/v2/things/x", "/v1", "/v1/things/x/parts/y"])
async def test_an_unknown_path_is_404_in_the_envelope(client: httpx2.AsyncClient, path: str) -> None:
    refused = await client.post(path)

    assert refused.status_code == 404
    assert refused.json()["error"]["type"] == "NotFoundError"


@pytest.mark.parametrize(("size", "status"), [(2048, 200), (2049, 413)])
async def test_a_body_is_read_up_to_the_limit(client: httpx2.AsyncClient, size: int, status: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size):
            yield b"x"

    declared = await client.post("/v1/things/x/parts", content=b"x" * size)
    streamed = await client.post("/v1/things/x/parts", content=chunks())

    assert (declared.status_code, streamed.status_code) == (status, status)


async def test_a_crash_is_500_in_the_envelope_with_the_request_id_and_no_detail(client: httpx2.AsyncClient) -> None:
    with capture_logs() as logs:
        crashed = await client.get("/v1/crash", headers={"X-Request-Id": "trace-1"})

    assert crashed.status_code == 500
    assert crashed.headers["x-request-id"] == "trace-1"
    assert "trace-1" in crashed.json()["error"]["message"]
    assert SECRET not in crashed.text
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["request failed"]


async def test_a_passing_refusal_says_when_to_come_again(client: httpx2.AsyncClient) -> None:
    refused = await client.get("/v1/odd")

    assert refused.headers["retry-after"] == "2"
    assert refused.json()["error"]["details"]["retry_after_seconds"] == 2


async def test_the_access_log_names_route_caller_and_time_and_no_secret(client: httpx2.AsyncClient) -> None:
    with capture_logs() as logs:
        await client.get("/v1/things/mine?token=hidden")

    (entry,) = [entry for entry in logs if entry["event"] == "request"]
    assert entry["path"] == "/v1/things/{thing_id}"
    assert (entry["method"], entry["status"], entry["key_id"]) == ("GET", 200, "key_1")
    assert entry["duration_ms"] >= 0
    assert "hidden" not in str(entry)
    assert SECRET not in str(entry)


async def test_a_client_that_goes_away_while_sending_leaves_no_error(client: httpx2.AsyncClient) -> None:
    app, sent = application(), []
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/things/x/parts",
        "raw_path": b"/v1/things/x/parts",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("house", 80),
        "client": ("there", 1),
        "root_path": "",
    }

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as logs:
        await app(scope, receive, send)

    assert all(entry["log_level"] in {"debug", "info"} for entry in logs)


async def test_head_gives_the_headers_of_get(client: httpx2.AsyncClient) -> None:
    full, head = await client.get("/v1/things/special"), await client.head("/v1/things/special")

    assert head.headers["content-length"] == full.headers["content-length"]
    assert head.content == b""


@pytest.mark.parametrize("name", ["with/slash", "a/", "/a", "a//b", "special/", "x/parts", "日本 語", "a%2Fb", "?#&"])
async def test_a_name_is_one_segment_when_it_is_sent_encoded(client: httpx2.AsyncClient, name: str) -> None:
    encoded = quote(name, safe="")

    for path in (f"/v1/things/{encoded}", f"/things/{encoded}/", f"/api/v1/things/{encoded}"):
        assert (await client.get(path)).json() == {"found": name}


async def test_an_encoded_slash_reaches_no_other_operation(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/v1/things/x%2Fparts")).status_code == 405
    assert (await client.get("/v1%2Fthings%2Fspecial")).status_code == 404


async def test_405_names_every_method_of_the_path_when_there_are_several_routes() -> None:
    router = APIRouter()
    for method in ("GET", "POST"):
        router.add_api_route("/v1/things", lambda: answer({}), methods=[method])
    transport = httpx2.ASGITransport(assemble([router], body_bytes=2048))
    async with httpx2.AsyncClient(transport=transport, base_url="http://house") as client:
        refused = await client.options("/v1/things")

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


async def test_a_statement_out_of_time_is_408_that_no_client_repeats() -> None:
    router = APIRouter()

    @router.get("/v1/slow")
    async def slow() -> Answer:
        raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    transport = httpx2.ASGITransport(assemble([router], body_bytes=2048))
    async with httpx2.AsyncClient(transport=transport, base_url="http://house") as client:
        refused = await client.get("/v1/slow")

    assert refused.status_code == 408
    assert "retry-after" not in refused.headers
    assert "STATEMENT_TIMEOUT_SECONDS" in refused.json()["error"]["message"]


async def test_an_encoded_body_is_refused_by_the_name_of_its_header(client: httpx2.AsyncClient) -> None:
    refused = await client.post("/v1/things/x/parts", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    assert refused.status_code == 422
    assert "Content-Encoding" in refused.json()["error"]["message"]
