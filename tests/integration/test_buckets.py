"""Buckets over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import BucketResponse, ListBucketsResponse
from tests.integration.ingest import House, build

from prismhouse.storage.postgres.database import Database

TEXT = {"content": {"type": "text"}}


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs")


async def test_a_bucket_is_answered_in_the_contracts_shape_when_created(house: House) -> None:
    body = {
        "bucket_name": "products",
        "description": "What we sell",
        "bucket_schema": {"properties": {"sku": {"type": "STRING", "required": True}, "photo": {"type": "IMAGE"}}},
        "metadata": {"team": "shop"},
    }

    answer = await house.client.post("/v1/buckets", json=body)

    assert answer.status_code == 200
    parsed = BucketResponse.from_dict(answer.json())
    assert parsed.bucket_id.startswith("bkt_")
    assert (parsed.object_count, parsed.failed_object_count, parsed.total_size_bytes) == (0, 0, 0)
    assert parsed.status == "ACTIVE"
    assert answer.json()["bucket_schema"]["properties"]["photo"] == {"type": "image"}
    assert set(answer.json()) == set(BucketResponse.model_fields)


async def test_schema_is_understood_for_bucket_schema(house: House) -> None:
    answer = await house.client.post("/v1/buckets", json={"bucket_name": "a", "schema": {"properties": TEXT}})

    assert answer.json()["bucket_schema"] == {"properties": TEXT}


@pytest.mark.parametrize("name", ["json", "binary", "document", "url", "excel", "datetime", "object", "Video"])
async def test_every_documented_type_is_accepted(house: House, name: str) -> None:
    assert await house.bucket({"field": {"type": name}})


async def test_the_valid_types_are_named_when_a_type_is_unknown(house: House) -> None:
    schema = {"properties": {"a": {"type": "keyword"}, "b": {"type": "array", "items": {"type": "imge"}}}}

    answer = await house.client.post("/v1/buckets", json={"bucket_name": "a", "bucket_schema": schema})

    assert answer.status_code == 422
    faults = answer.json()["error"]["details"]["validation_errors"]
    assert [fault["location"] for fault in faults] == [
        ["body", "bucket_schema", "properties", "a", "type"],
        ["body", "bucket_schema", "properties", "b", "items", "type"],
    ]
    assert "Did you mean image?" in faults[1]["message"]
    assert "pdf" in faults[0]["message"]


async def test_a_second_bucket_of_the_name_is_refused_when_one_exists(house: House) -> None:
    body = {"bucket_name": "one", "bucket_schema": {"properties": TEXT}}
    await house.client.post("/v1/buckets", json=body)

    answer = await house.client.post("/v1/buckets", json=body)

    assert answer.status_code == 409
    assert answer.json()["error"]["type"] == "AlreadyExistsError"
    assert (await house.stranger.post("/v1/buckets", json=body)).status_code == 200


async def test_unknown_keys_are_refused_naming_the_accepted_ones(house: House) -> None:
    body = {"bucket_name": "one", "bucket_schema": {"properties": TEXT}, "auto_submit": True}

    answer = await house.client.post("/v1/buckets", json=body)

    assert answer.status_code == 422
    fault = answer.json()["error"]["details"]["validation_errors"][0]
    assert fault["type"] == "extra_forbidden"
    assert "bucket_name" in fault["message"]


async def test_nul_is_refused_when_in_any_text(house: House) -> None:
    body = {"bucket_name": "one", "bucket_schema": {"properties": TEXT}, "metadata": {"a": ["x\x00"]}}

    answer = await house.client.post("/v1/buckets", json=body)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["validation_errors"][0]["location"] == ["body", "metadata", "a", 0]


async def test_buckets_are_found_by_id_and_name_and_foreign_ones_never(house: House) -> None:
    bucket = await house.bucket(TEXT)
    name = (await house.client.get(f"/v1/buckets/{bucket}")).json()["bucket_name"]

    assert (await house.client.get(f"/v1/buckets/{name}")).json()["bucket_id"] == bucket
    foreign, absent = await house.stranger.get(f"/v1/buckets/{bucket}"), await house.client.get("/v1/buckets/bkt_0")
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.json()["error"]["type"] == absent.json()["error"]["type"] == "NotFoundError"


async def test_lists_page_through_all_buckets(house: House) -> None:
    ids = [await house.bucket(TEXT) for _ in range(5)]

    seen: list[str] = []
    cursor = None
    while True:
        body: dict[str, Any] = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        answer = (await house.client.post("/v1/buckets/list", json=body)).json()
        assert ListBucketsResponse.from_dict(answer).total_count == 5
        seen += [item["bucket_id"] for item in answer["results"]]
        cursor = answer["pagination"]["next_cursor"]
        if cursor is None:
            break

    assert sorted(seen) == sorted(ids)
    assert len((await house.client.post("/v1/buckets/list")).json()["results"]) == 5
    assert len((await house.client.get("/v1/buckets", params={"page_size": 3})).json()["results"]) == 3
    assert (await house.stranger.get("/v1/buckets")).json()["results"] == []


async def test_a_list_is_searched_sorted_and_refuses_unknown_sorts(house: House) -> None:
    for name in ("beta_1", "alpha", "beta%2"):
        await house.client.post("/v1/buckets", json={"bucket_name": name, "bucket_schema": {"properties": TEXT}})

    body = {"search": "BETA", "sort": {"field": "bucket_name", "direction": "desc"}}
    found = (await house.client.post("/v1/buckets/list", json=body)).json()["results"]
    literal = (await house.client.post("/v1/buckets/list", json={"search": "a%2"})).json()["results"]
    wrong = await house.client.post("/v1/buckets/list", json={"sort": {"field": "colour"}})

    assert sorted(item["bucket_name"] for item in found) == ["beta%2", "beta_1"]
    assert [item["bucket_name"] for item in literal] == ["beta%2"]
    assert wrong.status_code == 422


@pytest.mark.parametrize("verb", ["patch", "put"])
async def test_only_given_keys_change_when_updated(house: House, verb: str) -> None:
    bucket = await house.bucket(TEXT, description="old", metadata={"a": 1})

    answer = await getattr(house.client, verb)(f"/v1/buckets/{bucket}", json={"description": "new"})

    assert (answer.json()["description"], answer.json()["metadata"]) == ("new", {"a": 1})


@pytest.mark.parametrize(
    "properties",
    [{}, {"content": {"type": "image"}}, {**TEXT, "sku": {"type": "string", "required": True}}],
)
async def test_a_breaking_schema_change_needs_force(house: House, properties: dict[str, Any]) -> None:
    bucket = await house.bucket(TEXT)
    body = {"bucket_schema": {"properties": properties}}

    refused = await house.client.patch(f"/v1/buckets/{bucket}", json=body)
    forced = await house.client.patch(f"/v1/buckets/{bucket}", json=body, params={"force_schema_break": True})

    assert (refused.status_code, forced.status_code) == (422, 200)
    assert forced.json()["bucket_schema"]["properties"] == properties


async def test_an_optional_field_is_added_freely(house: House) -> None:
    bucket = await house.bucket(TEXT)

    body = {"bucket_schema": {"properties": {**TEXT, "sku": {"type": "string"}}}}
    assert (await house.client.patch(f"/v1/buckets/{bucket}", json=body)).status_code == 200


async def test_a_unique_key_needs_scalar_fields_of_the_schema(house: House) -> None:
    async def create(fields: list[str]) -> int:
        body = {
            "bucket_name": "-".join(fields),
            "bucket_schema": {"properties": {**TEXT, "sku": {"type": "string"}}},
            "unique_key": {"fields": fields},
        }
        return (await house.client.post("/v1/buckets", json=body)).status_code

    assert [await create(["sku"]), await create(["content"]), await create(["nope"])] == [200, 422, 422]


async def test_a_unique_keys_fields_are_fixed_and_its_policy_is_not(house: House) -> None:
    bucket = await house.bucket({"sku": {"type": "string"}, "b": {"type": "string"}}, unique_key={"fields": ["sku"]})
    plain = await house.bucket(TEXT)

    async def change(target: str, key: dict[str, Any]) -> int:
        return (await house.client.patch(f"/v1/buckets/{target}", json={"unique_key": key})).status_code

    assert await change(bucket, {"fields": ["sku"], "default_policy": "upsert"}) == 200
    assert await change(bucket, {"fields": ["b"]}) == 422
    assert await change(plain, {"fields": ["content"]}) == 422


async def test_a_deleted_bucket_takes_nothing_and_goes_with_its_files_when_the_job_ran(house: House) -> None:
    bucket = await house.bucket({"file": {"type": "binary"}})
    blob = {"property": "file", "type": "binary", "data": {"base64": "AAEC"}}
    await house.object(bucket, {"blobs": [blob]})

    receipt = (await house.client.delete(f"/v1/buckets/{bucket}")).json()
    again = (await house.client.delete(f"/v1/buckets/{bucket}")).json()
    state = (await house.client.get(f"/v1/buckets/{bucket}")).json()
    refused = await house.client.post(f"/v1/buckets/{bucket}/objects", json={"blobs": [blob]})
    jobs = [*house.queue.jobs]
    await house.queue.run_all()

    assert (receipt["status"], receipt["object_count"], receipt["bucket_id"]) == ("PENDING", 1, bucket)
    assert again["task_id"] == receipt["task_id"]
    assert state["status"] == "IN_PROGRESS"
    assert refused.status_code == 400
    assert (await house.client.get(f"/v1/buckets/{bucket}")).status_code == 404
    assert house.tasks.rows[receipt["task_id"]]["status"] == "COMPLETED"
    assert house.files() == []
    for name, arguments in jobs:  # a job that is run again after its end changes nothing
        await house.queue.handlers[name](**arguments)


async def test_secrets_of_a_source_adapter_are_never_shown(house: House) -> None:
    secrets = {"webhook_secret": "s3cret", "connection": {"password": "s3cret"}, "access_token": "s3cret"}
    bucket = await house.bucket(TEXT, source_adapter={"adapter_type": "mux", **secrets})

    answer = await house.client.get(f"/v1/buckets/{bucket}")

    assert answer.json()["source_adapter"] == {"adapter_type": "mux"}
    assert "s3cret" not in answer.text


async def test_a_bucket_says_so_when_it_keeps_what_has_no_effect(house: House) -> None:
    bucket = await house.bucket(TEXT, storage_class="archive", destination={"connection_id": "con_1"})

    answer = (await house.client.get(f"/v1/buckets/{bucket}")).json()
    plain = (await house.client.get(f"/v1/buckets/{await house.bucket(TEXT)}")).json()

    assert answer["storage_class"] == "archive"
    assert [text.split()[0] for text in answer["warnings"]] == ["storage_class", "destination"]
    assert "warnings" not in plain


async def test_a_deletion_starts_anew_when_its_job_gave_up(house: House) -> None:
    bucket = await house.bucket(TEXT)
    first = (await house.client.delete(f"/v1/buckets/{bucket}")).json()["task_id"]
    (name, arguments), *_ = house.queue.jobs
    house.queue.jobs.clear()

    await house.queue.on_give_up[name](OSError("no space left"), **arguments)
    second = (await house.client.delete(f"/v1/buckets/{bucket}")).json()["task_id"]
    await house.queue.run_all()

    assert house.tasks.rows[first]["status"] == "FAILED"
    assert "no space left" in house.tasks.rows[first]["error"]
    assert second != first
    assert house.tasks.rows[second]["status"] == "COMPLETED"
    assert (await house.client.get(f"/v1/buckets/{bucket}")).status_code == 404


async def test_changes_and_deletions_at_the_same_moment_lose_nothing(house: House) -> None:
    bucket = await house.bucket(TEXT)
    path = f"/v1/buckets/{bucket}"
    changes = [{"storage_class": "archive"}, {"source_adapter": {"adapter_type": "mux"}}] * 4

    await asyncio.gather(*(house.client.patch(path, json=change) for change in changes))
    changed = (await house.client.get(path)).json()
    deletions = await asyncio.gather(*(house.client.delete(path) for _ in range(8)))

    assert changed["storage_class"] == "archive"
    assert changed["source_adapter"]["adapter_type"] == "mux"
    assert len({answer.json()["task_id"] for answer in deletions}) == 1
    assert len(house.queue.jobs) == 1
