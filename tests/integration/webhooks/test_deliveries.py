"""Deliveries: at least once, signed, in order per resource, whatever the receiver does."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from zlib import crc32

import pytest
from tests.receiver import Message, Receiver

from .conftest import SECRET, WEBHOOKS, Place, opened_place, soon


async def test_an_event_arrives_signed_when_a_webhook_asks_for_it(place: Place, receiver: Receiver) -> None:
    await place.subscribe(receiver.url, "batch.completed")

    async with place.delivering():
        await place.tell("obj_1", event_type="object.created")
        await place.tell("btch_1", event_type="batch.completed", batch_id="btch_1", status="COMPLETED")
        [message] = await soon(lambda: list(receiver.taken))

    message.verify(SECRET)
    content = message.content
    assert message.headers["content-type"] == "application/json"
    assert set(content) == {
        "event_id",
        "event_type",
        "occurred_at",
        "namespace_id",
        "subject",
        "metadata",
        "cache_scope",
    }
    assert content["event_id"] == message.event_id
    assert content["subject"] == {"type": "batch", "id": "btch_1"}
    assert content["metadata"] == {"batch_id": "btch_1", "status": "COMPLETED"}
    assert message.headers["x-mixpeek-signature"].startswith("t=")


async def test_order_is_kept_per_resource_when_the_receiver_fails_at_random(place: Place, receiver: Receiver) -> None:
    webhook = await place.subscribe(receiver.url)
    tries: Counter[str] = Counter()

    def moody(message: Message) -> str:
        tries[message.event_id] += 1
        kinds = ("500", "close", "429", "200")
        return "200" if tries[message.event_id] > 2 else kinds[crc32(message.event_id.encode()) % 4]

    receiver.behave = moody
    names = [f"obj_{number % 10}" for number in range(100)]

    async with place.delivering():
        for name in names:
            await place.tell(name)
        await soon(lambda: sum(map(len, receiver.by_subject().values())), until=lambda count: count == 100)
        log = await soon(
            lambda: place.deliveries(webhook), until=lambda rows: all(row["status"] == "delivered" for row in rows)
        )

    order = {row["event_id"]: row["seq"] for row in log}
    for messages in receiver.by_subject().values():
        places = [order[message.event_id] for message in messages]
        assert places == sorted(places)
        assert len(places) == 10
    assert max(Counter(message.event_id for message in receiver.taken).values()) == 1
    for message in receiver.messages:
        message.verify(SECRET)


async def test_one_failing_resource_does_not_hold_back_others_when_its_events_fail(
    place: Place, receiver: Receiver
) -> None:
    webhook = await place.subscribe(receiver.url)
    receiver.behave = lambda message: "500" if message.subject == "obj_bad" else "200"

    async with place.delivering():
        await place.tell("obj_bad", "obj_good", "obj_bad", "obj_good", "obj_other")
        failed = await soon(lambda: place.deliveries(webhook, status="failed"), until=lambda rows: len(rows) == 2)
        await soon(lambda: place.deliveries(webhook, status="delivered"), until=lambda rows: len(rows) == 3)

    told = [(message.subject, message.event_id) for message in receiver.messages]
    bad = [event_id for subject, event_id in told if subject == "obj_bad"]
    assert bad == [bad[0]] * 4 + [bad[-1]] * 4  # the second waited for the first
    good = [number for number, (subject, _) in enumerate(told) if subject == "obj_good"]
    assert len(good) == 2
    assert good[-1] < told.index(("obj_bad", bad[-1]))
    assert [row["attempts"] for row in failed] == [4, 4]
    assert all(row["last_status_code"] == 500 and row["last_error"] == "it answers 500" for row in failed)


@pytest.mark.parametrize("kind", ["hang", "trickle", "redirect", "close", "500", "404"])
async def test_an_event_is_sent_again_when_the_receiver_does_not_take_it(
    place: Place, receiver: Receiver, kind: str
) -> None:
    webhook = await place.subscribe(receiver.url, configs={"timeout": 0.3})
    receiver.behave = lambda message: kind if message.number == 0 else "200"

    async with place.delivering():
        await place.tell("obj_1")
        [message] = await soon(lambda: list(receiver.taken))
        [row] = await soon(lambda: place.deliveries(webhook, status="delivered"))

    assert row["attempts"] == 2
    assert {one.event_id for one in receiver.messages} == {message.event_id}
    assert all(one.path == "/hook" for one in receiver.messages)


@pytest.mark.parametrize("kind", ["short", "huge", "drip", "204"])
async def test_an_event_is_delivered_when_the_status_says_so_and_the_rest_is_a_lie(
    place: Place, receiver: Receiver, kind: str
) -> None:
    webhook = await place.subscribe(receiver.url)
    receiver.behave = lambda _: kind

    async with place.delivering():
        await place.tell("obj_1", "obj_1")
        rows = await soon(lambda: place.deliveries(webhook, status="delivered"), until=lambda rows: len(rows) == 2)

    assert [row["attempts"] for row in rows] == [1, 1]
    assert len(receiver.messages) == 2


async def test_everything_arrives_when_the_receiver_was_away(dsn: str, tmp_path: Path, receiver: Receiver) -> None:
    async with opened_place(dsn, tmp_path, max_attempts=50) as place:
        await place.subscribe(receiver.url)
        receiver.stop()

        async with place.delivering():
            await place.tell(*(f"obj_{number}" for number in range(30)), *(f"obj_{number}" for number in range(30)))
            health = await soon(
                lambda: place.client.get(f"{WEBHOOKS}/hook"),
                until=lambda answer: (answer.json()["delivery_health"] or {}).get("failed_attempts", 0) >= 30,
            )
            receiver.start()
            await soon(lambda: sum(map(len, receiver.by_subject().values())), until=lambda count: count == 60)
            cured = await soon(
                lambda: place.client.get(f"{WEBHOOKS}/hook"), until=lambda answer: not answer.json()["delivery_health"]
            )

    assert health.json()["delivery_health"]["last_failure_cause"] == "the connection failed"
    assert cured.json()["is_active"] is True


async def test_a_webhook_pauses_when_events_are_given_up_and_goes_on_when_it_is_made_active(
    place: Place, receiver: Receiver
) -> None:
    webhook = await place.subscribe(receiver.url)
    receiver.behave = lambda _: "503"

    async with place.delivering():
        await place.tell("obj_1", "obj_2", "obj_3")
        paused = await soon(
            lambda: place.client.get(f"{WEBHOOKS}/hook"), until=lambda answer: not answer.json()["is_active"]
        )
        receiver.behave = lambda _: "200"
        await place.tell("obj_4")  # while it is paused
        await soon(lambda: place.deliveries(webhook), until=lambda rows: len(rows) == 4)
        assert receiver.taken == []

        on = await place.client.put(f"{WEBHOOKS}/hook", json={"is_active": True})
        [message] = await soon(lambda: list(receiver.taken))

    health = paused.json()["delivery_health"]
    assert health["consecutive_failures"] == 3
    assert health["paused_at"]
    assert "given up" in health["paused_reason"]
    assert message.subject == "obj_4"
    assert on.json()["delivery_health"] is None


async def test_a_given_up_delivery_arrives_when_it_is_delivered_again(place: Place, receiver: Receiver) -> None:
    webhook = await place.subscribe(receiver.url)
    receiver.behave = lambda _: "500"

    async with place.delivering():
        await place.tell("obj_1")
        [row] = await soon(lambda: place.deliveries(webhook, status="failed"))
        receiver.behave = lambda _: "200"
        path = f"{WEBHOOKS}/hook/deliveries/{row['delivery_id']}/redeliver"
        again = await place.client.post(path)
        [message] = await soon(lambda: list(receiver.taken))

    assert again.json()["status"] == "pending"
    assert message.event_id == row["event_id"]
    assert (await place.client.post(f"{WEBHOOKS}/hook/deliveries/dlv_0000000000000000/redeliver")).status_code == 404


async def test_another_deliverer_sends_when_the_first_one_is_gone(dsn: str, tmp_path: Path, receiver: Receiver) -> None:
    async with opened_place(dsn, tmp_path / "a") as first:
        webhook = await first.subscribe(receiver.url, configs={"timeout": 0.5})
        receiver.behave = lambda _: "hang"
        stop = asyncio.Event()
        dying = asyncio.create_task(first.house.deliverer.run(stop))
        await first.tell("obj_1", "obj_1", "obj_2")
        await soon(lambda: len(receiver.messages) >= 2)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        receiver.behave = lambda _: "200"

        async with first.delivering():
            await soon(lambda: receiver.by_subject(), until=lambda found: len(found.get("obj_1", ())) == 2)
            rows = await soon(lambda: first.deliveries(webhook, status="delivered"), until=lambda rows: len(rows) == 3)

    assert len({message.event_id for message in receiver.messages}) == 3
    assert len(rows) == 3


async def test_nothing_is_sent_to_this_machine_when_no_setting_opens_it(place: Place, receiver: Receiver) -> None:
    webhook = await place.subscribe(receiver.url)
    place.house.sender._networks = ()

    async with place.delivering():
        await place.tell("obj_1")
        [row] = await soon(lambda: place.deliveries(webhook, status="failed"))

    assert "private or reserved network" in row["last_error"]
    assert receiver.messages == []


async def test_a_hanging_receiver_leaves_room_when_another_webhook_has_events(
    dsn: str, tmp_path: Path, receiver: Receiver
) -> None:
    async with opened_place(dsn, tmp_path, concurrency=4, concurrency_of_one=2) as place:
        hanging = Receiver(behave=lambda _: "hang").start()
        try:
            await place.subscribe(hanging.url, configs={"timeout": 30})
            await place.subscribe(receiver.url, webhook_name="other")
            async with place.delivering(stop_timeout_seconds=0.1):
                await place.tell(*(f"obj_{number}" for number in range(20)))
                await soon(lambda: len(receiver.taken), until=lambda count: count == 20)
        finally:
            hanging.close()

    assert hanging.most_at_once == 2
