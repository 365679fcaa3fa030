"""Webhooks as administrators see them: limits, secrets, names, who may."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from tests.receiver import Receiver

from prismhouse.kit import json
from prismhouse.storage.sealing import Sealer, SealingKeyMalformed, SecretUnreadable

from .conftest import SECRET, WEBHOOKS, Place, soon


def body(url: str = "https://receiver.example/hook", **more: Any) -> dict[str, Any]:
    """Return the body of a webhook; `configs` are added to those of its channel."""
    configs = {"url": url, **more.pop("configs", {})}
    return {
        "webhook_name": "hook",
        "event_types": ["object.created"],
        "channels": [{"channel": "webhook", "configs": configs}],
        **more,
    }


async def test_a_webhook_is_made_read_listed_changed_and_deleted(place: Place) -> None:
    client = place.client
    made = await client.post(WEBHOOKS, json=body())
    webhook_id = made.json()["webhook_id"]

    by_name = await client.get(f"{WEBHOOKS}/hook")
    changed = await client.put(f"{WEBHOOKS}/hook", json=body(webhook_name="other", event_types=["*"], is_active=False))
    partly = await client.put(f"{WEBHOOKS}/{webhook_id}", json={"resource_types": ["object"]})
    await client.post(WEBHOOKS, json=body(webhook_name="second"))
    listed = await client.post(f"{WEBHOOKS}/list", json={"event_type": "batch.failed"})
    active = await client.post(f"{WEBHOOKS}/list", json={"is_active": True})
    paged = await client.post(f"{WEBHOOKS}/list", json={"limit": 1})
    rest = await client.post(f"{WEBHOOKS}/list", json={"limit": 1, "cursor": paged.json()["pagination"]["next_cursor"]})
    twice = [(await client.delete(f"{WEBHOOKS}/{webhook_id}")).status_code for _ in range(2)]

    assert made.status_code == 200
    assert by_name.json() == made.json()
    assert (changed.json()["webhook_name"], changed.json()["is_active"]) == ("other", False)
    assert (partly.json()["event_types"], partly.json()["resource_types"]) == (["*"], ["object"])
    assert [one["webhook_name"] for one in listed.json()["results"]] == ["other"]
    assert [one["webhook_name"] for one in active.json()["results"]] == ["second"]
    assert (paged.json()["total"], paged.json()["results"][0]["webhook_name"]) == (2, "second")
    assert [one["webhook_name"] for one in rest.json()["results"]] == ["other"]
    assert twice == [204, 204]
    assert (await client.get(f"{WEBHOOKS}/other")).status_code == 404


async def test_a_name_is_taken_once(place: Place) -> None:
    await place.client.post(WEBHOOKS, json=body())
    await place.client.post(WEBHOOKS, json=body(webhook_name="second"))

    again = await place.client.post(WEBHOOKS, json=body())
    renamed = await place.client.put(f"{WEBHOOKS}/second", json={"webhook_name": "hook"})

    assert (again.status_code, renamed.status_code) == (409, 409)


WRONG = [
    (body(webhook_name=""), "webhook_name"),
    (body(webhook_name="x" * 201), "webhook_name"),
    (body(event_types=[]), "event_types"),
    (body(event_types=["object.eaten"]), "object.created"),
    (body(channels=[]), "channels"),
    (body(channels=[{"channel": "slack", "configs": {"webhook_url": "https://x.example"}}]), "use `webhook`"),
    (body(channels=[{"channel": "sms", "configs": {}}]), "not served"),
    (body(channels=[{"channel": "pigeon", "configs": {"url": "https://x.example"}}]), "webhook"),
    (body(configs={"timeout": 31}), "timeout"),
    (body(configs={"timeout": 0}), "timeout"),
    (body(configs={"headers": {"Content-Length": "1"}}), "set by the sender"),
    (body(configs={"headers": {"webhook-signature": "1"}}), "set by the sender"),
    (body(configs={"headers": {"X": "a\r\nY: b"}}), "printable"),
    (body(configs={"headers": {"X Y": "a"}}), "not the name of a header"),
    (body(configs={"payload_template": {"a": "{% for x in y %}"}}), "only paths"),
    (body(configs={"payload_template": {"a": "{{ ''.__class__ }}"}}), "not a path"),
    (body(configs={"payload_template": {"a": "x" * 20_000}}), "16384"),
    (body("ftp://receiver.example"), "only http and https"),
    (body("https://10.0.0.1/hook"), "private or reserved"),
    (body("https://[::1]/hook"), "private or reserved"),
    (body("https://169.254.169.254/latest"), "private or reserved"),
    (body("https://user:pw@receiver.example/"), "user name"),
    (body("nonsense"), "url"),
    (body(unheard_of=1), "Accepted keys"),
]


async def test_a_wrong_webhook_is_refused_with_the_reason(place: Place) -> None:
    for wrong, named in WRONG:
        answer = await place.client.post(WEBHOOKS, json=wrong)

        assert answer.status_code == 422, answer.text
        assert named in answer.text


async def test_secrets_are_nowhere_to_be_read(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    secret, token = "whsec_bm90IHRvIGJlIHNlZW4gYW55d2hlcmU=", "token-not-to-be-seen"
    configs = {"signing_secret": secret, "headers": {"X-Mixpeek-Secret": token, "X-Team": "blue"}}
    made = await place.client.post(WEBHOOKS, json=body("https://receiver.invalid/x", configs=configs))
    await place.client.put(f"{WEBHOOKS}/hook", json=made.json())
    await place.client.post(f"{WEBHOOKS}/hook/test")
    answers = [
        made.text,
        (await place.client.get(f"{WEBHOOKS}/hook")).text,
        (await place.client.post(f"{WEBHOOKS}/list")).text,
        (await place.client.get("/v1/organizations/audit/logs")).text,
    ]
    async with place.house.db.read() as tx:
        rows = await tx.fetch_all(
            "SELECT w::text AS row FROM webhooks AS w UNION ALL SELECT a::text FROM audit_events a"
        )

    shown = made.json()["channels"][0]["configs"]
    assert shown["signing_secret"] == "redacted"
    assert shown["headers"] == {"X-Mixpeek-Secret": "redacted", "X-Team": "blue"}
    everything = "".join([*answers, *(row["row"] for row in rows), *capfd.readouterr()])
    for hidden in (secret, token, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
        assert hidden not in everything


async def test_a_secret_stays_changes_and_goes_as_it_is_sent(place: Place, receiver: Receiver) -> None:
    await place.subscribe(receiver.url, configs={"headers": {"X-Secret": "shared", "X-Team": "blue"}})

    async def sent(configs: dict[str, Any]) -> Any:
        channel = {"channel": "webhook", "configs": {"url": receiver.url, **configs}}
        answer = await place.client.put(f"{WEBHOOKS}/hook", json={"channels": [channel]})
        assert answer.status_code == 200
        tested = await place.client.post(f"{WEBHOOKS}/hook/test")
        assert tested.json()["success"] is True
        return receiver.taken[-1]

    redacted = await sent({"signing_secret": "redacted", "headers": {"X-Secret": "redacted"}})
    omitted = await sent({})
    other = "whsec_" + base64.b64encode(b"another secret").decode()
    replaced = await sent({"signing_secret": other})
    removed = await sent({"signing_secret": ""})

    redacted.verify(SECRET)
    assert redacted.headers["x-secret"] == "shared"
    omitted.verify(SECRET)
    assert "x-secret" not in omitted.headers
    replaced.verify(other)
    assert "webhook-signature" not in removed.headers
    assert "x-mixpeek-signature" not in removed.headers
    assert removed.content["event_type"] == "webhook.test"


async def test_a_payload_is_what_the_template_says(place: Place, receiver: Receiver) -> None:
    template = {
        "text": "Batch {{ subject.id }} of {{ namespace_id }}: {{ metadata.status }}",
        "count": "{{ metadata.counts[1] }}",
        "whole": {"all": ["{{ event.metadata }}", "{{ metadata.nothing }}", 5]},
        "json": "{{ metadata.counts | tojson }}",
    }
    await place.subscribe(receiver.url, configs={"payload_template": template})

    async with place.delivering():
        await place.tell("btch_1", event_type="batch.completed", status='"{{ event_id }}"', counts=[1, 2])
        [message] = await soon(lambda: list(receiver.taken))

    assert message.content == {
        "text": 'Batch btch_1 of ns_1: "{{ event_id }}"',
        "count": 2,
        "whole": {"all": [{"status": '"{{ event_id }}"', "counts": [1, 2]}, None, 5]},
        "json": "[1,2]",
    }
    message.verify(SECRET)


async def test_only_wanted_events_are_delivered(place: Place, receiver: Receiver) -> None:
    await place.tell("before", event_type="object.created")
    await place.subscribe(receiver.url, "*", resource_types=["batch", "annotation"])

    async with place.delivering():
        await place.tell("obj_1", event_type="object.created")
        await place.tell("ann_1", event_type="annotation.created")
        await place.client.put(f"{WEBHOOKS}/hook", json={"is_active": False})
        await place.tell("ann_2", event_type="annotation.created")
        await soon(lambda: place.client.get("/v1/events"), until=lambda page: len(page.json()["results"]) == 4)
        await place.client.put(f"{WEBHOOKS}/hook", json={"is_active": True})
        await place.tell("ann_3", event_type="annotation.created")
        await soon(lambda: receiver.by_subject(), until=lambda found: "ann_3" in found)

    assert set(receiver.by_subject()) <= {"ann_1", "ann_3"}


async def test_each_channel_gets_each_event(place: Place, receiver: Receiver) -> None:
    other = Receiver(behave=lambda message: "500" if message.number == 0 else "200").start()
    try:
        channels = [{"channel": "webhook", "configs": {"url": one.url}} for one in (receiver, other)]
        await place.subscribe(receiver.url, channels=channels)
        async with place.delivering():
            await place.tell("obj_1")
            await soon(lambda: receiver.taken and other.taken)
    finally:
        other.close()

    assert len(receiver.messages) == 1
    assert receiver.taken[0].body == other.taken[0].body


async def test_keys_that_are_not_administrators_may_nothing(place: Place) -> None:
    user = "/v1/organizations/users/admin@localhost/api-keys"
    made = await place.client.post(user, json={"name": "writer", "permissions": ["write"]})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    await place.client.post(WEBHOOKS, json=body())

    answers = [
        await place.client.post(WEBHOOKS, json=body(webhook_name="b"), headers=headers),
        await place.client.get(f"{WEBHOOKS}/hook", headers=headers),
        await place.client.post(f"{WEBHOOKS}/list", headers=headers),
        await place.client.put(f"{WEBHOOKS}/hook", json={}, headers=headers),
        await place.client.delete(f"{WEBHOOKS}/hook", headers=headers),
        await place.client.post(f"{WEBHOOKS}/hook/test", headers=headers),
        await place.client.get(f"{WEBHOOKS}/hook/deliveries", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [403] * 7
    assert (await place.client.get(f"{WEBHOOKS}/hook")).status_code == 200


async def test_changes_are_audited(place: Place) -> None:
    webhook_id = (await place.client.post(WEBHOOKS, json=body())).json()["webhook_id"]
    await place.client.put(f"{WEBHOOKS}/hook", json={"is_active": False})
    await place.client.delete(f"{WEBHOOKS}/hook")

    logs = await place.client.get("/v1/organizations/audit/logs", params={"resource_type": "webhook"})

    actions = [(row["action"], row["resource_id"]) for row in logs.json()["results"]]
    assert actions == [(f"webhook_{verb}", webhook_id) for verb in ("deleted", "updated", "created")]


async def test_an_organization_has_a_hundred_webhooks_at_most(place: Place) -> None:
    answers = [await place.client.post(WEBHOOKS, json=body(webhook_name=f"hook {n}")) for n in range(101)]

    assert [answer.status_code for answer in answers] == [*([200] * 100), 409]


async def test_a_sealed_secret_opens_only_with_its_key_and_where_it_belongs(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path / "new" / "key")
    sealed = await asyncio.to_thread(sealer.seal, b"secret", owner="wh_1")

    assert Sealer(tmp_path / "new" / "key").open(sealed, owner="wh_1") == b"secret"
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    assert b"secret" not in sealed
    with pytest.raises(SecretUnreadable, match="belongs elsewhere"):
        sealer.open(sealed, owner="wh_2")
    with pytest.raises(SecretUnreadable, match="another key"):
        Sealer(tmp_path / "other").open(sealed, owner="wh_1")
    with pytest.raises(SecretUnreadable):
        sealer.open(b"\x02", owner="wh_1")
    with pytest.raises(SealingKeyMalformed):
        Sealer(tmp_path / "x", key="short")
    key = base64.b64encode(b"k" * 32).decode()
    assert (
        Sealer(tmp_path / "x", key=key).open(Sealer(tmp_path / "y", key=key).seal(b"s", owner="a"), owner="a") == b"s"
    )


async def test_new_secrets_can_be_sent_when_the_key_of_the_old_ones_is_lost(place: Place, receiver: Receiver) -> None:
    await place.subscribe(receiver.url)
    place.house.webhooks._sealer = Sealer(place.house.settings.data_dir / "lost")
    channel = {"channel": "webhook", "configs": {"url": receiver.url, "signing_secret": SECRET}}

    kept = await place.client.put(
        f"{WEBHOOKS}/hook", json={"channels": [{**channel, "configs": {"url": receiver.url}}]}
    )
    sent = await place.client.put(f"{WEBHOOKS}/hook", json={"channels": [channel]})

    assert kept.status_code == 500
    assert "send the secret again" in json.loads(kept.content)["error"]["message"]
    assert sent.status_code == 200
