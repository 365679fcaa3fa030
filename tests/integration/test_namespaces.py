"""Namespaces: creation, lists, changes, deletion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.tenants import Estate, raise_estate

from prismhouse.api.namespaces.deletion import DELETE_JOB
from prismhouse.api.namespaces.expiry import EXPIRE_JOB
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter

ALL = "/v1/namespaces"


@pytest.fixture
async def estate(db: Database) -> AsyncIterator[Estate]:
    made = await raise_estate(db)
    yield made
    await made.close()


async def make(estate: Estate, name: str, **more: Any) -> dict[str, Any]:
    answer = await estate.client().post(ALL, json={"namespace_name": name, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def test_a_new_namespace_has_every_extractor_and_the_system_indexes_when_nothing_is_said(estate: Estate) -> None:
    made = await make(estate, "first")

    assert made["namespace_id"].startswith("ns_")
    assert made["namespace_ready"] is True
    assert {one["feature_extractor_id"] for one in made["feature_extractors"]} == {
        "text_extractor_v1",
        "multimodal_extractor_v1",
    }
    assert made["payload_index_count"] == 11
    assert all(index["is_protected"] for index in made["payload_indexes"])
    assert (made["document_count"], made["document_count_complete"]) == (0, True)


async def test_a_wanted_extractor_is_kept_with_its_locked_parameters(estate: Estate) -> None:
    wanted = [{"feature_extractor_name": "text_extractor", "version": "v1", "params": {"split_by": "sentences"}}]

    made = await make(estate, "first", feature_extractors=wanted)

    assert made["feature_extractors"] == [wanted[0] | {"feature_extractor_id": "text_extractor_v1"}]


async def test_an_unknown_extractor_is_refused_by_code(estate: Estate) -> None:
    body = {"namespace_name": "abc", "feature_extractors": [{"feature_extractor_name": "nope", "version": "v1"}]}

    answer = await estate.client().post(ALL, json=body)

    assert answer.json()["error"]["code"] == "feature_extractor_not_found"
    assert (await estate.client().get(ALL)).json()["total_count"] == 0


async def test_a_name_is_unique_in_its_organization_only(estate: Estate) -> None:
    await make(estate, "same")

    again = await estate.client().post(ALL, json={"namespace_name": "same"})
    elsewhere = await estate.client(estate.other_key).post(ALL, json={"namespace_name": "same"})

    assert again.status_code == 409
    assert again.json()["error"] | {"message": "", "details": None} == {
        "message": "",
        "type": "AlreadyExistsError",
        "code": "namespace_name_taken",
        "details": None,
    }
    assert elsewhere.status_code == 200


async def test_vectors_of_ones_own_need_mode_standalone(estate: Estate) -> None:
    body = {"namespace_name": "abc", "vector_configs": [{"name": "v", "dimension": 8, "metric": "dot"}]}

    refused = await estate.client().post(ALL, json=body)
    made = await estate.client().post(ALL, json={**body, "mode": "standalone"})

    assert refused.status_code == 422
    assert made.json()["vector_configs"] == [{"name": "v", "metric": "dot_product", "dimension": 8}]
    assert made.json()["feature_extractors"] == []


async def test_pages_join_to_the_whole_list_in_order(estate: Estate) -> None:
    for number in range(7):
        await make(estate, f"space {number}")
    client, seen, cursor = estate.client(), [], None

    for _ in range(10):
        body = {"limit": 3, "sort": {"field": "namespace_name"}, "include_total": True}
        page = (await client.post(f"{ALL}/list", json=body | ({"cursor": cursor} if cursor else {}))).json()
        seen += [one["namespace_name"] for one in page["results"]]
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            break

    assert seen == [f"space {number}" for number in range(7)]
    assert page["total_count"] == page["pagination"]["total"] == 7


async def test_newest_first_pages_join_when_nothing_is_sorted(estate: Estate) -> None:
    made = [(await make(estate, f"space {number}"))["namespace_id"] for number in range(5)]
    client = estate.client()

    first = (await client.get(f"{ALL}?limit=2")).json()
    second = (await client.get(f"{ALL}?limit=3&cursor={first['pagination']['next_cursor']}")).json()

    ids = [one["namespace_id"] for one in first["results"] + second["results"]]
    assert ids == made[::-1]
    assert second["pagination"]["next_cursor"] is None


async def test_search_filters_and_summary(estate: Estate) -> None:
    await make(estate, "videos", description="film 100%")
    await make(estate, "pictures")
    client = estate.client()

    async def names(**body: Any) -> set[str]:
        return {one["namespace_name"] for one in (await client.post(f"{ALL}/list", json=body)).json()["results"]}

    assert await names(search="VID") == {"videos"}
    assert await names(search="VID", case_sensitive=True) == set()
    assert await names(search="100%") == {"videos"}
    assert await names(search="p*s") == {"pictures"}
    assert await names(filters={"namespace_name": "pictures"}) == {"pictures"}
    assert await names(filters={"AND": [{"field": "namespace_name", "operator": "in", "value": ["videos"]}]}) == {
        "videos"
    }
    summary = (await client.post(f"{ALL}/list?view=summary")).json()["results"][0]
    assert "payload_indexes" not in summary
    assert summary["payload_index_count"] == 11
    assert (await client.post(f"{ALL}/list", json={"filters": {"colour": "red"}})).status_code == 422


async def test_patch_adds_extractors_replaces_indexes_and_clears_expiry(estate: Estate) -> None:
    one = [{"feature_extractor_name": "text_extractor", "version": "v1"}]
    made = await make(estate, "abc", feature_extractors=one, ttl_seconds=3600)
    path, client = f"{ALL}/{made['namespace_id']}", estate.client()
    assert made["expires_at"] is not None

    two = [{"feature_extractor_name": "multimodal_extractor", "version": "v1"}]
    body = {
        "feature_extractors": two,
        "payload_indexes": [{"field_name": "colour", "type": "keyword"}],
        "expires_at": None,
        "pinned": True,
        "tiering": {"enabled": True},
    }
    changed = (await client.patch(path, json=body)).json()

    assert [entry["feature_extractor_name"] for entry in changed["feature_extractors"]] == [
        "text_extractor",
        "multimodal_extractor",
    ]
    assert changed["payload_index_count"] == 12
    assert changed["expires_at"] is None
    assert changed["pinned"]["enabled"] is True
    assert changed["tiering"] == {"enabled": True}
    put = (await client.put(path, json={"namespace_name": "renamed", "payload_indexes": []})).json()
    assert (put["namespace_name"], put["payload_index_count"]) == ("renamed", 11)
    both = await client.patch(path, json={"ttl_seconds": 100, "expires_at": "2099-01-01T00:00:00Z"})
    assert both.status_code == 422


async def test_a_rename_to_a_taken_name_is_409(estate: Estate) -> None:
    await make(estate, "taken")
    other = await make(estate, "other")

    answer = await estate.client().patch(f"{ALL}/{other['namespace_id']}", json={"namespace_name": "taken"})

    assert answer.status_code == 409


async def test_extractors_are_listed_and_read(estate: Estate) -> None:
    made = await make(estate, "abc")
    client, path = estate.client(), f"{ALL}/{made['namespace_id']}/extractors"

    listed = (await client.get(path)).json()

    assert listed["total"] == listed["builtin_count"] == 2
    assert (await client.get(f"{path}?source=custom")).json()["total"] == 0
    for name in ("text_extractor_v1", "text_extractor@v1", "text_extractor"):
        assert (await client.get(f"{path}/{name}")).json()["feature_extractor_id"] == "text_extractor_v1"
    assert (await client.get(f"{path}/nope_v3")).status_code == 404


async def test_deletion_hides_at_once_and_empties_in_the_background(estate: Estate) -> None:
    made = await make(estate, "abc")
    client, namespace_id = estate.client(), made["namespace_id"]

    answer = (await client.delete(f"{ALL}/{namespace_id}")).json()

    assert answer["status"] == "PENDING"
    assert (await client.get(f"{ALL}/{namespace_id}")).status_code == 404
    assert (await client.get(f"{ALL}/{namespace_id}/stats")).status_code == 404
    await make(estate, "abc")
    await estate.jobs.run()
    task = (await client.get(f"/v1/tasks/{answer['task_id']}")).json()
    assert (task["status"], task["task_type"]) == ("COMPLETED", "api_namespaces_delete")
    assert set(estate.blobs.emptied) == {namespace_id}
    assert {space for _, space in estate.staging.emptied} == {namespace_id}
    async with estate.db.read() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM namespaces") == 1


async def test_deletion_comes_to_its_end_when_the_job_died_and_runs_again(estate: Estate) -> None:
    made = await make(estate, "abc")
    answer = (await estate.client().delete(f"{ALL}/{made['namespace_id']}")).json()
    (name, arguments), *_ = estate.jobs.waiting
    assert name == DELETE_JOB

    await estate.deletion.run(**arguments)
    await estate.deletion.run(**arguments)

    task = (await estate.client().get(f"/v1/tasks/{answer['task_id']}")).json()
    assert task["status"] == "COMPLETED"


async def test_a_deletion_that_failed_says_so_and_can_be_started_anew(estate: Estate) -> None:
    made = await make(estate, "abc")
    client, path = estate.client(), f"{ALL}/{made['namespace_id']}"
    first = (await client.delete(path)).json()["task_id"]
    (_, arguments), *_ = estate.jobs.waiting
    estate.jobs.waiting.clear()

    await estate.jobs.on_give_up[DELETE_JOB](OSError("disk full"), **arguments)

    failed = (await client.get(f"/v1/tasks/{first}")).json()
    assert failed["status"] == "FAILED"
    assert "disk full" in failed["error"]
    second = (await client.delete(path)).json()["task_id"]
    await estate.jobs.run()
    assert (await client.get(f"/v1/tasks/{second}")).json()["status"] == "COMPLETED"
    assert (await client.delete(path)).status_code == 404


class Busy:
    """A tenant with one running batch."""

    def __init__(self) -> None:
        self.stopped = False

    async def active(self, tx: NamespaceReader) -> list[str]:
        return [] if self.stopped else ["btch_1"]

    async def stop(self, tx: NamespaceWriter) -> None:
        self.stopped = True


async def test_deletion_waits_for_nobody_but_asks_for_force_when_batches_run(estate: Estate) -> None:
    busy = Busy()
    estate.deletion.admit(busy)
    made = await make(estate, "abc")
    client, path = estate.client(), f"{ALL}/{made['namespace_id']}"

    refused = await client.delete(path)
    assert refused.status_code == 409
    assert refused.json()["error"]["details"]["batch_ids"] == ["btch_1"]
    assert (await client.get(path)).status_code == 200

    assert (await client.delete(f"{path}?force=true")).status_code == 200
    assert busy.stopped


async def test_stats_of_several_leave_out_what_is_not_ours(estate: Estate) -> None:
    mine = await make(estate, "abc")
    other = (await estate.client(estate.other_key).post(ALL, json={"namespace_name": "abc"})).json()

    body = {"namespace_ids": [mine["namespace_id"], other["namespace_id"], "ns_nobody"]}
    found = (await estate.client().post(f"{ALL}/stats/batch", json=body)).json()["stats"]

    assert set(found) == {mine["namespace_id"]}
    assert found[mine["namespace_id"]]["document_count"] == 0


async def test_an_expired_namespace_is_warned_of_and_deleted_an_hour_later(estate: Estate) -> None:
    made = await make(estate, "brief", ttl_seconds=60)
    (_, first), *_ = estate.jobs.waiting
    assert 55 < estate.jobs.delays[0] <= 60

    estate.jobs.waiting.clear()
    await estate.jobs.handlers[EXPIRE_JOB](**first)

    (_, second), *_ = estate.jobs.waiting
    assert estate.jobs.delays[-1] == 3600
    async with estate.db.read() as tx:
        assert await tx.fetch_value("SELECT event_type FROM events") == "namespace_expiring"
    path = f"{ALL}/{made['namespace_id']}"
    assert (await estate.client().get(path)).status_code == 200
    await estate.jobs.handlers[EXPIRE_JOB](**second)
    assert (await estate.client().get(path)).status_code == 404


async def test_an_end_that_was_moved_deletes_nothing_at_the_old_time(estate: Estate) -> None:
    made = await make(estate, "brief", ttl_seconds=60)
    (_, old), *_ = estate.jobs.waiting
    path = f"{ALL}/{made['namespace_id']}"
    await estate.client().patch(path, json={"expires_at": None})

    await estate.jobs.handlers[EXPIRE_JOB](**(old | {"warned": True}))

    assert (await estate.client().get(path)).status_code == 200


async def test_a_name_taken_at_the_same_moment_is_a_conflict_and_no_fault_of_ours(estate: Estate) -> None:
    client = estate.client()
    ids = [
        (await client.post("/v1/namespaces", json={"namespace_name": f"was {n}"})).json()["namespace_id"]
        for n in range(6)
    ]

    answers = await asyncio.gather(
        *(client.patch(f"/v1/namespaces/{one}", json={"namespace_name": "now"}) for one in ids)
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert {answer.json()["error"]["type"] for answer in answers if answer.status_code == 409} == {"AlreadyExistsError"}


async def test_an_extractor_is_registered_once_when_two_collections_bring_it(estate: Estate) -> None:
    made = await make(estate, "empty", features=[])
    wanted = [(one["feature_extractor_name"], one["version"]) for one in estate.namespaces.extractors()][:1]

    async def register() -> None:
        async with estate.db.write() as tx:
            await estate.namespaces.extractors_registered(tx.within(made["namespace_id"]), wanted)
            first_wrote.set()
            await second_waits.wait()

    async def commit_when_the_second_waits() -> None:
        await first_wrote.wait()
        async with estate.db.read() as tx, asyncio.timeout(10):
            while not await tx.fetch_value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
        second_waits.set()

    first_wrote, second_waits = asyncio.Event(), asyncio.Event()
    await asyncio.gather(register(), register(), commit_when_the_second_waits())

    shown = (await estate.client().get(f"{ALL}/{made['namespace_id']}")).json()
    assert [entry["feature_extractor_name"] for entry in shown["feature_extractors"]] == [wanted[0][0]]


async def test_repairing_vectors_is_refused_and_not_passed_over(estate: Estate) -> None:
    made = await make(estate, "first")

    answer = await estate.client().patch(f"{ALL}/{made['namespace_id']}", json={"repair_vectors": True})

    assert answer.status_code == 501
