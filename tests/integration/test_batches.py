"""Batches from a draft to their end, with rows that fail in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.batches import NAMESPACE, House, open_house
from tests.web import KeysAreNames

from prismhouse.api.batches.service import Batches
from prismhouse.storage.blobs.port import BlobMissing
from prismhouse.storage.postgres.database import Database


@pytest.fixture
async def house(dsn: str, db: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn, db, tmp_path) as opened:
        await opened.add_bucket()
        yield opened


async def test_a_batch_writes_documents_and_vectors(house: House) -> None:
    collection_id = await house.add_collection("notes")
    ids = await house.add_objects("a|b", "c", "d", "e", "f", "g")

    shown = await house.run(ids)

    assert shown["status"] == "COMPLETED", shown
    assert shown["lifecycle"] == "indexed"
    assert shown["documents_resolvable"] is True
    assert shown["documents_written"] == 7
    assert shown["progress"]["percent"] == 100.0
    assert shown["dag_tiers"] == [[collection_id]]
    documents = await house.rows("SELECT * FROM documents ORDER BY payload->>'text'")
    assert [document["payload"]["text"] for document in documents] == ["a", "b", "c", "d", "e", "f", "g"]
    assert documents[0]["payload"]["author"] == "ann"
    assert documents[0]["lineage_path"] == f"{house.bucket_id}/{collection_id}"
    [index] = await house.rows("SELECT table_name FROM vector_indexes")
    assert (await house.rows(f"SELECT count(*) AS n FROM {index['table_name']}"))[0]["n"] == 7
    assert await house.marked() == dict.fromkeys(ids, ("COMPLETED", None))
    task = await house.tasks.read("org_one", shown["task_id"])
    assert (task["status"], task["task_type"]) == ("COMPLETED", "api_buckets_batches_process")
    [event] = await house.rows("SELECT * FROM events WHERE event_type = 'batch.completed'")
    assert event["resource_id"] == shown["batch_id"]
    assert event["namespace_id"] == NAMESPACE


async def test_bad_rows_are_named_when_their_neighbours_finish(house: House) -> None:
    await house.add_collection("notes")
    texts = ["fine", "bad one", "kill me", "once more", "busy line", "raise hands", "blank", None, "nan", "good"]
    ids = dict(zip(texts, await house.add_objects(*texts), strict=True))

    shown = await house.run(list(ids.values()))

    assert shown["status"] == "COMPLETED_WITH_ERRORS", shown
    assert shown["documents_written"] == 3
    failed = {item["object_id"]: item for item in shown["failed_objects"]}
    assert set(failed) == {ids[text] for text in ("bad one", "kill me", "busy line", "raise hands", "nan", None)}
    assert failed[ids["kill me"]]["error_type"] == "resource"
    assert failed[ids["busy line"]]["error_type"] == "transient"
    assert "content" in failed[ids[None]]["error"]
    assert shown["error_summary"] == {"validation": 2, "runtime": 2, "resource": 1, "network": 1}
    at = f"/v1/buckets/{house.bucket_id}/batches/{shown['batch_id']}"
    rows = (await house.call("GET", f"{at}/failed-documents"))["results"]
    assert {row["object_id"]: (row["attempts"], row["retry_count"]) for row in rows}[ids["busy line"]] == (2, 0)
    audit = await house.call("GET", f"{at}/audit")
    assert audit["all_balanced"] is True
    assert audit["has_lost_objects"] is False
    # A server that does not wait for its disk confirms nothing.
    assert audit["tiers"][0].pop("durability") in {"confirmed", "untracked"}
    assert audit["tiers"][0] | {"notes": []} == {
        "tier_num": 0,
        "submitted": 10,
        "processed": 3,
        "failed": 6,
        "skipped": 1,
        "lost": 0,
        "balanced": True,
        "notes": [],
    }
    marked = await house.marked()
    assert marked[ids["bad one"]] == ("FAILED", "bad one is bad")
    assert marked[ids["fine"]] == ("COMPLETED", None)


async def test_a_lost_part_is_an_error_when_its_neighbours_are_written(house: House) -> None:
    await house.add_collection("notes")
    part, feature, _ = ids = await house.add_objects("part one|two", "feature", "fine")

    shown = await house.run(ids)

    assert (shown["status"], shown["documents_written"]) == ("COMPLETED_WITH_ERRORS", 4)
    assert (shown["failed_object_count"], shown["failed_objects"]) == (0, None)
    assert "1 rows lost a part" in shown["status_message"]
    assert shown["partial_object_count"] == 2
    assert sorted(shown["partial_objects"], key=lambda item: item["error"]) == [
        {"object_id": feature, "error": "a feature is missing", "missing_feature": "thumbnail"},
        {"object_id": part, "error": "a part is missing", "missing_feature": None},
    ]
    at = f"/v1/buckets/{house.bucket_id}/batches/{shown['batch_id']}"
    listed = await house.call("GET", f"{at}/failed-documents")
    assert listed["total"] == 2
    assert {(row["object_id"], row["code"], row["partial"]) for row in listed["results"]} == {(part, "bad_part", True)}
    assert (await house.call("GET", f"{at}/audit"))["all_balanced"] is True
    assert (await house.marked())[part] == ("COMPLETED", "a part is missing")


async def test_a_missing_feature_is_no_error_when_everything_is_written(house: House) -> None:
    await house.add_collection("notes")

    shown = await house.run(await house.add_objects("feature", "fine"))

    assert (shown["status"], shown["partial_object_count"]) == ("COMPLETED", 1)
    assert (await house.marked())[shown["partial_objects"][0]["object_id"]] == ("COMPLETED", None)


async def test_a_batch_that_wrote_nothing_fails_and_says_why(house: House) -> None:
    await house.add_collection("notes")

    blank = await house.run(await house.add_objects("blank", "blank"))
    bad = await house.run(await house.add_objects("bad"))

    assert (blank["status"], blank["failure_category"]) == ("FAILED", "validation")
    assert "empty" in blank["failure_reason"]
    assert (bad["status"], bad["failure_category"]) == ("FAILED", "validation")
    assert bad["documents_resolvable"] is True
    events = await house.rows("SELECT event_type FROM events WHERE event_type LIKE 'batch.%%'")
    assert [event["event_type"] for event in events] == ["batch.failed", "batch.failed"]


async def test_a_batch_fails_with_the_reason_when_extraction_cannot_run(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("missing")

    shown = await house.run(ids)

    assert shown["status"] == "FAILED"
    assert "not installed" in shown["failure_reason"]
    assert (await house.marked())[ids[0]][0] == "FAILED"
    task = await house.tasks.read("org_one", shown["task_id"])
    assert task["status"] == "FAILED"
    assert "not installed" in task["error"]


async def test_nothing_is_submitted_when_there_is_nothing_to_process(house: House) -> None:
    at = f"/v1/buckets/{house.bucket_id}/batches"
    ids = await house.add_objects("a")
    empty = (await house.call("POST", at))["batch_id"]
    full = (await house.call("POST", at, {"object_ids": ids}))["batch_id"]

    refused = await house.call("POST", f"{at}/{full}/submit", status=400)
    assert "No enabled collection" in refused["error"]["message"]
    await house.add_collection("notes")
    refused = await house.call("POST", f"{at}/{empty}/submit", {}, status=400)
    assert "no objects" in refused["error"]["message"]
    await house.call("POST", f"{at}/{empty}/objects", {"object_ids": ids})
    task = await house.call("POST", f"{at}/{empty}/submit")
    assert task["task_type"] == "api_buckets_batches_process"
    assert task["additional_data"]["sample_object_ids"] == ids
    again = await house.call("POST", f"{at}/{empty}/submit", status=400)
    assert "QUEUED" in again["error"]["message"]


async def test_bad_requests_name_the_field(house: House) -> None:
    at = f"/v1/buckets/{house.bucket_id}/batches"
    ids = await house.add_objects("a")

    for body, said in (
        ({"object_ids": ids, "filters": {"AND": []}}, "not both"),
        ({"object_ids": []}, "at least 1"),
        ({"object_ids": ["obj_none"]}, "obj_none"),
        ({"colour": 1}, "Accepted keys"),
        ({"dedup_strategy": "maybe"}, "skip"),
    ):
        refused = await house.call("POST", at, body, status=422)
        assert said in str(refused["error"]), refused
    await house.call("POST", "/v1/buckets/bkt_none/batches", {}, status=404)
    await house.call("POST", at, {"collection_ids": ["col_none"]}, status=404)
    await house.call("GET", f"{at}/btch_none", status=404)
    await house.call("GET", "/v1/batches/btch_none", status=404)
    assert (await house.call("POST", "/v1/batches/list", {"namespace_id": "ns_other"}))["results"] == []


async def test_tiers_run_in_order_and_the_second_reads_the_first(house: House) -> None:
    first = await house.add_collection("first")
    second = await house.add_collection("second", source=first)
    ids = await house.add_objects("a|b", "bad", "c", "d", "e", "f")

    shown = await house.run(ids)

    assert shown["status"] == "COMPLETED_WITH_ERRORS"
    assert shown["dag_tiers"] == [[first], [second]]
    assert [tier["status"] for tier in shown["tier_tasks"]] == ["COMPLETED_WITH_ERRORS", "COMPLETED"]
    assert shown["documents_written"] == 12
    documents = await house.rows("SELECT * FROM documents WHERE collection_id = %(c)s", c=second)
    assert {document["source_type"] for document in documents} == {"collection"}
    assert {document["processing_tier"] for document in documents} == {1}
    assert {document["root_object_id"] for document in documents} == set(ids) - {ids[1]}
    assert documents[0]["lineage_path"] == f"{house.bucket_id}/{first}/{second}"
    for tier in shown["tier_tasks"]:
        task = await house.tasks.read("org_one", tier["task_id"])
        assert task["status"] in {"COMPLETED", "COMPLETED_WITH_ERRORS"}


async def test_objects_are_skipped_replaced_or_repeated_as_asked(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("a|b", "c")

    async def documents() -> list[str]:
        return [row["document_id"] for row in await house.rows("SELECT document_id FROM documents ORDER BY 1")]

    await house.run(ids)
    before = await documents()
    skipped = await house.run([*ids, *await house.add_objects("d")])
    assert (skipped["status"], skipped["documents_written"]) == ("COMPLETED", 1)
    [audit] = skipped["dedup_audit"].values()
    assert audit["skipped"] == 2
    all_skipped = await house.run(ids)
    assert (all_skipped["status"], all_skipped["documents_written"]) == ("COMPLETED", 0)
    async with house.db.write() as tx:
        await tx.execute("UPDATE blobs SET text = 'a' WHERE object_id = %(id)s", {"id": ids[0]})
    replaced = await house.run(ids, dedup_strategy="replace")
    assert (replaced["documents_written"], replaced["documents_replaced"], replaced["documents_deleted"]) == (2, 2, 1)
    assert len(await documents()) == 3
    assert set(await documents()) & set(before)
    forced = await house.run(ids, dedup_strategy="force")
    assert forced["documents_written"] == 2
    assert len(await documents()) == 5


async def test_no_document_is_lost_when_two_replacing_batches_run_at_once(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects(*["slow 0.02 a|b"] * 24)
    await house.run(ids)
    at = f"/v1/buckets/{house.bucket_id}/batches"
    made = [await house.call("POST", at, {"object_ids": ids, "dedup_strategy": "replace"}) for _ in range(2)]
    for batch in made:
        await house.call("POST", f"{at}/{batch['batch_id']}/submit?force=true")

    async with house.working():
        shown = [await house.ended(batch["batch_id"]) for batch in made]

    assert [batch["status"] for batch in shown] == ["COMPLETED", "COMPLETED"]
    assert (await house.rows("SELECT count(*) AS n FROM documents"))[0]["n"] == 48


async def test_documents_stay_when_a_replacing_run_filters_their_objects_out(house: House) -> None:
    collection_id = await house.add_collection("notes")
    first, second = ids = await house.add_objects("a|b", "c|d")
    await house.run(ids)
    async with house.db.write() as tx:
        await tx.execute('UPDATE objects SET fields = \'{"author": "bob"}\' WHERE object_id = %(o)s', {"o": second})
        await tx.execute("UPDATE blobs SET text = 'e' WHERE object_id = %(o)s", {"o": first})
    only = {"AND": [{"field": "author", "operator": "eq", "value": "ann"}]}
    body = {"dedup_strategy": "replace", "source_filters": only}
    made = await house.call("POST", f"/v1/collections/{collection_id}/trigger", body, status=202)
    async with house.working():
        shown = await house.ended(made["batch_ids"][0])

    assert shown["status"] == "COMPLETED", shown
    rows = await house.rows("SELECT payload ->> 'text' AS text FROM documents")
    assert sorted(row["text"] for row in rows) == ["c", "d", "e"]


async def test_a_second_batch_on_the_same_objects_is_refused_until_forced(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("a")
    at = f"/v1/buckets/{house.bucket_id}/batches"
    await house.submit(ids)
    other = (await house.call("POST", at, {"object_ids": ids}))["batch_id"]

    await house.call("POST", f"{at}/{other}/submit", status=409)
    await house.call("POST", f"{at}/{other}/submit?force=true")

    async with house.working():
        assert (await house.ended(other))["status"] == "COMPLETED"


async def test_cancelling_stops_the_rest_and_keeps_what_was_written(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects(*["a"] * 4, *["slow 0.3"] * 40)
    batch_id = await house.submit(ids)

    async with house.working():
        await house.until(lambda shown: (shown["documents_written"] or 0) >= 4, batch_id)
        answer = await house.call("POST", f"/v1/batches/{batch_id}/cancel?reason=enough%00")
    shown = await house.read(batch_id)
    written = (await house.rows("SELECT count(*) AS n FROM documents"))[0]["n"]

    assert answer["cancellation"]["ray_jobs_refused"] == 0
    assert "stay" in answer["additional_data"]["message"]
    assert (shown["status"], shown["lifecycle"]) == ("CANCELED", "canceled")
    assert shown["documents_written"] == written < 44
    assert (await house.tasks.read("org_one", shown["task_id"]))["status"] == "CANCELED"
    at = f"/v1/buckets/{house.bucket_id}/batches/{batch_id}"
    await house.call("POST", f"{at}/cancel", status=400)
    assert (await house.call("DELETE", at))["success"] is True
    await house.call("GET", at, status=404)


async def test_a_chunk_that_is_delivered_twice_is_run_once(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a", "b"))
    async with house.working():
        shown = await house.ended(batch_id)
    arguments = {"namespace_id": NAMESPACE, "batch_id": batch_id, "task_id": shown["task_id"], "tier": 0, "chunk": 0}
    async with house.db.write() as tx:
        await house.queue.enqueue(tx, "batches.run_chunk", [arguments, arguments])
        await house.queue.enqueue(tx, "batches.start_tier", [{k: v for k, v in arguments.items() if k != "chunk"}])

    async with house.working():
        await house.idle()

    assert await house.read(batch_id) == shown
    assert await house.rows("SELECT 1 FROM procrastinate_jobs WHERE status = 'failed'") == []


async def test_a_batch_ends_when_its_objects_or_its_namespace_go_meanwhile(house: House) -> None:
    await house.add_collection("notes")
    lost = await house.submit(await house.add_objects("a", "b"))
    async with house.db.write() as tx:
        await tx.execute("DELETE FROM objects")
    async with house.working():
        shown = await house.ended(lost)
    assert shown["status"] == "FAILED"
    assert "deleted" in shown["failed_objects"][0]["error"]

    orphan = await house.submit(await house.add_objects("a", "b"))
    task_id = (await house.read(orphan))["task_id"]
    async with house.db.write() as tx:
        await tx.execute("DELETE FROM namespaces WHERE namespace_id = 'ns_one'")
    async with house.working():
        await house.idle()
    assert (await house.tasks.read("org_one", task_id))["status"] == "CANCELED"


async def test_killing_the_task_cancels_the_batch(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a"))
    task_id = (await house.read(batch_id))["task_id"]

    await house.tasks.kill("org_one", task_id)

    assert (await house.read(batch_id))["status"] == "CANCELED"
    told = (await house.tasks.read("org_one", task_id))["cancellation"]
    assert told == {"ray_jobs_requested": 1, "ray_jobs_accepted": 1, "ray_jobs_refused": 0}


async def test_lists_are_pages_and_answers_fit_the_official_client(house: House) -> None:
    from mixpeek.models import BatchModel, ListBatchesResponse, TaskResponse

    await house.add_collection("notes")
    at = f"/v1/buckets/{house.bucket_id}/batches"
    ids = await house.add_objects("a", "bad")
    made = [await house.call("POST", at, {"filters": {}, "limit": 2, "metadata": {"tags": ["x"], "more": 1}})]
    made += [await house.call("POST", at, {"object_ids": ids, "batch_name": "b", "auto_submit": True})]
    assert made[0]["object_ids"] == ids
    assert made[1]["status"] == "QUEUED"
    async with house.working():
        ended = await house.ended(made[1]["batch_id"])
    for shown in (*made, ended):
        assert BatchModel.from_dict(shown).batch_id == shown["batch_id"]

    listed = await house.call("POST", f"{at}/list", {"limit": 1})
    ListBatchesResponse.from_dict(listed)
    assert [row["batch_id"] for row in listed["results"]] == [made[1]["batch_id"]]
    assert listed["total_count"] == 2
    cursor = listed["pagination"]["next_cursor"]
    rest = await house.call("POST", "/v1/batches/list", {"limit": 1, "cursor": cursor})
    assert [row["batch_id"] for row in rest["results"]] == [made[0]["batch_id"]]
    drafts = await house.call("POST", "/v1/batches/list", {"status": "draft", "collection_id": None})
    assert drafts["total_count"] == 1
    changed = await house.call("PATCH", f"{at}/{made[0]['batch_id']}", {"metadata": {"source": "s"}})
    assert changed["metadata"] == {"source": "s"}
    answer = await house.call("POST", f"{at}/{made[0]['batch_id']}/cancel")
    TaskResponse.from_dict(answer)


async def test_files_made_on_the_way_are_stored_with_the_document(house: House) -> None:
    await house.add_collection("notes")
    await house.run(await house.add_objects("picture of a cat"))

    [document] = await house.rows("SELECT document_blobs FROM documents")

    [blob] = document["document_blobs"]
    assert (blob["field"], blob["role"]) == ("thumbnail", "thumbnail")
    assert await house.parts.blobs.read(NAMESPACE, blob["checksum"]) == b"picture of a cat"


async def test_files_made_on_the_way_are_swept_when_no_document_has_them(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("picture of a cat", "picture of a dog")
    await house.run(ids)

    async def hashes() -> dict[str, str]:
        rows = await house.rows("SELECT payload, document_blobs FROM documents")
        return {row["payload"]["text"]: row["document_blobs"][0]["checksum"] for row in rows}

    async def stored(sha256: str) -> bool:
        try:
            await house.parts.blobs.read(NAMESPACE, sha256)
        except BlobMissing:
            return False
        return True

    before = await hashes()
    async with house.db.write() as tx:
        await tx.execute("UPDATE blobs SET text = 'picture of a cow' WHERE object_id = %(id)s", {"id": ids[0]})
    await house.run(ids, dedup_strategy="replace")
    await house.objects.sweep(NAMESPACE)
    after = await hashes()
    assert not await stored(before["picture of a cat"])
    assert await stored(after["picture of a cow"])
    assert await stored(after["picture of a dog"])

    async with house.db.write() as tx:
        await tx.execute("DELETE FROM collections WHERE namespace_id = %(id)s", {"id": NAMESPACE})
    await house.objects.sweep(NAMESPACE)
    assert not [sha256 for sha256 in after.values() if await stored(sha256)]


async def test_files_outlive_a_sweep_between_their_storage_and_the_commit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add_collection("notes")
    put, blobs = house.parts.blobs.put_all, house.parts.blobs

    swept: list[str] = []

    async def put_and_swept(namespace_id: Any, items: Sequence[bytes]) -> Any:
        stored = await put(namespace_id, items)
        if b"picture of a cat" in items:
            monkeypatch.setattr(blobs, "put_all", put)
            swept.extend(one.sha256 for one in stored)
            async with house.db.write() as tx:
                await house.objects.unreferenced(tx.within(NAMESPACE), swept)
            await house.objects.sweep(NAMESPACE)
        return stored

    ids = await house.add_objects("picture of a cat")
    monkeypatch.setattr(blobs, "put_all", put_and_swept)
    await house.run(ids)

    assert swept
    [document] = await house.rows("SELECT document_blobs FROM documents")
    checksum = document["document_blobs"][0]["checksum"]
    assert await blobs.read(NAMESPACE, checksum) == b"picture of a cat"


async def test_files_of_a_batch_that_is_cancelled_before_its_commit_are_swept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add_collection("notes")
    put, blobs = house.parts.blobs.put_all, house.parts.blobs
    hashes: list[str] = []

    async def put_and_cancelled(*arguments: Any, **given: Any) -> Any:
        stored = await put(*arguments, **given)
        hashes.extend(one.sha256 for one in stored)
        async with house.db.write() as tx:
            await tx.execute("UPDATE batches SET status = 'CANCELED'")
        return stored

    ids = await house.add_objects("picture of a cat")
    monkeypatch.setattr(blobs, "put_all", put_and_cancelled)
    await house.run(ids)
    monkeypatch.setattr(blobs, "put_all", put)

    async def gone() -> bool:
        await house.objects.sweep(NAMESPACE)
        try:
            await blobs.read(NAMESPACE, hashes[0])
        except BlobMissing:
            return True
        return False

    async with asyncio.timeout(30):
        while not await gone():
            await asyncio.sleep(0.05)


async def test_a_trigger_sends_everything_of_the_sources_through(house: House) -> None:
    from mixpeek.models import TriggerCollectionResponse

    first = await house.add_collection("first")
    second = await house.add_collection("second", source=first)
    nothing = await house.call("POST", f"/v1/collections/{first}/trigger", status=202)
    assert (await house.read(nothing["batch_id"]))["status"] == "FAILED"
    task = await house.tasks.read("org_one", nothing["task_id"])
    assert (task["status"], task["additional_data"]["batch_id"]) == ("FAILED", nothing["batch_id"])
    ids = await house.add_objects("a|b", "c")

    made = await house.call("POST", "/v1/collections/first/trigger", status=202)
    TriggerCollectionResponse.from_dict(made)
    async with house.working():
        shown = await house.ended(made["batch_id"])
        again = await house.call("POST", f"/v1/collections/{second}/trigger", {"dedup_strategy": "replace"}, status=202)
        repeated = await house.ended(again["batch_id"])

    assert (made["object_count"], made["total_tiers"], made["source_bucket_ids"]) == (2, 2, [house.bucket_id])
    assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 6)
    assert (repeated["type"], repeated["dag_tiers"]) == ("COLLECTION", [[second]])
    assert (repeated["status"], repeated["documents_written"]) == ("COMPLETED", 3)
    assert (await house.rows("SELECT count(*) AS n FROM documents"))[0]["n"] == 6
    task = await house.tasks.read("org_one", made["task_id"])
    assert task["additional_data"]["trigger"] == {"batch_ids": [made["batch_id"]], "object_count": 2}
    for body, status in (
        ({"include_buckets": ["bkt_other"]}, 422),
        ({"include_collections": [second]}, 422),
        ({"object_ids": ["obj_none"]}, 422),
        ({"reembed": {}}, 501),
    ):
        await house.call("POST", f"/v1/collections/{first}/trigger", body, status=status)
    await house.call("PATCH", f"/v1/collections/{first}", {"enabled": False})
    await house.call("POST", f"/v1/collections/{first}/trigger", {"object_ids": ids}, status=400)


async def test_filters_choose_objects_and_an_overstrict_one_fails_the_batch(house: House) -> None:
    strict = {"filters": {"AND": [{"field": "author", "operator": "eq", "value": "bob"}]}}
    source = {"type": "bucket", "bucket_ids": [house.bucket_id], "source_filters": strict}
    await house.add_collection("bobs", body={"source": source})
    await house.add_objects("a", "b")

    shown = await house.run(None, filters={"author": "ann"})

    assert shown["status"] == "FAILED"
    assert "source_filters" in shown["failure_reason"]
    [tier] = shown["tier_tasks"]
    assert (tier["source_documents_fetched"], tier["documents_after_source_filter"]) == (2, 0)


async def test_deleting_the_bucket_cancels_its_batches(house: House) -> None:
    await house.add_collection("notes")
    batch_id = await house.submit(await house.add_objects("a"))

    async with house.working():
        await house.call("DELETE", f"/v1/buckets/{house.bucket_id}")
        await house.idle()

    shown = await house.call("GET", f"/v1/batches/{batch_id}")
    assert shown["status"] in {"CANCELED", "COMPLETED", "FAILED"}
    assert (await house.tasks.read("org_one", shown["task_id"]))["status"] == shown["status"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM objects WHERE object_id = %(object_id)s",
        "UPDATE objects SET lifecycle_state = 'disabled' WHERE object_id = %(object_id)s",
    ],
)
async def test_nothing_outlives_an_object_that_goes_while_it_is_extracted(
    house: House, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    collection = await house.add_collection("notes")
    going, staying = await house.add_objects("a", "b")
    run = house.parts.compute.run

    async def run_and_lose(*arguments: Any, **options: Any) -> Any:
        results = await run(*arguments, **options)
        async with house.db.write() as tx:
            await tx.execute(statement, {"object_id": going})
        return results

    monkeypatch.setattr(house.parts.compute, "run", run_and_lose)
    ended = await house.run([going, staying])

    rows = await house.rows("SELECT root_object_id FROM documents WHERE collection_id = %(id)s", id=collection)
    assert [row["root_object_id"] for row in rows] == [staying]
    assert ended["status"] == "COMPLETED_WITH_ERRORS"
    assert ended["tier_tasks"][0]["audit"]["balanced"] is True


async def test_a_draft_that_nobody_touches_is_cancelled_when_the_settings_say_so(house: House) -> None:
    at = f"/v1/buckets/{house.bucket_id}/batches"
    old = (await house.call("POST", at))["batch_id"]
    young = (await house.call("POST", at))["batch_id"]
    async with house.db.write() as tx:
        await tx.execute(
            "UPDATE batches SET updated_at = now() - interval '1 hour' WHERE batch_id = %(id)s", {"id": old}
        )

    await house.batches.expire_draft(namespace_id=NAMESPACE, batch_id=old)
    assert (await house.read(old))["status"] == "DRAFT"
    worker = house.parts.worker.model_copy(update={"draft_minutes": 30})
    reaping = Batches(replace(house.parts, worker=worker))
    for batch_id in (old, young):
        await reaping.expire_draft(namespace_id=NAMESPACE, batch_id=batch_id)

    assert (await house.read(old))["status"] == "CANCELED"
    assert (await house.read(young))["status"] == "DRAFT"


async def test_new_objects_are_processed_at_once_when_asked(house: House) -> None:
    await house.add_collection("notes")
    scope = (await KeysAreNames().enter("sk_one", None, origin=None)).scope
    raw = {"blobs": [{"property": "content", "type": "text", "data": "hello"}]}

    async with house.working():
        created = await house.objects.create(scope, house.bucket_id, raw, auto_process=True)
        assert created.processing is not None
        shown = await house.ended(created.processing[0])

    assert (shown["status"], shown["documents_written"]) == ("COMPLETED", 1)


async def test_a_bucket_tells_of_its_batches(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("fine", "bad")
    await house.call("POST", f"/v1/buckets/{house.bucket_id}/batches")
    await house.run(ids[:1])
    await house.run(ids[1:])
    expected = {"total": 3, "active": 0, "completed": 1, "failed": 1}

    assert (await house.call("GET", f"/v1/buckets/{house.bucket_id}"))["batch_stats"] == expected
    await house.submit(ids[1:])
    [listed] = (await house.call("POST", "/v1/buckets/list", {}))["results"]
    assert listed["batch_stats"] == expected | {"total": 4, "active": 1}


async def test_sources_are_renamed_when_the_collection_maps_their_fields(house: House) -> None:
    schema = {"properties": {"body": {"type": "text"}, "by": {"type": "string"}}}
    other = (await house.call("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema}))["bucket_id"]
    entries = [{"source_path": "body", "target_path": "content"}, {"source_path": "by", "target_path": "author"}]
    source = {"type": "bucket", "bucket_ids": [house.bucket_id, other], "field_map": {other: entries}}
    await house.add_collection("both", body={"source": source})
    scope = (await KeysAreNames().enter("sk_one", None, origin=None)).scope
    raw = {"by": "bob", "blobs": [{"property": "body", "type": "text", "data": "hello"}]}
    created = await house.objects.create(scope, other, raw)
    at = f"/v1/buckets/{other}/batches"
    async with house.working():
        made = await house.call("POST", at, {"object_ids": [created.object.object_id], "auto_submit": True})
        house.bucket_id = other
        shown = await house.ended(made["batch_id"])
    assert shown["status"] == "COMPLETED", shown
    [row] = await house.rows("SELECT payload FROM documents")
    assert {name: row["payload"][name] for name in ("text", "author")} == {"text": "hello", "author": "bob"}
