"""What users get wrong, attackers try and time does: nothing is lost, nobody else pays, and no answer is a 500."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.receiver import Receiver

from prismhouse.api.webhooks.deliveries import deliverer
from prismhouse.kit.cursors import encode_cursor

from .conftest import SECRET, WEBHOOKS, Place, opened_place, soon


@pytest.fixture
def other() -> Iterator[Receiver]:
    """A second receiver."""
    made = Receiver().start()
    yield made
    made.close()


def channel(url: str, **configs: Any) -> dict[str, Any]:
    """Return a channel as it is asked for."""
    return {"channel": "webhook", "configs": {"url": url, "timeout": 2, **configs}}


def faults(answer: httpx2.Response) -> str:
    """Return what a 422 says."""
    assert answer.status_code == 422, answer.text
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize(
    "url",
    ["https://a\nb.com/", "https://☃.com/", "https://[v1.x]/", "https://\u200b/", "https://x/\x7f", "https://[::1"],
)
async def test_a_url_is_refused_when_no_request_can_be_made_of_it(place: Place, url: str) -> None:
    body = {"webhook_name": "hook", "event_types": ["*"], "channels": [channel(url)]}

    assert "not a valid URL" in faults(await place.client.post(WEBHOOKS, json=body))


@pytest.mark.parametrize("kind", [["webhook"], {}, 1, None])
async def test_a_channel_is_refused_when_its_kind_is_no_text(place: Place, receiver: Receiver, kind: Any) -> None:
    body = {"webhook_name": "hook", "event_types": ["*"], "channels": [{**channel(receiver.url), "channel": kind}]}

    assert "channels.0.channel" in faults(await place.client.post(WEBHOOKS, json=body))


async def test_a_secret_is_refused_when_its_key_is_empty(place: Place, receiver: Receiver) -> None:
    body = {
        "webhook_name": "hook",
        "event_types": ["*"],
        "channels": [channel(receiver.url, signing_secret="whsec_")],
    }

    assert "empty key" in faults(await place.client.post(WEBHOOKS, json=body))


async def test_the_answer_names_the_name_when_a_webhook_is_renamed_to_one_that_is_taken(
    place: Place, receiver: Receiver
) -> None:
    await place.subscribe(receiver.url)
    await place.subscribe(receiver.url, webhook_name="other")

    answer = await place.client.put(f"{WEBHOOKS}/other", json={"webhook_name": "hook"})

    assert answer.status_code == 409
    assert answer.json()["error"]["message"].startswith("There is a webhook named hook already.")


async def test_a_hidden_header_is_not_passed_on_when_the_url_moves_to_another_host(
    place: Place, receiver: Receiver, other: Receiver
) -> None:
    await place.subscribe(receiver.url, configs={"headers": {"Authorization": "Bearer 1"}})
    hidden = {"Authorization": "redacted"}

    elsewhere = await place.client.put(
        f"{WEBHOOKS}/hook", json={"channels": [channel(other.url, headers=hidden, signing_secret="redacted")]}
    )
    same = await place.client.put(
        f"{WEBHOOKS}/hook", json={"channels": [channel(f"{receiver.url}/new", headers=hidden)]}
    )

    assert "sent again" in faults(elsewhere)
    assert same.status_code == 200


async def test_each_channel_keeps_its_secret_when_two_have_the_same_url(place: Place, receiver: Receiver) -> None:
    secrets = [SECRET, "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGVzdHM="]
    await place.subscribe(receiver.url, channels=[channel(receiver.url, signing_secret=one) for one in secrets])
    same = [channel(receiver.url, signing_secret="redacted")] * 2
    assert (await place.client.put(f"{WEBHOOKS}/hook", json={"channels": same})).status_code == 200

    async with place.delivering():
        await place.tell("obj_1")
        messages = await soon(lambda: list(receiver.taken), until=lambda found: len(found) == 2)

    assert len({message.headers["webhook-signature"] for message in messages}) == 2


async def test_what_waits_goes_where_it_was_meant_when_channels_are_removed_and_swapped(
    place: Place, receiver: Receiver, other: Receiver
) -> None:
    gone = Receiver(behave=lambda _: "500").start()
    webhook = await place.subscribe(
        receiver.url, channels=[channel(gone.url), channel(receiver.url), channel(other.url)]
    )
    await place.client.put(f"{WEBHOOKS}/hook", json={"is_active": True})
    names = [f"obj_{number}" for number in range(4)]  # more than a webhook that fails may give up before it pauses
    await place.tell(*names)
    await place.house.feed.place()
    swapped = await place.client.put(
        f"{WEBHOOKS}/hook", json={"channels": [channel(other.url), channel(receiver.url), channel(gone.url + "/new")]}
    )
    assert [one["configs"]["url"] for one in swapped.json()["channels"]] == [
        other.url,
        receiver.url,
        gone.url + "/new",
    ]
    assert all(set(one) == {"channel", "configs"} for one in swapped.json()["channels"])
    removed = await place.client.put(f"{WEBHOOKS}/hook", json={"channels": [channel(other.url), channel(receiver.url)]})

    async with place.delivering():
        log = await soon(
            lambda: place.deliveries(webhook), until=lambda rows: all(row["status"] != "pending" for row in rows)
        )
    gone.close()

    assert removed.status_code == 200
    assert gone.messages == []
    for one in (receiver, other):
        assert sorted(message.subject for message in one.messages) == names
    assert {(row["url"], row["status"]) for row in log} == {
        (receiver.url, "delivered"),
        (other.url, "delivered"),
        (None, "failed"),
    }
    after = (await place.client.get(f"{WEBHOOKS}/hook")).json()
    assert after["is_active"] is True
    assert after["delivery_health"] is None


async def test_a_new_channel_hears_nothing_old_when_it_follows_one_that_was_removed(
    place: Place, receiver: Receiver, other: Receiver
) -> None:
    await place.subscribe(receiver.url, channels=[channel(receiver.url), channel("http://127.0.0.1:9/")])
    await place.tell("obj_1")
    await place.house.feed.place()
    for channels in ([channel(receiver.url)], [channel(receiver.url), channel(other.url)]):
        assert (await place.client.put(f"{WEBHOOKS}/hook", json={"channels": channels})).status_code == 200
    await place.tell("obj_2")

    async with place.delivering():
        await soon(lambda: len(receiver.taken), until=lambda count: count == 2)
        await soon(lambda: list(other.taken))

    assert [message.subject for message in other.messages] == ["obj_2"]


async def test_others_are_delivered_when_one_event_cannot_even_be_attempted(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = await place.subscribe(receiver.url)
    as_it_is = deliverer.attempt

    async def poisoned(sender: Any, event: Any, to: Any) -> Any:
        if event["resource_id"] == "obj_bad":
            raise RuntimeError("poison")
        return await as_it_is(sender, event, to)

    monkeypatch.setattr(deliverer, "attempt", poisoned)

    async with place.delivering():
        await place.tell("obj_bad", "obj_1", "obj_2")
        [row] = await soon(lambda: place.deliveries(webhook, status="failed"))

    assert "RuntimeError" in row["last_error"]
    assert sorted(message.subject for message in receiver.messages) == ["obj_1", "obj_2"]


async def test_a_resource_has_its_turn_when_another_has_a_long_backlog(
    dsn: str, tmp_path: Path, receiver: Receiver
) -> None:
    async with opened_place(dsn, tmp_path, concurrency=1, concurrency_of_one=1) as place:
        await place.subscribe(receiver.url)
        await place.tell(*["obj_long"] * 50, "obj_short")

        async with place.delivering():
            await soon(lambda: len(receiver.taken), until=lambda count: count == 51, timeout_seconds=60)

    told = [message.subject for message in receiver.messages]
    assert told.index("obj_short") < 49


async def test_nothing_deadlocks_when_webhooks_are_deleted_amid_their_deliveries(
    place: Place, receiver: Receiver
) -> None:
    ended = asyncio.Event()

    async def told() -> None:
        while not ended.is_set():
            await place.tell(*(f"obj_{number}" for number in range(40)))

    async def come_and_gone(name: str) -> list[int]:
        codes = []
        for _ in range(6):
            await place.subscribe(receiver.url, webhook_name=name)
            seen = len(receiver.messages)
            await soon(lambda seen=seen: len(receiver.messages) > seen + 2)  # type: ignore[misc]
            codes.append((await place.client.delete(f"{WEBHOOKS}/{name}")).status_code)
        return codes

    async with place.delivering():
        writing = asyncio.create_task(told())
        codes = await asyncio.gather(come_and_gone("a"), come_and_gone("b"), come_and_gone("c"))
        ended.set()
        await writing
    async with place.house.db.read() as tx:
        await tx.fetch_value("SELECT pg_stat_clear_snapshot()::text")
        deadlocks = await tx.fetch_value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")

    assert {code for some in codes for code in some} == {204}
    assert deadlocks == 0


async def test_a_cursor_is_refused_when_it_is_ahead_of_every_event(place: Place) -> None:
    await place.tell("obj_1")
    page = (await place.client.get("/v1/events")).json()

    ahead = await place.client.get(
        "/v1/events", params={"cursor": encode_cursor([page["results"][-1]["seq"] + 1], "events")}
    )

    assert ahead.status_code == 400
    assert "past the last event" in ahead.json()["error"]["message"]
    assert (await place.client.get("/v1/events", params={"cursor": page["next_cursor"]})).status_code == 200
