"""What steers a batch: retry, resubmit, cancel, single tiers, many batches at once, and deleting what was written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.batches import NAMESPACE, House, open_house

from prismhouse.storage.postgres.database import Database


@pytest.fixture
async def house(dsn: str, db: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn, db, tmp_path) as opened:
        await opened.add_bucket()
        yield opened


def at(house: House, batch_id: str) -> str:
    return f"/v1/buckets/{house.bucket_id}/batches/{batch_id}"


async def balanced(house: House, batch_id: str) -> list[dict[str, Any]]:
    """Check the books of a batch and return its tiers'."""
    audit = await house.call("GET", f"{at(house, batch_id)}/audit")
    for tier in audit["tiers"]:
        if tier["submitted"] is None:  # it runs: its books are open
            continue
        assert tier["submitted"] == tier["processed"] + tier["failed"] + tier["skipped"] + tier["lost"], tier
        assert tier["lost"] == 0
    rows: list[dict[str, Any]] = audit["tiers"]
    return rows


async def change(house: House, object_id: str, text: str) -> None:
    async with house.db.write() as tx:
        await tx.execute("UPDATE blobs SET text = %(t)s WHERE object_id = %(o)s", {"o": object_id, "t": text})


async def texts(house: House, collection: str) -> list[str]:
    rows = await house.rows(
        "SELECT payload ->> 'text' AS text FROM documents WHERE collection_id = %(c)s ORDER BY 1",
        c=house.collections[collection],
    )
    return [row["text"] for row in rows]


async def until_running(house: House, batch_id: str) -> None:
    async with asyncio.timeout(30):
        while not await house.rows(
            "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing' AND task_name = 'batches.run_chunk'"
            " AND args ->> 'batch_id' = %(b)s",
            b=batch_id,
        ):
            await asyncio.sleep(0.02)


