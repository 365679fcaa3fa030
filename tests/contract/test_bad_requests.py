"""Whatever is sent, the answer is the error envelope, and never a 500."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.opened import Open, assert_envelope

from prismhouse.api.web.drain import DRAINED_BYTES

CREATE = "/v1/namespaces"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "header",
    [{}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer sk_unknown"}],
)
async def test_401_when_the_key_is_missing_malformed_or_unknown(opened: Open, header: dict[str, str]) -> None:
    error = assert_envelope(await opened.client("", **header).get("/v1/me"), 401, "UnauthorizedError")

    assert "Authorization" in str(error["message"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"namespace_name": "abc"',
        b"[1, 2]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"namespace_name": "a\\u0000bc"}',
        b'{"namespace_name": "abc", "description": "\\ud800"}',
        b'{"namespace_name": "abc", "description": NaN}',
        b'{"namespace_name": "abc", "spend_budget": {"daily_usd": NaN}}',
        b'{"namespace_name": "abc", "spend_budget": {"other": Infinity}}',
        b'{"namespace_name": "abc", "ttl_seconds": 999999999999999999999999999999}',
        b'{"namespace_name": "abc", "spend_budget": {"other": 999999999999999999999999999999}}',
        b'{"namespace_name": "abc", "tiering": {"x\\u0000": 1}}',
        b'{"namespace_name": "ab"}',
        b'{"namespace_name": "' + b"a" * 65 + b'"}',
        b'{"namespace_name": " abc "}',
        b'{"namespace_name": "abc", "ttl_seconds": 59}',
        b'{"namespace_name": "abc", "payload_indexes": [{"field_name": "created_at", "type": "keyword"}]}',
        b'{"namespace_name": "abc", "tiering": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
        b"name=abc",
    ],
)
async def test_422_when_the_body_cannot_be_read_or_kept(opened: Open, body: bytes) -> None:
    answer = await opened.client().post(CREATE, content=body, headers=JSON)

    error = assert_envelope(answer, 422, "ValidationError")
    faults: Any = error["details"]
    assert {"type", "location", "message"} <= set(faults["validation_errors"][0])


async def test_422_names_the_accepted_keys_when_a_key_is_unknown(opened: Open) -> None:
    answer = await opened.client().post(CREATE, json={"namespace_name": "abc", "colour": "red"})

    error: Any = assert_envelope(answer, 422, "ValidationError")
    fault = error["details"]["validation_errors"][0]
    assert fault["type"] == "extra_forbidden"
    assert fault["location"] == ["body", "colour"]
    assert "namespace_name" in fault["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_json_is_read_whatever_the_content_type_says(opened: Open, content_type: str) -> None:
    content = b'{"namespace_name": "abc"}'

    answer = await opened.client().post(CREATE, content=content, headers={"Content-Type": content_type})

    assert answer.status_code == 200


async def test_an_empty_body_equals_an_empty_object(opened: Open) -> None:
    answer = await opened.client().post("/v1/namespaces/list", headers={**JSON, "Content-Length": "0"})

    assert answer.status_code == 200


async def test_413_names_limit_and_setting_when_the_length_is_declared(opened: Open) -> None:
    limit = opened.house.settings.limits.body_bytes
    headers = {**JSON, "Content-Length": str(limit + 1)}

    answer = await opened.client().post(CREATE, content=b"{}", headers=headers)

    error: Any = assert_envelope(answer, 413, "PayloadTooLargeError")
    assert error["details"]["limit_bytes"] == limit
    assert "PRISMHOUSE_LIMITS__BODY_BYTES" in error["message"]


@pytest.mark.parametrize("header", [{}, {"Expect": "100-continue"}])
async def test_413_and_no_endless_reading_when_a_body_without_length_passes_the_limit(
    opened: Open, header: dict[str, str]
) -> None:
    limit, given = opened.house.settings.limits.body_bytes, 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 20 * limit:
            given += 2**20
            yield b" " * 2**20

    answer = await opened.client().post(CREATE, content=endless(), headers={**JSON, **header})

    assert_envelope(answer, 413, "PayloadTooLargeError")
    assert given >= min(20 * limit, limit + DRAINED_BYTES), "who was told to go on is heard out"
    assert given <= limit + DRAINED_BYTES + 2 * 2**20


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/v1/namespaces/%00", "/v1/me/more", "//", "/v1/%ff"])
async def test_an_unknown_path_is_told_apart_from_a_missing_thing(opened: Open, path: str) -> None:
    answer = await opened.client().get(path)

    assert answer.status_code in {404, 422}
    assert_envelope(answer, answer.status_code)


async def test_405_says_which_methods_there_are(opened: Open) -> None:
    answer = await opened.client().put("/v1/namespaces")

    assert_envelope(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "offset=10001",
        "page=0",
        "page=999&limit=1000",
        "cursor=%25%25",
        "namespace=%00",
    ],
)
async def test_paging_out_of_range_is_refused(opened: Open, query: str) -> None:
    answer = await opened.client().get(f"/v1/namespaces?{query}")

    assert answer.status_code in {400, 422}
    assert_envelope(answer, answer.status_code)


async def test_no_namespace_named_is_400_when_there_is_not_exactly_one(opened: Open) -> None:
    client = opened.client()

    error = assert_envelope(await client.get("/v1/buckets/any"), 400, "BadRequestError")
    assert "X-Namespace" in str(error["message"])
    await client.post(CREATE, json={"namespace_name": "only"})
    assert_envelope(await client.get("/v1/buckets/any"), 404, "NotFoundError")
    await client.post(CREATE, json={"namespace_name": "second"})
    assert_envelope(await client.get("/v1/buckets/any"), 400, "BadRequestError")


async def test_a_namespace_is_found_by_id_name_header_and_query(opened: Open) -> None:
    client = opened.client()
    made = (await client.post(CREATE, json={"namespace_name": "by name"})).json()
    await client.post(CREATE, json={"namespace_name": "second"})

    for header in ("X-Namespace", "X-Namespace-Id"):
        for name in (made["namespace_id"], "by name"):
            assert (await client.get("/v1/buckets", headers={header: name})).status_code == 200
    assert (await client.get("/v1/buckets?namespace=by%20name")).status_code == 200
    assert_envelope(await client.get("/v1/buckets/x?namespace=nobody"), 404, "NotFoundError")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_namespace_is_found_by_a_header_beyond_ascii(opened: Open, encoding: str) -> None:
    client = opened.client()
    await client.post(CREATE, json={"namespace_name": "naïve"})
    await client.post(CREATE, json={"namespace_name": "second"})

    header = (b"X-Namespace", "naïve".encode(encoding))
    answer = await client.get("/v1/buckets/none", headers=[header])

    assert "No bucket none" in str(assert_envelope(answer, 404, "NotFoundError")["message"])


async def test_every_answer_has_a_request_id_and_a_sane_one_is_kept(opened: Open) -> None:
    client = opened.client("")

    assert (await client.get("/v1/health/liveness")).headers["x-request-id"].startswith("req_")
    assert (await client.get("/v1/me", headers={"X-Request-Id": "mine-1"})).headers["x-request-id"] == "mine-1"
    assert (await client.get("/v1/me", headers={"X-Request-Id": "a b\t<"})).headers["x-request-id"].startswith("req_")
    assert (await client.get("/v1/me")).headers["x-ratelimit-limit"]


@pytest.mark.parametrize("path", ["/v1/me", "/me", "/api/v1/me", "/v1/me/", "/v1/account"])
async def test_a_path_works_with_and_without_its_prefix(opened: Open, path: str) -> None:
    assert (await opened.client().get(path)).json()["key"]["name"] == "admin-key"


async def test_head_answers_as_get_without_a_body(opened: Open) -> None:
    answer = await opened.client().head("/v1/me")

    assert answer.status_code == 200
    assert answer.content == b""


@pytest.mark.parametrize(
    "call", [("GET", "/v1/buckets"), ("POST", "/v1/buckets/list"), ("POST", "/v1/collections/list")]
)
async def test_a_list_in_an_unknown_namespace_is_empty_and_says_why(opened: Open, call: tuple[str, str]) -> None:
    answer = await opened.client(**{"X-Namespace": "nobody"}).request(*call)

    assert answer.status_code == 200
    assert answer.headers["x-namespace-unresolved"] == "nobody"
    body = answer.json()
    assert (body["results"], body["total_count"]) == ([], 0)
    assert body["warnings"][0] | {"next_step": ""} == {
        "resource": "namespace",
        "reason": "unresolved",
        "next_step": "",
    }
