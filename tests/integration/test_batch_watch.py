"""Many who watch one batch cost one look a moment, and nothing is left when they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.batches import NAMESPACE, House, open_house

from prismhouse.api.batches.service.moments import Seen
from prismhouse.api.batches.service.watch import Watching
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.streams import Events
from prismhouse.kit.ids import OrganizationId
from prismhouse.storage.postgres.database import Database

SCOPE = Scope(organization_id=OrganizationId("org_one"), namespace_id=NAMESPACE)


@pytest.fixture
async def house(dsn: str, db: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn, db, tmp_path) as opened:
        await opened.add_bucket()
        yield opened


async def collected(events: Events) -> list[str]:
    return [event.name async for event in events if event is not None]


async def test_many_readers_share_one_poll_and_leave_nothing(house: House) -> None:
    await house.add_collection("first")
    batch_id = await house.submit(await house.add_objects(*["text"] * 10))
    watching = Watching(house.parts, pause_seconds=0.05)

    moment = await watching.find(SCOPE, batch_id, bucket=None)
    readers = [asyncio.create_task(collected(watching.events(NAMESPACE, moment, seen=Seen()))) for _ in range(20)]
    async with house.working(), asyncio.timeout(30):
        while not watching.watched:
            await asyncio.sleep(0.01)
        assert watching.watched == 1
        shown = await asyncio.gather(*readers)

    assert all(names[-1] == "end" and names.count("end") == 1 for names in shown)
    assert watching.watched == 0


async def test_a_reader_who_goes_frees_its_poll(house: House) -> None:
    await house.add_collection("first")
    batch_id = await house.submit(await house.add_objects("text"))
    watching = Watching(house.parts, pause_seconds=0.05)
    events = watching.events(NAMESPACE, await watching.find(SCOPE, batch_id, bucket=None), seen=Seen())

    first = await anext(events)

    assert first is not None
    assert watching.watched == 1
    await events.aclose()
    assert watching.watched == 0


async def test_a_stream_ends_when_its_batch_is_deleted(house: House) -> None:
    at = f"/v1/buckets/{house.bucket_id}/batches"
    batch = await house.call("POST", at, {})
    watching = Watching(house.parts, pause_seconds=0.05)
    events = watching.events(NAMESPACE, await watching.find(SCOPE, batch["batch_id"], bucket=None), seen=Seen())
    assert await anext(events) is not None

    await house.call("DELETE", f"{at}/{batch['batch_id']}")

    async with asyncio.timeout(10):
        assert await collected(events) == []
    assert watching.watched == 0
