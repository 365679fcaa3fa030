"""Deliveries when the program that sends is killed at every moment, and what the official client sees of it all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import mixpeek
import pytest
from conditions import eventually
from mixpeek import models
from tests.fault.flow import kill, victims
from tests.receiver import Message, Receiver
from tests.running import Api, RunningServer

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cyE="
WEBHOOKS = "/v1/organizations/webhooks"
SETTINGS = {
    "PRISMHOUSE_WEBHOOKS__ALLOW_HTTP": "true",
    "PRISMHOUSE_WEBHOOKS__FIRST_RETRY_SECONDS": "0.2",
    "PRISMHOUSE_WEBHOOKS__LONGEST_RETRY_SECONDS": "0.5",
    "PRISMHOUSE_WEBHOOKS__MAX_ATTEMPTS": "100",
}
OBJECTS = 8
ROUNDS = 3


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver."""
    made = Receiver().start()
    yield made
    made.close()


@pytest.mark.timeout(300)
def test_every_event_arrives_in_order_when_the_worker_is_killed_again_and_again(
    private_server: Callable[..., RunningServer],
    api_of: Callable[..., Api],
    unique_name: str,
    receiver: Receiver,
) -> None:
    server = private_server(**SETTINGS)
    api = api_of(server, unique_name)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    receiver.behave = lambda _: chance.choice(["200", "200", "500", "hang", "close"])
    configs = {"url": receiver.url, "signing_secret": SECRET, "timeout": 0.5}
    channel = {"channel": "webhook", "configs": configs}
    hook = {"webhook_name": "hook", "event_types": ["object.created", "object.updated"], "channels": [channel]}
    api.ok("POST", WEBHOOKS, hook)
    schema = {"properties": {"text": {"type": "text"}, "n": {"type": "integer"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema})["bucket_id"]
    blob = {"property": "text", "type": "text", "data": "x"}
    ids = [
        api.ok("POST", f"/v1/buckets/{bucket}/objects", {"blobs": [blob], "n": number})["object_id"]
        for number in range(OBJECTS)
    ]

    for round_ in range(1, ROUNDS + 1):
        for one in ids:
            api.ok("PATCH", f"/v1/buckets/{bucket}/objects/{one}", {"n": round_})
        seen = len(receiver.messages)
        eventually(lambda seen=seen: len(receiver.messages), until=lambda count, seen=seen: count > seen)
        kill(victims(server.process.pid, "worker"))
    receiver.behave = lambda _: "200"

    total = OBJECTS * (ROUNDS + 1)
    eventually(lambda: sum(map(len, receiver.by_subject().values())), until=lambda count: count == total)
    feed = api.ok("GET", "/v1/events?limit=1000&event_type=object.updated")["results"]
    feed += api.ok("GET", "/v1/events?limit=1000&event_type=object.created")["results"]
    assert len(feed) == total
    for one, messages in receiver.by_subject().items():
        assert one in ids
        assert [message.content["event_type"] for message in messages] == [
            "object.created",
            *["object.updated"] * ROUNDS,
        ]
        told = [message.content["occurred_at"] for message in messages]
        assert told == sorted(told)
    for message in receiver.messages:
        message.verify(SECRET)


def test_a_batch_tells_its_url_once_and_webhooks_by_the_official_client(
    private_server: Callable[..., RunningServer],
    api_of: Callable[..., Api],
    unique_name: str,
    receiver: Receiver,
) -> None:
    server = private_server(**SETTINGS)
    api = api_of(server, unique_name)
    client = mixpeek.ApiClient(mixpeek.Configuration(host=server.base_url, access_token=server.api_key))
    webhooks, events = mixpeek.WebhooksApi(client), mixpeek.EventsApi(client)
    url = models.WebhookConfig(url=receiver.url, signing_secret=SECRET)
    channel = models.WebhookChannelInput(
        channel=models.NotificationChannel.WEBHOOK, configs=models.Configs(actual_instance=url)
    )
    kinds = [models.WebhookEventType("collection.documents.written"), models.WebhookEventType("objects.created.batch")]
    made = webhooks.create_webhook_organizations(
        models.WebhookInput(webhook_name="documents", event_types=kinds, channels=[channel])
    )

    told = Receiver().start()
    try:
        batch_id = _batch(api, told.url)
        eventually(
            lambda: api.ok("GET", f"/v1/batches/{batch_id}")["status"], until=lambda status: status == "COMPLETED"
        )
        eventually(lambda: len(told.taken), until=lambda count: count > 0)
        messages: list[Message] = eventually(
            lambda: list(receiver.taken),
            until=lambda found: Counter(one.content["event_type"] for one in found).total() >= 2,
        )
    finally:
        told.close()
    namespace_id = str(api.namespace)
    page = events.list_events(namespace_id=namespace_id, limit=1000)
    written = events.list_events(event_type=kinds[0], namespace_id=namespace_id)
    found = webhooks.get_webhook_organizations(identifier="documents")
    listed = webhooks.list_webhooks_organizations(list_webhooks_request=models.ListWebhooksRequest(is_active=True))
    stopped = webhooks.update_webhook_organizations(
        identifier=made.webhook_id,
        webhook_input=models.WebhookInput(
            webhook_name="documents", event_types=kinds, channels=[channel], is_active=False
        ),
    )
    webhooks.delete_webhook_organizations(identifier=made.webhook_id)
    webhooks.delete_webhook_organizations(identifier=made.webhook_id)

    [one] = told.taken
    assert one.content["batch_id"] == batch_id
    assert one.content["status"] == "COMPLETED"
    assert one.content["documents_written"] == 3
    assert one.content["failure_reason"] is None
    assert one.content["progress"]["processed"] == 3
    assert one.content["completed_at"]
    assert {message.content["event_type"] for message in messages} == {kind.value for kind in kinds}
    for message in messages:
        message.verify(SECRET)
    named = [event.event_type for event in page.results]
    assert {"collection.created", "objects.created.batch", "collection.documents.batch_completed"} <= set(named)
    assert named[-2:] in (
        ["batch.completed", "collection.documents.batch_completed"],
        ["collection.documents.batch_completed", "batch.completed"],
    )
    assert written.results[0].payload["document_count"] == 3
    assert len(written.results[0].payload["document_ids"]) == 3
    assert written.results[0].operation == "insert"
    assert found.webhook_id == made.webhook_id
    assert listed.total == 1
    assert stopped.is_active is False
    assert SECRET not in server.log()


def _batch(api: Api, url: str) -> str:
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "b", "bucket_schema": schema})["bucket_id"]
    extractor: dict[str, Any] = {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "input_mappings": {"text": "text"},
    }
    source = {"type": "bucket", "bucket_ids": [bucket]}
    api.ok("POST", "/v1/collections", {"collection_name": "notes", "source": source, "feature_extractor": extractor})
    objects = [{"blobs": [{"property": "text", "type": "text", "data": f"note {number}"}]} for number in range(3)]
    made = api.ok("POST", f"/v1/buckets/{bucket}/objects/batch", {"objects": objects})
    ids = [one["object_id"] for one in made.get("results") or made["succeeded"]]
    batch_id = str(api.ok("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": ids})["batch_id"])
    api.ok("POST", f"/v1/buckets/{bucket}/batches/{batch_id}/submit", {"webhook_url": url})
    return batch_id