async def test_only_failed_rows_run_again_when_retried(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    ids = await house.add_objects("a", "busy x", "bad one", "b|c")
    shown = await house.run(ids)
    batch_id, before = shown["batch_id"], await house.rows("SELECT document_id, updated_at FROM documents")
    assert shown["status"] == "COMPLETED_WITH_ERRORS"
    await change(house, ids[1], "now|fine")
    await change(house, ids[2], "good")

    answer = await house.call("POST", f"{at(house, batch_id)}/retry", {})
    assert (answer["retried_count"], answer["status"]) == (1, "QUEUED")
    assert (await house.read(batch_id))["status"] == "QUEUED"
    await balanced(house, batch_id)
    async with house.working():
        shown = await house.ended(batch_id)

    assert (shown["status"], shown["retry_count"], shown["failed_object_count"]) == ("COMPLETED_WITH_ERRORS", 1, 1)
    assert shown["documents_written"] == len(await house.rows("SELECT 1 FROM documents")) == 10
    assert await texts(house, "second") == ["a", "b", "c", "fine", "now"]
    after = {row["document_id"]: row["updated_at"] for row in await house.rows("SELECT * FROM documents")}
    assert all(after[row["document_id"]] == row["updated_at"] for row in before)
    tiers = await balanced(house, batch_id)
    assert [(tier["submitted"], tier["processed"], tier["failed"]) for tier in tiers] == [(4, 3, 1), (5, 5, 0)]
    marked = await house.marked()
    assert (marked[ids[1]], marked[ids[2]][0]) == (("COMPLETED", None), "FAILED")
    assert answer["task_id"] == shown["task_id"]
    assert (await house.tasks.read("org_one", answer["task_id"]))["status"] == "COMPLETED_WITH_ERRORS"

    again = await house.call("POST", f"{at(house, batch_id)}/retry", {"retry_mode": "all", "tier_nums": [0]})
    assert again["retried_count"] == 1
    async with house.working():
        shown = await house.ended(batch_id)
    assert (shown["status"], shown["failed_object_count"], shown["error_summary"]) == ("COMPLETED", 0, None)
    assert len(await texts(house, "second")) == 6


async def test_rows_are_left_alone_when_they_were_retried_often_enough(house: House) -> None:
    await house.add_collection("notes")
    batch_id = (await house.run(await house.add_objects("a", "busy")))["batch_id"]
    for number in range(2):
        answer = await house.call("POST", f"{at(house, batch_id)}/retry", {"max_retry_count": 2})
        assert answer["retried_count"] == 1, number
        async with house.working():
            await house.ended(batch_id)

    answer = await house.call("POST", f"{at(house, batch_id)}/retry", {"max_retry_count": 2})

    assert (answer["retried_count"], answer["status"]) == (0, "COMPLETED_WITH_ERRORS")
    [row] = (await house.call("GET", f"{at(house, batch_id)}/failed-documents"))["results"]
    assert (row["retry_count"], row["attempts"]) == (2, 6)
    none = await house.call("POST", f"{at(house, batch_id)}/retry", {"tier_nums": [7]})
    assert none["retried_count"] == 0


async def test_a_retry_is_refused_when_the_batch_has_not_ended(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("a")
    draft = (await house.call("POST", f"/v1/buckets/{house.bucket_id}/batches", {"object_ids": ids}))["batch_id"]
    queued = await house.submit(ids)

    for batch_id in (draft, queued):
        for verb in ("retry", "resubmit"):
            await house.call("POST", f"{at(house, batch_id)}/{verb}", {}, status=400)
        await house.call("DELETE", f"{at(house, batch_id)}/documents", status=400)
    await house.call("POST", f"{at(house, queued)}/tiers/0/retry", status=400)
    await house.call("POST", f"{at(house, queued)}/retry", {"max_retry_count": 11}, status=422)
    await house.call("POST", f"{at(house, queued)}/retry", {"tier_nums": [-1]}, status=422)
    await house.call("POST", f"{at(house, queued)}/tiers/1/cancel", status=404)
    await house.call("POST", f"{at(house, draft)}/tiers/0/cancel", status=404)
    await house.call("POST", f"{at(house, queued)}/tiers/0/jobs/none/cancel", status=404)
    await house.call("POST", f"{at(house, queued)}/tiers/0/heal", {"action": "dance"}, status=422)


async def test_everything_that_did_not_run_is_retried_when_the_batch_failed_as_a_whole(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("missing", *["a"] * 9)
    shown = await house.run(ids)
    assert shown["status"] == "FAILED"
    left = shown["failed_object_count"]
    assert left == 10 - shown["documents_written"] >= 4
    await balanced(house, shown["batch_id"])
    await change(house, ids[0], "found")

    answer = await house.call("POST", f"{at(house, shown['batch_id'])}/retry", {})
    async with house.working():
        shown = await house.ended(shown["batch_id"])

    assert answer["retried_count"] == left
    assert (shown["status"], shown["documents_written"], shown["failure_reason"]) == ("COMPLETED", 10, None)
    assert set((await house.marked()).values()) == {("COMPLETED", None)}


async def test_running_work_is_stopped_and_told_truly_when_cancelled(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects(*["slow 50"] * 40))

    async with house.working():
        await until_running(house, batch_id)
        started = time.monotonic()
        answer = await house.call("POST", f"{at(house, batch_id)}/cancel")
        took = time.monotonic() - started
        await house.idle()

    assert took < 3
    outcome = answer["cancellation"]
    assert outcome["ray_jobs_requested"] == outcome["ray_jobs_accepted"] == 2
    assert outcome["ray_jobs_refused"] == 0
    assert await house.rows("SELECT 1 FROM procrastinate_jobs WHERE task_name LIKE 'batches.run%%'") == []
    assert await house.rows("SELECT 1 FROM documents") == []
    [tier] = await balanced(house, batch_id)
    assert tier["submitted"] == 0
    assert "40 rows were cancelled" in tier["notes"][0]
    task = await house.tasks.read("org_one", (await house.read(batch_id))["task_id"])
    assert task["cancellation"] == outcome


async def test_work_that_cannot_be_reached_is_reported_when_cancelled(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a"))
    async with house.db.write() as tx:
        await tx.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE task_name = 'batches.start_tier'")

    answer = await house.call("POST", f"/v1/batches/{batch_id}/cancel")

    assert answer["cancellation"] == {"ray_jobs_requested": 1, "ray_jobs_accepted": 0, "ray_jobs_refused": 1}
    draft = (await house.call("POST", f"/v1/buckets/{house.bucket_id}/batches"))["batch_id"]
    answer = await house.call("POST", f"{at(house, draft)}/cancel")
    assert set(answer["cancellation"].values()) == {0}


async def test_a_cancelled_batch_goes_on_where_it_stopped_when_its_tier_is_retried(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    batch_id = await house.submit(await house.add_objects(*["a"] * 4, *["slow 0.2"] * 12))
    async with house.working():
        await house.until(lambda shown: (shown["documents_written"] or 0) >= 4, batch_id)
        await house.call("POST", f"{at(house, batch_id)}/cancel")
    await balanced(house, batch_id)

    answer = await house.call("POST", f"{at(house, batch_id)}/tiers/0/retry", {"priority": 3, "memory_gb": 8})
    async with house.working():
        shown = await house.ended(batch_id)

    assert answer["ignored_overrides"] == ["memory_gb"]
    assert await house.rows("SELECT priority FROM batches") == [{"priority": 3}]
    assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 32)
    assert len(await house.rows("SELECT 1 FROM documents")) == 32
    tiers = await balanced(house, batch_id)
    assert [tier["submitted"] for tier in tiers] == [16, 16]
    await house.call("POST", f"{at(house, batch_id)}/tiers/0/retry", status=400)


async def test_new_documents_still_reach_later_tiers_when_a_retry_is_cancelled_between(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    ids = await house.add_objects("a", "busy one", "bad two")
    batch_id = (await house.run(ids))["batch_id"]
    await change(house, ids[1], "one")
    await house.call("POST", f"{at(house, batch_id)}/retry", {})
    async with house.working():
        await house.until(lambda shown: (shown["documents_written"] or 0) >= 3, batch_id)
        await house.client.post(f"{at(house, batch_id)}/cancel")
    await change(house, ids[2], "two")

    await house.call("POST", f"{at(house, batch_id)}/retry", {"retry_mode": "all"})
    async with house.working():
        shown = await house.ended(batch_id)

    assert shown["status"] == "COMPLETED", shown["failure_reason"]
    assert await texts(house, "second") == ["a", "one", "two"]
    await balanced(house, batch_id)


async def test_a_batch_starts_again_when_resubmitted(house: House) -> None:
    first = await house.add_collection("first")
    second = await house.add_collection("second", source=first)
    ids = await house.add_objects("a|b", "bad", "c")
    shown = await house.run(ids, dedup_strategy="replace")
    batch_id = shown["batch_id"]
    await change(house, ids[0], "a")
    await change(house, ids[1], "good")

    answer = await house.call("POST", f"{at(house, batch_id)}/resubmit")
    assert (answer["status"], answer["from_tier"]) == ("QUEUED", 0)
    queued = await house.read(batch_id)
    assert queued["failure_reason"] is None
    assert queued["failed_object_count"] == 0
    async with house.working():
        shown = await house.ended(batch_id)
    assert (shown["status"], shown["documents_written"], shown["documents_deleted"]) == ("COMPLETED", 6, 2)
    assert await texts(house, "first") == await texts(house, "second") == ["a", "c", "good"]

    async with house.db.write() as tx:
        await tx.execute("DELETE FROM documents WHERE collection_id = %(c)s", {"c": second})
    parked = await house.call("POST", f"{at(house, batch_id)}/resubmit?from_tier=1", {"auto_submit": False})
    assert parked["status"] == "DRAFT"
    draft = await house.read(batch_id)
    assert (draft["status"], [tier["status"] for tier in draft["tier_tasks"]]) == ("DRAFT", ["COMPLETED"])
    await house.call("POST", f"{at(house, batch_id)}/objects", {"object_ids": ids}, status=400)
    await house.call("POST", f"{at(house, batch_id)}/submit")
    async with house.working():
        shown = await house.ended(batch_id)
    assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 6)
    assert [tier["status"] for tier in shown["tier_tasks"]] == ["COMPLETED", "COMPLETED"]
    assert await texts(house, "second") == ["a", "c", "good"]
    await house.call("POST", f"{at(house, batch_id)}/resubmit?from_tier=2", status=422)


async def test_later_tiers_cannot_start_when_an_earlier_one_did_not_end(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    batch_id = (await house.run(await house.add_objects("bad")))["batch_id"]

    refused = await house.call("POST", f"{at(house, batch_id)}/resubmit?from_tier=1", status=400)

    assert "Tier 0" in refused["error"]["message"]
    assert (await house.read(batch_id))["status"] == "FAILED"


async def test_the_others_go_on_when_a_tier_or_a_job_is_cancelled(house: House) -> None:
    first = await house.add_collection("first")
    second = await house.add_collection("second", source=first)
    await house.add_collection("third", source=second)
    other = await house.add_collection("other")
    ids = await house.add_objects("a", "b", "c", "d", "e")
    batch_id = await house.submit(ids)

    await house.call("POST", f"{at(house, batch_id)}/tiers/1/cancel?reason=not+now")
    await house.call("POST", f"{at(house, batch_id)}/tiers/1/cancel", status=400)
    answer = await house.call("POST", f"{at(house, batch_id)}/tiers/0/jobs/{batch_id}-0-{other}/cancel")
    await house.call("POST", f"{at(house, batch_id)}/tiers/0/jobs/{batch_id}-0-{other}/cancel", status=400)
    async with house.working():
        shown = await house.ended(batch_id)

    assert answer["collection_id"] == other
    assert shown["status"] == "COMPLETED_WITH_ERRORS", shown["failure_reason"]
    assert [tier["status"] for tier in shown["tier_tasks"]] == ["COMPLETED", "CANCELED", "COMPLETED"]
    jobs = {job["collection_ids"][0]: job["status"] for job in shown["tier_tasks"][0]["extractor_jobs"]}
    assert jobs == {first: "COMPLETED", other: "CANCELED"}
    assert (len(await texts(house, "first")), len(await texts(house, "second"))) == (5, 0)

    await house.call("POST", f"{at(house, batch_id)}/tiers/1/retry")
    async with house.working():
        shown = await house.ended(batch_id)
    assert [tier["status"] for tier in shown["tier_tasks"]] == ["COMPLETED", "COMPLETED", "COMPLETED"]
    assert len(await texts(house, "third")) == 5
    await balanced(house, batch_id)


async def test_a_job_that_runs_is_stopped_alone_when_cancelled(house: House) -> None:
    await house.add_collection("notes")
    other = await house.add_collection("other")
    batch_id = await house.submit(await house.add_objects(*["slow 0.3"] * 12))

    async with house.working():
        await until_running(house, batch_id)
        answer = await house.call("POST", f"{at(house, batch_id)}/tiers/0/jobs/{batch_id}-0-{other}/cancel")
        shown = await house.ended(batch_id)

    assert answer["cancellation"]["ray_jobs_refused"] == 0
    assert shown["status"] == "COMPLETED_WITH_ERRORS"
    assert (len(await texts(house, "notes")), len(await texts(house, "other"))) == (12, 0)
    await balanced(house, batch_id)


async def test_a_batch_whose_only_tier_is_cancelled_before_it_began_is_cancelled(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a"))

    await house.call("POST", f"{at(house, batch_id)}/tiers/0/cancel")

    shown = await house.read(batch_id)
    assert (shown["status"], shown["tier_tasks"][0]["status"]) == ("CANCELED", "CANCELED")
    assert await house.rows("SELECT 1 FROM procrastinate_jobs WHERE task_name LIKE 'batches.start%%'") == []
    await house.call("POST", f"{at(house, batch_id)}/tiers/0/retry")
    async with house.working():
        assert (await house.ended(batch_id))["status"] == "COMPLETED"


async def test_what_is_out_of_step_is_put_right_when_healed(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a"))
    path = f"{at(house, batch_id)}/tiers/0/heal"
    for action in ("kill_duplicates", "detect_stuck", "sync_status"):
        assert (await house.call("POST", path, {"action": action}))["healed_count"] == 0
    [job] = await house.rows("SELECT args FROM procrastinate_jobs WHERE task_name = 'batches.start_tier'")
    async with house.db.write() as tx:
        await house.queue.enqueue(tx, "batches.start_tier", [job["args"], {**job["args"], "run": 7}])

    assert (await house.call("POST", path, {"action": "kill_duplicates"}))["healed_count"] == 2
    async with house.db.write() as tx:
        await tx.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'batches.start_tier'")
    assert (await house.call("POST", path, {"action": "detect_stuck"}))["healed_count"] == 1
    async with house.working():
        assert (await house.ended(batch_id))["status"] == "COMPLETED"
    assert (await house.call("POST", path, {"action": "sync_status"}))["findings"] == []


async def test_a_whole_bucket_is_cut_into_batches_when_submitted_in_bulk(house: House) -> None:
    await house.add_collection("notes")
    await house.add_objects(*"abcdefgh")
    path = f"/v1/buckets/{house.bucket_id}/batches"

    answer = await house.call("POST", f"{path}/bulk-submit", {"chunk_size": 3, "max_objects": 7})
    assert (answer["total_objects"], answer["total_batches"], answer["submitted"]) == (7, 3, 3)
    assert [batch["object_count"] for batch in answer["batches"]] == [3, 3, 1]
    overlap = await house.call("POST", f"{path}/bulk-submit", {"chunk_size": 4})
    assert (overlap["submitted"], overlap["failed"]) == (0, 2)
    assert "same objects" in overlap["batches"][0]["error"]
    assert overlap["batches"][0]["status"] == "DRAFT"
    async with house.working():
        shown = [await house.ended(batch["batch_id"]) for batch in answer["batches"]]
    assert {batch["status"] for batch in shown} == {"COMPLETED"}
    assert shown[0]["metadata"]["batch_group_id"] == answer["batch_group_id"]

    empty = (await house.call("POST", path))["batch_id"]
    drafts = await house.call("POST", f"{path}/submit-all")
    assert (drafts["submitted"], drafts["failed"]) == (2, 1)
    assert {result["batch_id"] for result in drafts["results"] if "error" in result} == {empty}
    async with house.working():
        for batch in overlap["batches"]:
            assert (await house.ended(batch["batch_id"]))["status"] == "COMPLETED"
    assert len(await texts(house, "notes")) == 8
    await house.call("POST", f"{path}/bulk-submit", {"chunk_size": 0}, status=422)
    nothing = await house.call(
        "POST", f"{path}/bulk-submit", {"filters": {"field": "author", "operator": "eq", "value": "x"}}
    )
    assert (nothing["total_objects"], nothing["batches"]) == (0, [])


async def test_only_what_the_batch_wrote_goes_when_its_documents_are_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add_collection("notes")
    await house.run(await house.add_objects("kept"))
    batch_id = (await house.run(await house.add_objects("a|b|c", "d|e")))["batch_id"]
    monkeypatch.setattr("prismhouse.api.batches.service.unwrite._AT_ONCE", 2)

    answer = await house.call("DELETE", f"{at(house, batch_id)}/documents")

    assert (answer["deleted_count"], answer["complete"]) == (5, True)
    assert await texts(house, "notes") == ["kept"]
    [index] = await house.rows("SELECT table_name FROM vector_indexes")
    assert (await house.rows(f"SELECT count(*) AS n FROM {index['table_name']}"))[0]["n"] == 1
    assert (await house.read(batch_id))["documents_deleted"] == 5
    monkeypatch.setattr("prismhouse.api.batches.service.unwrite._PATIENCE_SECONDS", 0)
    other = (await house.run(await house.add_objects("f|g|h")))["batch_id"]
    assert (await house.call("DELETE", f"{at(house, other)}/documents"))["complete"] is False
    async with house.working():
        await house.idle()
    assert await texts(house, "notes") == ["kept"]


async def test_one_of_two_batches_is_refused_when_both_are_submitted_at_once(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("a", "b")
    path = f"/v1/buckets/{house.bucket_id}/batches"
    made = [(await house.call("POST", path, {"object_ids": ids}))["batch_id"] for _ in range(4)]

    answers = await asyncio.gather(*(house.client.post(f"{path}/{batch_id}/submit") for batch_id in made))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


@pytest.mark.parametrize("url", ["http://", "ftp://a.example", "http://a b.example", "https://a.example:99999/", "x"])
async def test_a_webhook_url_that_is_none_is_refused(house: House, url: str) -> None:
    await house.add_collection("notes")
    path = f"/v1/buckets/{house.bucket_id}/batches"
    batch_id = (await house.call("POST", path, {"object_ids": await house.add_objects("a")}))["batch_id"]

    await house.call("POST", f"{path}/{batch_id}/submit", {"webhook_url": url}, status=422)

    assert (await house.read(batch_id))["status"] == "DRAFT"


async def test_stale_jobs_do_nothing_when_the_batch_runs_again(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    batch_id = await house.submit(await house.add_objects("a"))
    await house.call("POST", f"{at(house, batch_id)}/cancel")
    await house.call("POST", f"{at(house, batch_id)}/resubmit")
    known = {"namespace_id": NAMESPACE, "batch_id": batch_id, "task_id": "t", "run": 0}
    async with house.db.write() as tx:
        for tier in (1, 0):
            await house.queue.enqueue(tx, "batches.start_tier", [{**known, "tier": tier}], priority=5)
        await house.queue.enqueue(tx, "batches.run_chunk", [{**known, "tier": 0, "chunk": 0}], priority=4)
        await house.queue.enqueue(tx, "batches.start_tier", [{**known, "run": 1, "tier": 1}], priority=5)

    async with house.working():
        shown = await house.ended(batch_id)

    assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 2)
