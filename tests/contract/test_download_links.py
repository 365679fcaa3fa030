"""Links to stored files in the answers of objects: they open without a key, and only to what the key could see."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest
from mixpeek import models
from tests.opened import Open

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {"properties": {"photo": {"type": "image"}, "note": {"type": "text"}}}
LONG = "long " * 20_000


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    client = opened.client()
    made = (await client.post("/v1/namespaces", json={"namespace_name": "linked"})).json()
    client.headers["X-Namespace"] = made["namespace_id"]
    assert (await client.post("/v1/buckets", json={"bucket_name": "b", "bucket_schema": SCHEMA})).status_code == 200
    return client


async def make(client: httpx2.AsyncClient, note: str) -> str:
    photo = {"base64": base64.b64encode(PIXEL).decode(), "mime_type": "image/png", "filename": "pixel.png"}
    blobs = [
        {"property": "photo", "type": "image", "data": photo},
        {"property": "note", "type": "text", "data": note},
    ]
    answer = await client.post("/v1/buckets/b/objects", json={"blobs": blobs})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["object_id"])


def blobs_of(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert models.ObjectResponse.from_dict(content) is not None
    return {blob["property"]: blob for blob in content["blobs"]}


@pytest.mark.parametrize("flag", ["return_presigned_urls", "return_url"])
async def test_an_object_has_links_when_it_is_asked_for_them(
    opened: Open, client: httpx2.AsyncClient, flag: str
) -> None:
    object_id = await make(client, LONG)

    plain = blobs_of((await client.get(f"/v1/buckets/b/objects/{object_id}")).json())
    blobs = blobs_of((await client.get(f"/v1/buckets/b/objects/{object_id}?{flag}=true")).json())

    assert all(blob["presigned_url"] is None for blob in plain.values())
    url = blobs["photo"]["presigned_url"]
    assert url.startswith("http://house/v1/blobs/")
    assert blobs["photo"]["properties"]["presigned_url"] == url
    nobody = opened.client("")
    photo = await nobody.get(url)
    assert (photo.status_code, photo.content) == (200, PIXEL)
    assert photo.headers["content-type"] == "image/png"
    assert photo.headers["content-disposition"] == 'inline; filename="pixel.png"'
    assert (await nobody.get(blobs["note"]["presigned_url"])).text == LONG


async def test_short_text_is_no_file_and_has_no_link(client: httpx2.AsyncClient) -> None:
    object_id = await make(client, "short")

    blobs = blobs_of((await client.get(f"/v1/buckets/b/objects/{object_id}?return_presigned_urls=true")).json())

    assert blobs["note"]["presigned_url"] is None
    assert "presigned_url" not in blobs["note"]["properties"]
    assert blobs["photo"]["presigned_url"]


async def test_lists_have_links_when_they_are_asked_for_them(opened: Open, client: httpx2.AsyncClient) -> None:
    await make(client, "short")

    plain = (await client.post("/v1/buckets/b/objects/list", json={})).json()
    linked = (await client.post("/v1/buckets/b/objects/list", json={"return_presigned_urls": True})).json()

    assert blobs_of(plain["results"][0])["photo"]["presigned_url"] is None
    assert "warnings" not in linked
    url = blobs_of(linked["results"][0])["photo"]["presigned_url"]
    assert (await opened.client("").get(url)).content == PIXEL


async def test_a_link_is_404_when_its_object_was_deleted(opened: Open, client: httpx2.AsyncClient) -> None:
    object_id = await make(client, "short")
    content = (await client.get(f"/v1/buckets/b/objects/{object_id}?return_presigned_urls=true")).json()
    url = blobs_of(content)["photo"]["presigned_url"]

    assert (await client.delete(f"/v1/buckets/b/objects/{object_id}")).status_code == 204

    gone = await opened.client("").get(url)
    assert gone.status_code == 404
    assert gone.json()["error"]["code"] == "NoSuchKey"


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("warehouse.example:8443", "http://warehouse.example:8443"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("evil.example/..?x=", "http://127.0.0.1:8080"),
        ("a b", "http://127.0.0.1:8080"),
        ("x" * 300, "http://127.0.0.1:8080"),
    ],
)
async def test_links_begin_with_the_address_that_the_client_used(
    client: httpx2.AsyncClient, host: str, base: str
) -> None:
    object_id = await make(client, "short")

    content = (
        await client.get(f"/v1/buckets/b/objects/{object_id}?return_presigned_urls=true", headers={"Host": host})
    ).json()

    assert blobs_of(content)["photo"]["presigned_url"].startswith(f"{base}/v1/blobs/file?")
