"""Objects over HTTP: creation, what is refused, and what is stored."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import CreateObjectsBatchResponse, ListObjectsResponse, ObjectResponse
from tests.integration.ingest import House, build

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.postgres.database import Database

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG_64 = base64.b64encode(PNG).decode()
SCHEMA: dict[str, Any] = {
    "content": {"type": "text"},
    "photo": {"type": "image"},
    "paper": {"type": "pdf"},
    "raw": {"type": "binary"},
    "facts": {"type": "json"},
    "price": {"type": "number"},
    "sku": {"type": "string"},
    "color": {"type": "string", "enum": ["red", "blue"]},
    "made": {"type": "date"},
    "seen": {"type": "datetime"},
    "link": {"type": "url"},
    "count": {"type": "integer"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "maker": {"type": "object", "properties": {"name": {"type": "string", "required": True}}},
}


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs", inline_blob_bytes=200_000)


@pytest.fixture
async def bucket(house: House) -> str:
    return await house.bucket(SCHEMA)


def text(value: Any, **more: Any) -> dict[str, Any]:
    return {"property": "content", "type": "text", "data": value, **more}


async def fault(house: House, bucket: str, body: dict[str, Any], **query: Any) -> dict[str, Any]:
    """Return the first validation error of a refused object."""
    answer = await house.client.post(f"/v1/buckets/{bucket}/objects", json=body, params=query)
    assert answer.status_code == 422, answer.text
    first = answer.json()["error"]["details"]["validation_errors"][0]
    return {"at": ".".join(str(part) for part in first["location"]), "message": first["message"]}


async def test_an_object_is_answered_in_the_contracts_shape_when_created(house: House, bucket: str) -> None:
    body = {"key_prefix": "/products", "blobs": [text("Wireless headphones")], "sku": "A1", "free": {"x": [1]}}

    answer = await house.object(bucket, body)

    parsed = ObjectResponse.from_dict(answer)
    assert (parsed.status, parsed.bucket_id, parsed.key_prefix) == ("PENDING", bucket, "/products")
    assert parsed.additional_properties == {"sku": "A1", "free": {"x": [1]}}
    assert parsed.blobs[0].details.size_bytes == 19
    assert parsed.blobs[0].details.hash == "sha256:" + hashlib.sha256(b"Wireless headphones").hexdigest()
    assert parsed.blobs[0].details.mime_type == "text/plain"
    assert parsed.consistency.retriever_visible == "after_processing"
    assert parsed.source_details[0].source_id == bucket
    assert await house.event_types() == ["object.created"]


async def test_a_root_field_may_have_the_name_of_a_blob_property(house: House, bucket: str) -> None:
    answer = await house.object(bucket, {"content": "hello", "blobs": [text("hello")]})

    assert (answer["content"], answer["blobs"][0]["property"]) == ("hello", "content")


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (text("plain"), b"plain"),
        (text({"text": "wrapped"}), b"wrapped"),
        (
            {"property": "content", "type": "TEXT", "content": "https://not-fetched.example"},
            b"https://not-fetched.example",
        ),
        (text(base64.b64encode(b"looks encoded").decode()), base64.b64encode(b"looks encoded")),
        (text("data:text/plain;base64,aGk="), b"hi"),
        (text("data: not a URI, just text"), b"data: not a URI, just text"),
        (text({"base64": "aGk=", "mime_type": "text/markdown", "filename": "a.md"}), b"hi"),
        ({"property": "photo", "type": "image", "data": {"base64": PNG_64, "mime_type": "image/jpeg"}}, PNG),
        ({"property": "photo", "type": "image", "data": f"data:image/png;base64,{PNG_64}"}, PNG),
        ({"property": "facts", "type": "json", "data": {"a": [1, None]}}, b'{"a":[1,null]}'),
        ({"property": "facts", "type": "json", "content": [1, 2]}, b"[1,2]"),
        ({"property": "raw", "type": "binary", "data": {"base64": "AAECAw=="}}, b"\x00\x01\x02\x03"),
    ],
)
async def test_every_inline_form_is_stored_as_sent(
    house: House, bucket: str, blob: dict[str, Any], expected: bytes
) -> None:
    created = await house.object(bucket, {"blobs": [blob]})

    details = created["blobs"][0]["details"]
    assert details["hash"] == f"sha256:{hashlib.sha256(expected).hexdigest()}"
    async with house.db.read() as tx:
        stored = await house.objects.load(tx.within(NamespaceId("ns_one")), [created["object_id"]])
    kept = stored[created["object_id"]].blobs[0]
    data = kept.text.encode() if kept.text is not None else await house.blobs.read(NamespaceId("ns_one"), kept.sha256)
    assert data == expected


async def test_what_bytes_are_decides_the_media_type_when_the_sender_is_wrong(house: House, bucket: str) -> None:
    blob = {"property": "photo", "type": "image", "data": {"base64": PNG_64, "mime_type": "image/jpeg"}}

    created = await house.object(bucket, {"blobs": [blob]})

    assert created["blobs"][0]["details"]["mime_type"] == "image/png"


async def test_a_damaged_image_is_accepted_when_nothing_proves_another_kind(house: House, bucket: str) -> None:
    for data in (PNG[:20], b"\x00\x01garbage"):
        blob = {"property": "photo", "type": "image", "data": {"base64": base64.b64encode(data).decode()}}
        assert (await house.object(bucket, {"blobs": [blob]}))["status"] == "PENDING"


@pytest.mark.parametrize(
    ("body", "at", "says"),
    [
        ({"blobs": [text("a", type="image")]}, "body.blobs.0.type", "of type text"),
        ({"blobs": [text("a", property="nope")]}, "body.blobs.0.property", "photo (image)"),
        ({"blobs": [text("a", property="sku", type="string")]}, "body.blobs.0.property", "not a file field"),
        ({"blobs": [text("a", url="https://x.example")]}, "body.blobs.0", "data and url"),
        ({"blobs": [{"property": "content", "type": "text"}]}, "body.blobs.0", "none is given"),
        ({"blobs": [text(None, upload_id="upl_1")]}, "body.blobs.0.upload_id", "takes no uploads"),
        ({"blobs": [text(None, upload_id="x")]}, "body.blobs.0.upload_id", "pattern"),
        ({"blobs": [text(7)]}, "body.blobs.0.data", "Must be text"),
        ({"blobs": [{"property": "photo", "type": "image", "data": PNG_64}]}, "body.blobs.0.data", "data URI"),
        ({"blobs": [{"property": "photo", "type": "image", "content": "x"}]}, "body.blobs.0.content", "data URI"),
        (
            {"blobs": [{"property": "photo", "type": "image", "data": {"base64": "?"}}]},
            "body.blobs.0.data.base64",
            "base64",
        ),
        ({"blobs": [{"property": "photo", "type": "image", "data": {"base64": ""}}]}, "body.blobs.0.data", "empty"),
        (
            {"blobs": [{"property": "paper", "type": "pdf", "data": {"base64": PNG_64}}]},
            "body.blobs.0",
            "expected PDF, got PNG",
        ),
        ({"blobs": [text({"base64": PNG_64})]}, "body.blobs.0", "expected text, got PNG"),
        ({"blobs": [text({"base64": "AAA="})]}, "body.blobs.0", "ext"),
        ({"blobs": [{"property": "facts", "type": "json", "data": "{"}]}, "body.blobs.0.data", "Not valid JSON"),
        ({"blobs": [text("s3://bucket/key")]}, "body.blobs.0.data", "s3:// addresses are not fetched"),
        ({"blobs": [text("file:///etc/passwd")]}, "body.blobs.0.data", "not fetched"),
        ({"blobs": [text("a", checksum="md5:1")]}, "body.blobs.0.checksum", "64 hex digits"),
        ({"blobs": [text("a", checksum="0" * 64)]}, "body.blobs.0.checksum", "not the one"),
        ({"blobs": [text("a", colour="red")]}, "body.blobs.0.colour", "Extra"),
        ({"blobs": [text("x" * 200_001)]}, "body.blobs.0.data", "at most 200000"),
        ({"blobs": [text("a", property="")]}, "body.blobs.0.property", "at least 1"),
        ({"price": "7"}, "body.price", "Must be a number"),
        ({"price": True}, "body.price", "Must be a number"),
        ({"count": 1.5}, "body.count", "Must be an integer"),
        ({"color": "green"}, "body.color", "red, blue"),
        ({"made": "31.1.2026"}, "body.made", "date"),
        ({"seen": "yesterday"}, "body.seen", "ISO 8601"),
        ({"link": "not a link"}, "body.link", "URL"),
        ({"tags": ["a", 2]}, "body.tags.1", "Must be a string"),
        ({"maker": {"name": 1}}, "body.maker.name", "Must be a string"),
        ({"maker": {}}, "body.maker.name", "Required"),
        ({"photo": "https://x.example/a.png"}, "body.photo", "send it in blobs"),
        ({"object_id": "obj_1"}, "body.object_id", "reserved"),
        ({"auto_process": True}, "body.auto_process", "query parameter"),
        ({"sku": "a\x00b"}, "body.sku", "U+0000"),
        ({"blobs": [text("a\x00b")]}, "body.blobs.0.data", "U+0000"),
        ({"free": 2**70}, "body.free", "64 bits"),
        ({"idempotency_key": "k" * 256}, "body.idempotency_key", "255"),
        ({"edges": [{"type": "near"}]}, "body.edges.0.target_object_id", "required"),
        ({"blobs": {}}, "body.blobs", "list"),
    ],
)
async def test_a_fault_is_named_with_its_place(
    house: House, bucket: str, body: dict[str, Any], at: str, says: str
) -> None:
    found = await fault(house, bucket, body)

    assert found["at"] == at
    assert says in found["message"]
    assert house.files() == []


async def test_a_required_field_may_come_as_field_metadata_or_blob(house: House) -> None:
    bucket = await house.bucket(
        {"content": {"type": "text", "required": True}, "n": {"type": "integer", "required": True}}
    )

    assert (await fault(house, bucket, {"n": 1}))["at"] == "body.content"
    assert (await fault(house, bucket, {"blobs": [text("a")]}))["at"] == "body.n"
    assert await house.object(bucket, {"blobs": [text("a")], "n": 1})
    assert (await house.object(bucket, {"content": "a", "metadata": {"n": 2}}))["n"] == 2


async def test_defaults_are_filled_in_and_blob_metadata_is_promoted(house: House) -> None:
    bucket = await house.bucket({"content": {"type": "text"}, "lang": {"type": "string", "default": "en"}})
    blobs = [text("a", metadata={"page": 1, "who": "first", "status": "x"}), text("b", metadata={"who": "second"})]

    created = await house.object(bucket, {"blobs": blobs, "page": 9})

    assert (created["lang"], created["page"], created["who"], created["status"]) == ("en", 9, "first", "PENDING")


async def test_nested_metadata_stays_nested_and_declared_names_are_fields_too(house: House, bucket: str) -> None:
    created = await house.object(bucket, {"blobs": [text("a")], "metadata": {"sku": "S", "other": 1}})

    assert created["metadata"] == {"sku": "S", "other": 1}
    assert created["sku"] == "S"
    assert "other" not in created


async def test_an_idempotency_key_gives_the_first_object_again(house: House, bucket: str) -> None:
    first = await house.object(bucket, {"blobs": [text("a")], "idempotency_key": "k"})

    again = await house.object(bucket, {"blobs": [text("other")], "idempotency_key": "k", "sku": "S"})

    assert again["object_id"] == first["object_id"]
    assert "sku" not in again
    assert (await house.client.get(f"/v1/buckets/{bucket}")).json()["object_count"] == 1


async def test_one_object_comes_of_many_requests_with_a_key_at_the_same_time(house: House, bucket: str) -> None:
    answers = await asyncio.gather(
        *(house.object(bucket, {"blobs": [text(f"t{i}")], "idempotency_key": "k"}) for i in range(8)),
        *(house.object(bucket, {"blobs": [text("same")], "skip_duplicates": True}) for i in range(8)),
    )

    assert len({answer["object_id"] for answer in answers}) == 2
    assert (await house.client.get(f"/v1/buckets/{bucket}")).json()["object_count"] == 2


async def test_duplicates_are_kept_unless_they_are_to_be_skipped(house: House, bucket: str) -> None:
    first = await house.object(bucket, {"blobs": [text("a")]})
    second = await house.object(bucket, {"blobs": [text("a")]})
    third = await house.object(bucket, {"blobs": [text("a")], "skip_duplicates": True})

    assert first["object_id"] != second["object_id"]
    assert third["object_id"] == first["object_id"]


async def test_unique_keys_follow_the_policy(house: House) -> None:
    bucket = await house.bucket({**SCHEMA, "n": {"type": "integer"}}, unique_key={"fields": ["sku"]})
    path = f"/v1/buckets/{bucket}/objects"

    async def post(policy: str | None, **fields: Any) -> tuple[int, Any]:
        answer = await house.client.post(path, json=fields, params={"policy": policy} if policy else {})
        return answer.status_code, answer.json()

    assert (await post(None, sku="A"))[0] == 400
    assert (await post("insert"))[0] == 422
    assert (await post("update", sku="A"))[0] == 404
    status, created = await post("insert", sku="A", n=1, blobs=[text("one")])
    assert status == 200
    assert (await post("insert", sku="A"))[0] == 409
    status, updated = await post("upsert", sku="A", count=2, blobs=[text("two, longer")])
    assert (status, updated["object_id"]) == (200, created["object_id"])
    assert (updated["n"], updated["count"], len(updated["blobs"])) == (1, 2, 1)
    assert (await post("upsert", sku="x" * 256))[0] == 422
    assert (await house.client.post(f"{path}/batch", json={"objects": [{"sku": "B"}]})).status_code == 422
    assert (await house.client.get(f"/v1/buckets/{bucket}")).json()["total_size_bytes"] == len("two, longer")


async def test_one_object_comes_of_many_upserts_at_the_same_time(house: House) -> None:
    bucket = await house.bucket(SCHEMA, unique_key={"fields": ["sku"], "default_policy": "upsert"})

    answers = await asyncio.gather(*(house.object(bucket, {"sku": "A", "count": i}) for i in range(8)))

    assert len({answer["object_id"] for answer in answers}) == 1
    assert (await house.client.get(f"/v1/buckets/{bucket}")).json()["object_count"] == 1


async def test_a_batch_reports_each_object_when_some_fail(house: House, bucket: str) -> None:
    objects: list[Any] = [
        {"blobs": [text("a")]},
        {"blobs": [text("a", property="nope")]},
        {"blobs": [text("b")], "idempotency_key": "k"},
        {"blobs": [text("c")], "idempotency_key": "k"},
        {"blobs": [text("a")], "skip_duplicates": True},
        {"price": "x"},
        {"blobs": [{"property": "photo", "type": "image", "url": "http://127.0.0.1/a.png"}]},
    ]

    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/batch", json={"objects": objects})

    assert answer.status_code == 200
    parsed = CreateObjectsBatchResponse.from_dict(answer.json())
    assert (parsed.total_requested, parsed.succeeded_count, parsed.failed_count) == (7, 4, 3)
    assert [(item.object_index, item.replayed, item.replayed_by) for item in parsed.succeeded] == [
        (0, False, None),
        (2, False, None),
        (3, True, "idempotency_key"),
        (4, True, "skip_duplicates"),
    ]
    assert [(item.object_index, item.error_type) for item in parsed.failed] == [
        (1, "ValidationError"),
        (5, "ValidationError"),
        (6, "URLValidationError"),
    ]
    assert "objects.1.blobs.0.property" in parsed.failed[0].error
    assert parsed.succeeded[3].object_id == parsed.succeeded[0].object_id
    assert await house.event_types() == ["objects.created.batch"]


async def test_a_batch_answers_422_with_the_same_body_when_all_fail(house: House, bucket: str) -> None:
    path = f"/v1/buckets/{bucket}/objects/batch"

    answer = await house.client.post(path, json={"objects": [{"price": "x"}]})

    assert answer.status_code == 422
    assert answer.json()["failed"][0]["object_index"] == 0
    for count in (0, 101):
        assert (await house.client.post(path, json={"objects": [{}] * count})).status_code == 422


async def test_counts_are_exact_through_every_change(house: House, bucket: str) -> None:
    created = [await house.object(bucket, {"blobs": [text("12345")]}) for _ in range(3)]
    ids = [item["object_id"] for item in created]

    async def counts() -> tuple[int, int, int]:
        answer = (await house.client.get(f"/v1/buckets/{bucket}")).json()
        return answer["object_count"], answer["failed_object_count"], answer["total_size_bytes"]

    assert await counts() == (3, 0, 15)
    async with house.db.write() as tx:
        scoped = tx.within(NamespaceId("ns_one"))
        await house.objects.mark(scoped, {ids[0]: ("FAILED", "broken"), ids[1]: ("COMPLETED", None)})
    assert await counts() == (3, 1, 15)
    failed = (await house.client.get(f"/v1/buckets/{bucket}/objects/{ids[0]}")).json()
    assert (failed["status"], failed["error"]) == ("FAILED", "broken")
    async with house.db.write() as tx:
        await house.objects.mark(
            tx.within(NamespaceId("ns_one")), {ids[0]: ("FAILED", "again"), "obj_0": ("FAILED", "")}
        )
    assert await counts() == (3, 1, 15)
    assert (await house.client.delete(f"/v1/buckets/{bucket}/objects/{ids[0]}")).status_code == 204
    assert await counts() == (2, 0, 10)


async def test_nouns_above_select_and_miss_ids(house: House, bucket: str) -> None:
    other = await house.bucket(SCHEMA)
    ids = [(await house.object(bucket, {"sku": sku}))["object_id"] for sku in "aab"]
    foreign = (await house.object(other, {"sku": "a"}))["object_id"]

    async with house.db.read() as tx:
        scoped = tx.within(NamespaceId("ns_one"))
        assert await house.objects.select_ids(scoped, bucket, limit=10) == ids
        assert await house.objects.select_ids(scoped, bucket, filters={"sku": "a"}, limit=10) == ids[:2]
        assert await house.objects.select_ids(scoped, bucket, limit=1) == ids[:1]
        assert await house.objects.missing(scoped, bucket, [ids[0], foreign, "obj_0"]) == [foreign, "obj_0"]
        assert set(await house.objects.load(scoped, [*ids, "obj_0"])) == set(ids)
        assert await house.objects.load(tx.within(NamespaceId("ns_two")), ids) == {}


async def test_lists_page_by_cursor_in_order_of_creation_and_by_any_field(house: House, bucket: str) -> None:
    prices = [5, 1, None, 3, 3, 2.5]
    ids = [(await house.object(bucket, {} if price is None else {"price": price}))["object_id"] for price in prices]

    async def walk(**body: Any) -> list[str]:
        seen, cursor = list[str](), None
        while True:
            keys = {"page_size": 2, **body} | ({} if cursor is None else {"cursor": cursor})
            answer = await house.client.post(f"/v1/buckets/{bucket}/objects/list", json=keys)
            assert ListObjectsResponse.from_dict(answer.json())
            seen += [item["object_id"] for item in answer.json()["results"]]
            cursor = answer.json()["pagination"]["next_cursor"]
            if cursor is None:
                return seen

    assert await walk() == ids
    ascending = await walk(sort={"field": "price"})
    assert ascending == [ids[2], ids[1], ids[5], ids[3], ids[4], ids[0]]
    assert await walk(sort={"field": "price", "direction": "desc"}) == ascending[::-1]
    assert await walk(sort={"field": "created_at", "direction": "desc"}) == ids[::-1]
    total = await house.client.get(f"/v1/buckets/{bucket}/objects", params={"include_total": "true", "limit": 1})
    assert total.json()["pagination"]["total"] == 6
    cursor = total.json()["pagination"]["next_cursor"]
    mixed = {"cursor": cursor, "sort": {"field": "price"}}
    assert (await house.client.post(f"/v1/buckets/{bucket}/objects/list", json=mixed)).status_code == 400


@pytest.mark.parametrize("operation", ["list", "aggregate"])
async def test_a_pattern_that_the_database_does_not_know_is_named(house: House, bucket: str, operation: str) -> None:
    await house.object(bucket, {"sku": "red"})
    body: dict[str, Any] = {"filters": {"field": "sku", "operator": "regex", "value": "(?P<n>a)"}}
    if operation == "aggregate":
        body["aggregations"] = [{"function": "count", "alias": "n"}]

    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/{operation}", json=body)

    assert answer.status_code == 422, answer.text
    assert "sku regex (?P<n>a)" in answer.json()["error"]["message"]


async def test_lists_are_searched_and_reduced_to_what_is_selected(house: House, bucket: str) -> None:
    kept = await house.object(bucket, {"sku": "Blue_Shoe", "maker": {"name": "x", "at": "y"}, "key_prefix": "/a"})
    await house.object(bucket, {"sku": "red"})

    async def find(**body: Any) -> list[dict[str, Any]]:
        answer = await house.client.post(f"/v1/buckets/{bucket}/objects/list", json=body)
        return list(answer.json()["results"])

    assert [item["object_id"] for item in await find(search="blue_s")] == [kept["object_id"]]
    assert [item["object_id"] for item in await find(search="/a")] == [kept["object_id"]]
    assert await find(search="blueXs") == []
    assert await find(search="/a", select=["maker.name", "nope.x"]) == [
        {"object_id": kept["object_id"], "bucket_id": bucket, "maker": {"name": "x"}}
    ]


@pytest.mark.parametrize("verb", ["patch", "put"])
async def test_only_given_fields_change_when_updated(house: House, bucket: str, verb: str) -> None:
    created = await house.object(bucket, {"blobs": [text("a")], "sku": "A", "price": 1})
    path = f"/v1/buckets/{bucket}/objects/{created['object_id']}"

    answer = await getattr(house.client, verb)(path, json={"price": 2, "fresh": [1], "key_prefix": "/b"})

    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["sku"], changed["price"], changed["fresh"], changed["key_prefix"]) == ("A", 2, [1], "/b")
    assert changed["blobs"] == created["blobs"]
    for wrong in ({"status": "COMPLETED"}, {"blobs": []}, {"price": "x"}, {"sku": "\x00"}):
        assert (await getattr(house.client, verb)(path, json=wrong)).status_code == 422
    assert await house.event_types() == ["object.created", "object.updated"]


async def test_metadata_of_a_put_goes_where_the_object_keeps_its_own(house: House, bucket: str) -> None:
    flat = await house.object(bucket, {"sku": "A"})
    nested = await house.object(bucket, {"metadata": {"a": 1}})

    async def put(item: dict[str, Any]) -> dict[str, Any]:
        path = f"/v1/buckets/{bucket}/objects/{item['object_id']}"
        return dict((await house.client.put(path, json={"metadata": {"b": 2}})).json())

    assert (await put(flat))["b"] == 2
    assert (await put(nested))["metadata"] == {"a": 1, "b": 2}
    patched = await house.client.patch(f"/v1/buckets/{bucket}/objects/{flat['object_id']}", json={"metadata": {}})
    assert patched.status_code == 422


async def test_bytes_go_with_the_last_object_that_has_them(house: House, bucket: str) -> None:
    blob = {"property": "raw", "type": "binary", "data": {"base64": "AAECAw=="}}
    first, second = [await house.object(bucket, {"blobs": [blob]}) for _ in range(2)]
    assert len(house.files()) == 1

    await house.client.delete(f"/v1/buckets/{bucket}/objects/{first['object_id']}")
    assert len(house.files()) == 1
    await house.client.delete(f"/v1/buckets/{bucket}/objects/{second['object_id']}")

    assert house.files() == []
    gone = await house.client.get(f"/v1/buckets/{bucket}/objects/{second['object_id']}")
    assert gone.status_code == 404
    assert (await house.client.delete(f"/v1/buckets/{bucket}/objects/{second['object_id']}")).status_code == 404
    assert (await house.event_types())[-1] == "object.deleted"


async def test_hidden_objects_leave_lists_and_counts(house: House, bucket: str) -> None:
    ids = [(await house.object(bucket, {"sku": sku}))["object_id"] for sku in "ab"]
    body = {"object_ids": [ids[0], "obj_0"], "reason": "wrong"}

    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/bulk-soft-delete", json=body)

    assert answer.json() == {"soft_deleted": 1, "requested": 2, "collections": 0}
    listed = (await house.client.get(f"/v1/buckets/{bucket}/objects")).json()["results"]
    assert [item["object_id"] for item in listed] == [ids[1]]
    assert (await house.client.get(f"/v1/buckets/{bucket}/objects/{ids[0]}")).status_code == 404
    assert (await house.client.get(f"/v1/buckets/{bucket}")).json()["object_count"] == 1
    async with house.db.read() as tx:
        assert await house.objects.missing(tx.within(NamespaceId("ns_one")), bucket, ids) == [ids[0]]


async def test_another_tenants_objects_are_not_there(house: House, bucket: str) -> None:
    created = await house.object(bucket, {"blobs": [text("a")]})
    path = f"/v1/buckets/{bucket}/objects"
    stranger = house.stranger

    answers = [
        await stranger.get(path),
        await stranger.post(path, json={}),
        await stranger.post(f"{path}/batch", json={"objects": [{}]}),
        await stranger.post(f"{path}/list", json={}),
        await stranger.post(f"{path}/bulk-soft-delete", json={"object_ids": ["a"], "reason": "b"}),
        await stranger.get(f"{path}/{created['object_id']}"),
        await stranger.patch(f"{path}/{created['object_id']}", json={"a": 1}),
        await stranger.put(f"{path}/{created['object_id']}", json={"a": 1}),
        await stranger.delete(f"{path}/{created['object_id']}"),
    ]

    assert {answer.status_code for answer in answers} == {404}


async def test_long_text_lies_in_the_blob_store(house: House, bucket: str) -> None:
    long = "ä" * 40_000

    created = await house.object(bucket, {"blobs": [text(long)]})

    async with house.db.read() as tx:
        stored = await house.objects.load(tx.within(NamespaceId("ns_one")), [created["object_id"]])
    blob = stored[created["object_id"]].blobs[0]
    assert blob.text is None
    assert (await house.blobs.read(NamespaceId("ns_one"), blob.sha256)).decode() == long


async def test_bytes_are_stored_again_when_a_sweep_took_them_before_the_commit(house: House, bucket: str) -> None:
    blob = {"property": "raw", "type": "binary", "data": {"base64": "AAECAw=="}}
    first = await house.object(bucket, {"blobs": [blob]})

    async def churn() -> None:
        nonlocal first
        for _ in range(15):
            await house.client.delete(f"/v1/buckets/{bucket}/objects/{first['object_id']}")
            first = await house.object(bucket, {"blobs": [blob]})

    await asyncio.gather(churn(), *(house.object(bucket, {"blobs": [blob]}) for _ in range(15)))
    await house.objects.sweep()

    assert len(house.files()) == 1


async def test_processing_at_once_is_refused_when_nothing_can_process(house: House, bucket: str) -> None:
    answer = await house.client.post(
        f"/v1/buckets/{bucket}/objects", json={"blobs": [text("a")]}, params={"auto_process": "true"}
    )

    assert answer.status_code == 501
    assert (await house.client.get(f"/v1/buckets/{bucket}")).json()["object_count"] == 0


async def test_one_object_that_cannot_be_stored_fails_alone(house: House, bucket: str) -> None:
    objects: list[dict[str, Any]] = [{"free": "a\x00"}, {"free": 2**70}, {"free": 1}]

    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/batch", json={"objects": objects})
    infinite = await house.client.post(f"/v1/buckets/{bucket}/objects/batch", content='{"objects": [{"a": NaN}, {}]}')
    deep = await house.client.post(f"/v1/buckets/{bucket}/objects", content='{"a": ' + "[" * 100 + "]" * 100 + "}")

    assert [item["object_index"] for item in answer.json()["failed"]] == [0, 1]
    assert [item["object_index"] for item in infinite.json()["failed"]] == [0]
    assert "Nested deeper" in deep.json()["error"]["message"]
