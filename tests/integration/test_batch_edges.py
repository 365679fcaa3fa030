"""Batches where several things come together: what steers them crosses, and what they need goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.batches import NAMESPACE, House, open_house

from prismhouse.api.batches.service.unwrite import delete_documents, delete_rest
from prismhouse.engine.inference.errors import ModelNotFound
from prismhouse.storage.postgres.database import Database


@pytest.fixture
async def house(dsn: str, db: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn, db, tmp_path) as opened:
        await opened.add_bucket()
        yield opened


def at(house: House, batch_id: str) -> str:
    return f"/v1/buckets/{house.bucket_id}/batches/{batch_id}"


async def books(house: House, batch_id: str) -> list[dict[str, Any]]:
    """Return the tiers of an ended batch's audit: balanced, nothing lost, and the same as stands with the tiers."""
    audit = await house.call("GET", f"{at(house, batch_id)}/audit")
    assert audit["all_balanced"], audit
    assert not audit["has_lost_objects"], audit
    shown = await house.read(batch_id)
    assert [tier["audit"] for tier in shown["tier_tasks"]] == audit["tiers"]
    assert shown["unaccounted_object_count"] is None
    tiers: list[dict[str, Any]] = audit["tiers"]
    return tiers


async def change(house: House, object_id: str, text: str) -> None:
    async with house.db.write() as tx:
        await tx.execute("UPDATE blobs SET text = %(t)s WHERE object_id = %(o)s", {"o": object_id, "t": text})


async def both(house: House, *calls: tuple[str, str]) -> list[int]:
    """Make calls at once and return their states."""
    answers = await asyncio.gather(*(house.client.request(method, path) for method, path in calls))
    return sorted(answer.status_code for answer in answers)


