"""The change feed: each event once, in one order, whoever writes beside whom."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from prismhouse.server.wiring import House

from .conftest import WEBHOOKS, Place, opened_place, soon


async def read(place: Place, cursor: str | None = None, **query: Any) -> dict[str, Any]:
    """Return a page of the feed."""
    answer = await place.client.get("/v1/events", params={**query, **({"cursor": cursor} if cursor else {})})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def emit(house: House, tx: Any, organization_id: str, resource_id: str, number: int) -> None:
    """Write an event about a resource."""
    await house.events.emit(
        tx,
        organization_id=organization_id,
        namespace_id="ns_1",
        event_type="object.updated",
        resource_id=resource_id,
        payload={"number": number, "resource": resource_id},
    )


async def test_each_event_comes_once_and_in_order_when_writers_hold_their_transactions_open(place: Place) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    writing = {"on": True}
    committed: list[tuple[str, int]] = []
    counters = dict.fromkeys((f"res_{n}" for n in range(4)), 0)
    locks = {name: asyncio.Lock() for name in counters}

    async def writer() -> None:
        for _ in range(15):
            names = chance.sample(sorted(counters), chance.randint(1, 2))
            names.sort()
            try:
                async with place.house.db.write() as tx:
                    if chance.random() < 0.5:  # a transaction id long before the event
                        await tx.execute("SELECT pg_current_xact_id()")
                        await asyncio.sleep(chance.random() * 0.02)
                    for name in names:
                        await locks[name].acquire()
                    for name in names:
                        counters[name] += 1
                        await emit(place.house, tx, place.organization_id, name, counters[name])
                        await asyncio.sleep(chance.random() * 0.01)
                    numbers = [(name, counters[name]) for name in names]
                    if chance.random() < 0.2:
                        for name in names:
                            counters[name] -= 1
                        raise RuntimeError("rolled back")  # noqa: TRY301 - the transaction must see it
                committed.extend(numbers)
            except RuntimeError:
                pass
            finally:
                for name in names:
                    if locks[name].locked():
                        locks[name].release()

    async def reader(limit: int) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        cursor = None
        while True:
            last = not writing["on"]
            page = await read(place, cursor, limit=limit)
            seen += page["results"]
            cursor = page["next_cursor"]
            if last and not page["results"]:
                return seen

    readers = [asyncio.create_task(reader(limit)) for limit in (1, 3, 100)]
    await asyncio.gather(*(writer() for _ in range(6)))
    writing["on"] = False
    feeds = await asyncio.gather(*readers)

    for feed in feeds:
        ours = [event for event in feed if event["event_type"] == "object.updated"]
        places = [event["seq"] for event in feed]
        assert places == sorted(set(places))
        assert len(ours) == len(committed)
        for name in counters:
            told = [event["payload"]["number"] for event in ours if event["payload"]["resource"] == name]
            assert told == list(range(1, counters[name] + 1))
    assert feeds[0] == feeds[1] == feeds[2]


async def test_a_late_commit_is_not_missed_when_a_reader_went_past_its_sequence(place: Place) -> None:
    house, organization_id = place.house, place.organization_id
    async with house.db.write() as slow:
        await emit(house, slow, organization_id, "obj_slow", 1)
        async with house.db.write() as quick:
            await emit(house, quick, organization_id, "obj_quick", 2)
        first = await read(place)
    second = await read(place, first["next_cursor"])

    assert [event["payload"]["number"] for event in first["results"]] == [2]
    assert [event["payload"]["number"] for event in second["results"]] == [1]
    assert second["results"][0]["seq"] > first["results"][0]["seq"]


async def test_a_transaction_that_stays_open_holds_nobody_back_when_others_commit(place: Place) -> None:
    async with place.house.db.write() as open_one:
        await open_one.execute("SELECT pg_current_xact_id()")
        await place.tell("obj_1", "obj_2")

        page = await read(place)

    assert len(page["results"]) == 2


async def test_an_empty_page_returns_the_same_cursor_when_nothing_happened(place: Place) -> None:
    empty = await read(place)
    await place.tell("obj_1")
    one = await read(place, empty["next_cursor"])
    none = await read(place, one["next_cursor"])

    assert (empty["results"], empty["has_more"]) == ([], False)
    assert len(one["results"]) == 1
    assert none["results"] == []
    assert none["next_cursor"] == one["next_cursor"] == one["results"][0]["cursor"]


async def test_filters_narrow_the_feed(place: Place) -> None:
    await place.tell("obj_1", event_type="object.created")
    await place.tell("col_1", event_type="collection.documents.written", collection_id="col_1")
    async with place.house.db.write() as tx:
        await place.house.events.emit(
            tx,
            organization_id=place.organization_id,
            namespace_id="ns_2",
            event_type="object.deleted",
            resource_id="obj_1",
            payload={},
        )

    of_type = await read(place, event_type="collection.documents.written")
    of_namespace = await read(place, namespace_id="ns_2")
    by_header = await place.client.get("/v1/events", headers={"X-Namespace": "ns_2"})
    pages = [await read(place, limit=2)]
    while pages[-1]["has_more"]:
        pages.append(await read(place, pages[-1]["next_cursor"], limit=2))

    assert [(one["resource_type"], one["operation"]) for one in of_type["results"]] == [("collection", "insert")]
    assert [(one["namespace_id"], one["operation"]) for one in of_namespace["results"]] == [("ns_2", "delete")]
    assert by_header.json()["results"] == of_namespace["results"]
    assert [len(page["results"]) for page in pages] == [2, 1]
    wrong = await place.client.get("/v1/events", params={"event_type": "object.eaten"})
    assert wrong.status_code == 422
    assert "object.created" in wrong.text
    for cursor in ("nonsense", "W10", "WyJldmVudHMiLC0xXQ", "WyJldmVudHMiLDFlMzBd"):
        assert (await place.client.get("/v1/events", params={"cursor": cursor})).status_code == 400
    assert (await place.client.get("/v1/events", params={"limit": 1001})).status_code == 422


async def test_an_old_cursor_is_refused_when_events_after_it_were_forgotten(dsn: str, tmp_path: Path) -> None:
    async with opened_place(dsn, tmp_path, retention_days=30) as place:
        await place.tell("obj_1")
        before = await read(place)
        await place.tell("obj_2")
        await read(place)
        async with place.house.db.write() as tx:
            await tx.execute("UPDATE events SET created_at = now() - interval '31 days'")
        await place.tell("obj_3")
        last = await read(place)

        assert await place.house.feed.forget() == 2

        refused = await place.client.get("/v1/events", params={"cursor": before["next_cursor"]})
        anew = await read(place)
        going_on = await read(place, last["next_cursor"])
    assert refused.status_code == 400
    assert "start again without a cursor" in refused.text
    assert [event["seq"] for event in anew["results"]] == [3]
    assert going_on["results"] == []


async def test_an_old_event_is_kept_when_a_delivery_waits_for_it(dsn: str, tmp_path: Path) -> None:
    async with opened_place(dsn, tmp_path, retention_days=30) as place:
        webhook = await place.subscribe("http://127.0.0.1:9/nobody")
        await place.tell("obj_1")
        assert await place.house.feed.place() is False
        async with place.house.db.write() as tx:
            await tx.execute("UPDATE events SET created_at = now() - interval '31 days'")

        kept = await place.house.feed.forget()
        await place.client.delete(f"{WEBHOOKS}/{webhook['webhook_id']}")
        gone = await place.house.feed.forget()

    assert (kept, gone) == (0, 1)


async def test_no_event_of_another_organization_is_seen(place: Place) -> None:
    _, other_key = await place.house.organizations.create(name="other")
    await place.tell("obj_1")

    answer = await place.client.get("/v1/events", headers={"Authorization": f"Bearer {other_key}"})

    assert answer.json()["results"] == []


async def test_a_limited_key_reads_the_events_of_its_namespaces_alone(place: Place) -> None:
    made = await place.client.post("/v1/namespaces", json={"namespace_name": "open"})
    namespace_id = made.json()["namespace_id"]
    user = "/v1/organizations/users/admin@localhost/api-keys"
    scope = {"resource_type": "namespace", "resource_id": namespace_id, "operations": ["read_data"]}
    limited = (await place.client.post(user, json={"name": "limited", "scopes": [scope]})).json()["key"]
    bound = (await place.client.post(user, json={"name": "bound", "principal_id": "ann"})).json()["key"]
    await place.tell("obj_1")
    async with place.house.db.write() as tx:
        await place.house.events.emit(
            tx,
            organization_id=place.organization_id,
            namespace_id=namespace_id,
            event_type="object.created",
            resource_id="obj_2",
            payload={},
        )

    seen = await place.client.get("/v1/events", headers={"Authorization": f"Bearer {limited}"})
    closed = await place.client.get("/v1/events?namespace_id=ns_1", headers={"Authorization": f"Bearer {limited}"})
    refused = await place.client.get("/v1/events", headers={"Authorization": f"Bearer {bound}"})

    assert [event["namespace_id"] for event in seen.json()["results"]] == [namespace_id]
    assert closed.json()["results"] == []
    assert refused.status_code == 403


async def test_places_go_on_when_the_server_is_another_one(place: Place) -> None:
    """Nothing in the feed rests on transaction ids, which start anew after a dump and restore."""
    await place.tell("obj_1")
    first = await read(place)
    async with place.house.db.write() as tx:
        columns = await tx.fetch_all(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'events'"
        )

    assert not {row["data_type"] for row in columns} & {"xid", "xid8", "pg_snapshot"}
    await place.tell("obj_2")
    await soon(lambda: read(place, first["next_cursor"]), until=lambda page: len(page["results"]) == 1)
