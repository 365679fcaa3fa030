"""The journal tells what happened to a batch, and stays small."""

from __future__ import annotations

import asyncio

import pytest
from tests.batches import NAMESPACE, open_house

from prismhouse.api.batches.store import journal
from prismhouse.api.batches.store.journal import JournalEvent


@pytest.fixture
async def house(dsn, db, tmp_path):
    async with open_house(dsn, db, tmp_path) as opened:
        await opened.add_bucket()
        yield opened


async def _note(house, batch_id, number, **more):
    values = {"tier": 0, "level": "warning", "event": JournalEvent.CHUNK_RETRIED, "message": f"chunk {number}"}
    async with house.db.write() as unit:
        await journal.record(unit.within(NAMESPACE), batch_id, **{**values, **more})


async def _entries(house, batch_id, **more):
    async with house.db.read() as unit:
        return (await journal.entries(unit.within(NAMESPACE), [batch_id], **more)).get(batch_id, [])


async def test_milestones_are_told_in_order_when_a_batch_has_run(house):
    await house.add_collection("first")
    batch = await house.run(await house.add_objects("one", "two"))

    found = await _entries(house, batch["batch_id"])

    assert [item.event for item in found] == [
        "batch.created",
        "batch.submitted",
        "tier.started",
        "tier.ended",
        "batch.ended",
    ]
    assert found[2].details["collections"][house.collections["first"]]["submitted"] == 2
    assert found[-1].message == "COMPLETED: 2 documents written."


async def test_newest_entries_of_an_event_are_kept_when_there_are_too_many(house):
    await house.add_collection("first")
    batch_id = await house.submit(await house.add_objects("one"))
    for number in range(205):
        await _note(house, batch_id, number)

    found = await _entries(house, batch_id)

    retried = [item for item in found if item.event == "chunk.retried"]
    assert len(retried) == 200
    assert (retried[0].number, retried[0].message, retried[-1].message) == (6, "chunk 5", "chunk 204")
    assert found[0].event == "batch.created"


async def test_entries_do_not_wait_for_each_other_when_written_at_once(house):
    await house.add_collection("first")
    batch_id = await house.submit(await house.add_objects("one"))
    for number in range(200):
        await _note(house, batch_id, number)

    async with asyncio.timeout(20), house.db.write() as first, house.db.write() as second:
        for unit in (first, second, first, second):
            await journal.record(
                unit.within(NAMESPACE), batch_id, tier=0, level="info", event=JournalEvent.CHUNK_RETRIED, message="x"
            )

    assert len([item for item in await _entries(house, batch_id) if item.message == "x"]) == 4


async def test_entry_is_stored_when_it_holds_what_the_database_cannot(house):
    await house.add_collection("first")
    batch_id = await house.submit(await house.add_objects("one"))

    await _note(house, batch_id, 1, message="a\x00b\udcff", details={"k\x00": ["\x00\\u0000", {"deep": "\ud800"}]})
    await _note(house, batch_id, 2, message="m" * 5000, details={"infrastructure": "oom", "long": "x" * 9000})

    odd, long = (await _entries(house, batch_id))[-2:]
    assert (odd.message, odd.details) == ("ab?", {"k": ["\\u0000", {"deep": "?"}]})
    assert len(long.message) == 2000
    assert long.details == {"infrastructure": "oom", "left_out": long.details["left_out"]}


async def test_entries_go_when_their_batch_is_deleted(house):
    await house.add_collection("first")
    batch = await house.run(await house.add_objects("one"))

    await house.call("DELETE", f"/v1/buckets/{house.bucket_id}/batches/{batch['batch_id']}")

    assert await house.rows("SELECT 1 FROM batch_journal") == []
    assert await house.rows("SELECT 1 FROM batch_amounts") == []