async def test_every_tier_keeps_its_books_when_a_batch_is_cancelled(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    waiting = await house.submit(await house.add_objects("a"))
    await house.call("POST", f"{at(house, waiting)}/cancel")
    assert [tier["submitted"] for tier in await books(house, waiting)] == [0, 0]

    running = await house.submit(await house.add_objects(*["a"] * 4, *["slow 0.3"] * 12))
    async with house.working():
        await house.until(lambda shown: (shown["documents_written"] or 0) >= 4, running)
        await house.call("POST", f"{at(house, running)}/cancel")
    assert (await books(house, running))[0]["processed"] >= 4


async def test_nothing_is_out_of_balance_when_a_draft_is_cancelled(house: House) -> None:
    draft = (await house.call("POST", f"/v1/buckets/{house.bucket_id}/batches"))["batch_id"]
    await house.call("POST", f"{at(house, draft)}/cancel")
    assert await books(house, draft) == []


async def test_every_tier_keeps_its_books_when_a_batch_fails_as_a_whole(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    shown = await house.run(await house.add_objects("missing", *["a"] * 9))
    assert shown["status"] == "FAILED"
    assert (await books(house, shown["batch_id"]))[0]["failed"] >= 4


async def test_every_tier_keeps_its_books_when_a_tier_is_cancelled(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    batch_id = await house.submit(await house.add_objects("a", "b"))
    await house.call("POST", f"{at(house, batch_id)}/tiers/1/cancel")
    async with house.working():
        shown = await house.ended(batch_id)
    assert shown["status"] == "COMPLETED_WITH_ERRORS"
    assert [tier["submitted"] for tier in await books(house, batch_id)] == [2, 0]


async def test_the_books_are_true_again_when_a_retry_was_cancelled(house: House) -> None:
    first = await house.add_collection("first")
    await house.add_collection("second", source=first)
    ids = await house.add_objects("a", "busy one")
    batch_id = (await house.run(ids))["batch_id"]
    await change(house, ids[1], "slow 50")
    await house.call("POST", f"{at(house, batch_id)}/retry", {})
    await house.call("POST", f"{at(house, batch_id)}/cancel")
    assert [(tier["processed"], tier["failed"]) for tier in await books(house, batch_id)] == [(1, 1), (1, 0)]


async def test_one_of_two_wins_when_both_start_a_batch(house: House) -> None:
    await house.add_collection("notes")
    ids = await house.add_objects("a", "busy")
    draft = (await house.call("POST", f"/v1/buckets/{house.bucket_id}/batches", {"object_ids": ids}))["batch_id"]
    one = at(house, draft)
    assert await both(house, *[("POST", f"{one}/submit")] * 3) == [200, 400, 400]
    async with house.working():
        await house.ended(draft)
    assert await both(house, *[("POST", f"{one}/resubmit")] * 3) == [200, 400, 400]
    async with house.working():
        await house.ended(draft)
    assert await both(house, *[("POST", f"{one}/retry")] * 2, ("POST", f"{one}/tiers/0/retry")) == [200, 400, 400]
    async with house.working():
        await house.ended(draft)
    await books(house, draft)
    assert len(await house.rows("SELECT 1 FROM documents")) == 1


async def test_a_batch_that_somebody_else_submitted_is_no_failure_when_all_drafts_are_submitted(house: House) -> None:
    await house.add_collection("notes")
    path = f"/v1/buckets/{house.bucket_id}/batches"
    for name in await house.add_objects(*"abcd"):
        await house.call("POST", path, {"object_ids": [name]})
    answers = await asyncio.gather(*(house.call("POST", f"{path}/submit-all") for _ in range(3)))
    assert sum(answer["submitted"] for answer in answers) == 4
    assert sum(answer["failed"] for answer in answers) == 0, answers


async def test_failed_rows_are_retried_when_another_collection_of_the_batch_is_gone(house: House) -> None:
    first = await house.add_collection("first")
    second = await house.add_collection("second", source=first)
    beside = await house.add_collection("beside")
    ids = await house.add_objects("a", "busy")
    batch_id = (await house.run(ids))["batch_id"]
    await change(house, ids[1], "now")
    for name in (second, beside):
        async with house.db.write() as tx:
            await tx.execute("DELETE FROM documents WHERE collection_id = %(c)s", {"c": name})
            await tx.execute("DELETE FROM collections WHERE collection_id = %(c)s", {"c": name})

    answer = await house.call("POST", f"{at(house, batch_id)}/retry", {})
    async with house.working():
        shown = await house.ended(batch_id)

    assert answer["retried_count"] == 1
    assert shown["documents_written"] == 4, shown["failure_reason"]
    assert shown["status"] == "COMPLETED_WITH_ERRORS"


async def _fill(house: House, batch_id: str, count: int) -> None:
    async with house.db.write() as tx:
        await tx.execute(
            "INSERT INTO batch_objects SELECT %(n)s, %(b)s, %(b)s || i, i FROM generate_series(1, %(count)s) AS i",
            {"n": NAMESPACE, "b": batch_id, "count": count},
        )
        await tx.execute("UPDATE batches SET object_count = %(c)s WHERE batch_id = %(b)s", {"b": batch_id, "c": count})


async def test_many_objects_are_compared_at_once_when_statistics_know_nothing_of_them(house: House) -> None:
    await house.add_collection("notes")
    path = f"/v1/buckets/{house.bucket_id}/batches"
    async with house.db.write() as tx:
        await tx.execute("ALTER TABLE batch_objects SET (autovacuum_enabled = off)")
    large = [(await house.call("POST", path))["batch_id"] for _ in range(2)]
    for batch_id in large:
        await _fill(house, batch_id, 20_000)

    async with asyncio.timeout(10):
        for batch_id in large:
            await house.call("POST", f"{path}/{batch_id}/submit")


async def test_a_failed_batch_claims_no_retries_when_it_makes_none(house: House) -> None:
    await house.add_collection("notes")
    shown = await house.run(await house.add_objects("missing"))
    assert (shown["status"], shown["max_retries"], shown["retry_count"]) == ("FAILED", 0, 0)


async def test_an_end_user_deletes_only_what_may_be_changed_when_a_batch_is_emptied(house: House) -> None:
    await house.add_collection("notes")
    batch_id = (await house.run(await house.add_objects("a", "b", "c")))["batch_id"]
    ids = [row["document_id"] for row in await house.rows("SELECT document_id FROM documents ORDER BY 1")]
    async with house.db.write() as tx:
        for name, rights in ((ids[0], '{"owner": "ann"}'), (ids[1], '{"read": ["ann"], "public": true}')):
            await tx.execute(
                "UPDATE documents SET internal = internal || jsonb_build_object('_acl', %(a)s::jsonb)"
                " WHERE document_id = %(d)s",
                {"a": rights, "d": name},
            )

    answer = await delete_documents(house.parts, NAMESPACE, batch_id, bucket=house.bucket_id, principal="ann")
    await delete_rest(house.parts, namespace_id=NAMESPACE, batch_id=batch_id, principal_id="ann")

    assert (answer["deleted_count"], answer["complete"]) == (1, True)
    assert [row["document_id"] for row in await house.rows("SELECT document_id FROM documents ORDER BY 1")] == ids[1:]
    await house.call("DELETE", f"{at(house, batch_id)}/documents")
    assert await house.rows("SELECT 1 FROM documents") == []


@pytest.mark.parametrize("vanishes_at", ["its tier", "its chunk"])
async def test_a_batch_fails_with_a_reason_and_balanced_books_when_a_model_vanishes_before(
    house: House, monkeypatch: pytest.MonkeyPatch, vanishes_at: str
) -> None:
    first = await house.add_collection("first")
    extractor = {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "input_mappings": {"text": "text"},
        "parameters": {"split_by": "words"},
    }
    second = await house.add_collection("second", source=first, body={"feature_extractor": extractor})
    batch = await house.submit(await house.add_objects("a", "b"))
    left = {"its tier": 0, "its chunk": 1}[vanishes_at]

    def check(_: str, parameters: Mapping[str, Any]) -> None:
        nonlocal left
        if parameters["split_by"] == "words":
            left -= 1
            if left < 0:
                raise ModelNotFound(model="gone_v1", known="others")

    monkeypatch.setattr(house.parts.catalogue, "check", check)
    async with house.working():
        ended = await house.ended(batch)
        await house.idle()

    assert ended["status"] == "FAILED"
    assert f"The collection {second} cannot run any more" in ended["error"]
    assert "gone_v1" in ended["error"]
    made, _ = await books(house, batch)
    assert made["processed"] == 2
    assert ended["documents_written"] == 2
    again = await house.call(
        "POST", f"/v1/buckets/{house.bucket_id}/batches", {"object_ids": await house.add_objects("c")}
    )
    refused = await house.call("POST", f"{at(house, again['batch_id'])}/submit", status=503)
    assert "cannot run any more" in refused["error"]["message"]
