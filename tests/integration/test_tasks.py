"""Tasks: receipts that are written with the work, listed, filtered and killed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.tenants import Estate, raise_estate

from prismhouse.storage.postgres.database import Database

LIST = "/v1/tasks/list"


@pytest.fixture
async def estate(db: Database) -> AsyncIterator[Estate]:
    made = await raise_estate(db)
    yield made
    await made.close()


async def add(estate: Estate, **values: Any) -> str:
    organization_id = (await estate.client().get("/v1/me")).json()["organization_id"]
    given = {"namespace_id": None, "task_type": "materialize", "inputs": ["one"], "additional_data": {}} | values
    async with estate.db.write() as tx:
        return await estate.tasks.create(tx, organization_id=organization_id, **given)


async def ids(estate: Estate, body: dict[str, Any], **headers: str) -> list[str]:
    answer = await estate.client(**headers).post(LIST, json=body)
    assert answer.status_code == 200, answer.text
    return [one["task_id"] for one in answer.json()["results"]]


async def test_a_task_is_shown_as_it_goes_on(estate: Estate) -> None:
    task_id = await add(estate, additional_data={"batch_id": "btch_1", "queue_position": 2})

    async with estate.db.write() as tx:
        await estate.tasks.update(tx, task_id, status="FAILED", additional_data={"tier": 1}, error="No such file.")

    shown = (await estate.client().get(f"/v1/tasks/{task_id}")).json()
    assert shown["status"] == "FAILED"
    assert shown["error"] == shown["error_message"] == shown["additional_data"]["error"] == "No such file."
    assert shown["additional_data"] | {"error": ""} == {
        "batch_id": "btch_1",
        "queue_position": 2,
        "tier": 1,
        "error": "",
    }
    assert shown["queue_position"] == 2
    assert shown["inputs"] == ["one"]


async def test_a_receipt_of_a_repeated_job_is_written_once(estate: Estate) -> None:
    first = await add(estate, task_id="task_fixed", additional_data={"n": 1})
    second = await add(estate, task_id="task_fixed", additional_data={"n": 2})

    assert first == second
    assert (await estate.client().get("/v1/tasks/task_fixed")).json()["additional_data"] == {"n": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"status": "failed"},
        {"status": "FAILED"},
        {"task_type": "API_COLLECTIONS_TRIGGER"},
        {"search": "collections_TRIG"},
        {"filters": {"AND": [{"field": "status", "operator": "in", "value": ["failed"]}]}},
        {"filters": {"status": "FAILED"}},
        {"filters": {"NOT": [{"field": "status", "operator": "eq", "value": "PENDING"}]}},
        {"filters": {"OR": [{"field": "status", "value": "FAILED"}, {"field": "task_id", "value": "none"}]}},
        {"filters": {"field": "task_type", "operator": "starts_with", "value": "api_collections"}},
        {
            "filters": {
                "NOT": [{"status": "PENDING"}],
                "AND": [{"field": "created_at", "operator": "gt", "value": "2020-01-01T00:00:00Z"}],
            }
        },
    ],
)
async def test_lists_narrow_in_either_case(estate: Estate, body: dict[str, Any]) -> None:
    await add(estate)
    wanted = await add(estate, task_type="api_collections_trigger", status="FAILED")

    assert await ids(estate, body) == [wanted]


@pytest.mark.parametrize(
    "body",
    [
        {"status": "done"},
        {"task_type": "x"},
        {"sort": {"field": "error"}},
        {"filters": {"error": "x"}},
        {"filters": {"AND": {"field": "status"}}},
        {"filters": {"AND": [{"field": "status", "operator": "gt", "value": "A"}]}},
        {"filters": {"field": "status", "operator": "regex", "value": "F.*"}},
        {"filters": {"status": "done"}},
        {"filters": {"task_id": 1}},
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(estate: Estate, body: dict[str, Any]) -> None:
    assert (await estate.client().post(LIST, json=body)).status_code == 422


async def test_pages_join_newest_first_with_a_total_when_asked(estate: Estate) -> None:
    made = [await add(estate) for _ in range(5)]
    client = estate.client()

    first = (await client.post(f"{LIST}?limit=2&include_total=true")).json()
    second = (await client.post(f"{LIST}?limit=10&cursor={first['pagination']['next_cursor']}")).json()

    assert first["pagination"]["total"] == 5
    assert second["pagination"]["total"] is None
    assert [one["task_id"] for one in first["results"] + second["results"]] == made[::-1]
    changed = await client.post(f"{LIST}?cursor={first['pagination']['next_cursor']}", json={"status": "FAILED"})
    assert changed.status_code == 400


async def test_the_namespace_header_narrows_by_id_and_name(estate: Estate) -> None:
    space = (await estate.client().post("/v1/namespaces", json={"namespace_name": "space"})).json()["namespace_id"]
    inside = await add(estate, namespace_id=space)
    await add(estate)

    assert await ids(estate, {}, **{"X-Namespace": space}) == [inside]
    assert await ids(estate, {}, **{"X-Namespace": "space"}) == [inside]
    assert len(await ids(estate, {})) == 2


async def test_a_kill_reaches_the_handler_of_the_type_and_is_idempotent(estate: Estate) -> None:
    task_id, told = await add(estate), []

    async def stop(_: Any, row: dict[str, Any]) -> None:
        told.append(row["task_id"])
        async with estate.db.write() as tx:
            await estate.tasks.update(tx, row["task_id"], status="CANCELED")

    estate.tasks.on_kill("materialize", stop)
    client = estate.client()

    assert (await client.delete(f"/v1/tasks/{task_id}")).json()["success"] is True
    assert (await client.post(f"/v1/tasks/{task_id}/kill")).status_code == 200
    assert (await client.delete("/v1/tasks/nobody")).status_code == 200
    assert told == [task_id]
    assert (await client.get(f"/v1/tasks/{task_id}")).json()["status"] == "CANCELED"
