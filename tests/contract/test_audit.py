"""The audit log over HTTP: every change is in it, for administrators of the organization alone."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from mixpeek import models
from tests.opened import Open, assert_envelope

from prismhouse.api.audit.service import Audit

LOGS = "/v1/organizations/audit/logs"
SETTINGS = "/v1/organizations/audit/settings"
USER = "/v1/organizations/users/admin@localhost"
SCHEMA = {"properties": {"text": {"type": "text"}}}


async def logs(client: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """Return the newest events."""
    answer = await client.get(LOGS, params={"limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


async def space(client: httpx2.AsyncClient, name: str = "audited") -> str:
    """Make a namespace and work in it."""
    made = (await client.post("/v1/namespaces", json={"namespace_name": name})).json()
    client.headers["X-Namespace"] = made["namespace_id"]
    return made["namespace_id"]


async def estate(client: httpx2.AsyncClient) -> dict[str, str]:
    """Make a namespace with a bucket, an object, a collection and a retriever."""
    ids = {"namespace": await space(client)}
    bucket = await client.post("/v1/buckets", json={"bucket_name": "bucket", "bucket_schema": SCHEMA})
    ids["bucket"] = bucket.json()["bucket_id"]
    blobs = [{"property": "text", "type": "text", "data": "x"}]
    made = await client.post(f"/v1/buckets/{ids['bucket']}/objects", json={"blobs": blobs})
    ids["object"] = made.json()["object_id"]
    extractor = {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "input_mappings": {"text": "text"},
    }
    source = {"type": "bucket", "bucket_ids": [ids["bucket"]]}
    body: dict[str, Any] = {"collection_name": "cards", "source": source, "feature_extractor": extractor}
    ids["collection"] = (await client.post("/v1/collections", json=body)).json()["collection_id"]
    conditions = {"field": "text", "operator": "eq", "value": "x"}
    config = {"stage_id": "attribute_filter", "parameters": {"conditions": conditions}}
    stage = {"stage_name": "f", "stage_type": "filter", "config": config}
    body = {"retriever_name": "ranked", "stages": [stage], "collection_identifiers": [ids["collection"]]}
    ids["retriever"] = (await client.post("/v1/retrievers", json=body)).json()["retriever_id"]
    return ids


async def test_every_change_is_in_the_log_when_things_come_change_and_go(opened: Open) -> None:
    client = opened.client()
    ids = await estate(client)

    for path, body in (
        (f"/v1/namespaces/{ids['namespace']}", {"description": "new"}),
        (f"/v1/buckets/{ids['bucket']}", {"description": "new"}),
        (f"/v1/collections/{ids['collection']}", {"description": "new"}),
        (f"/v1/retrievers/{ids['retriever']}", {"description": "new"}),
    ):
        assert (await client.patch(path, json=body)).status_code == 200
    for path in (
        f"/v1/retrievers/{ids['retriever']}",
        f"/v1/collections/{ids['collection']}",
        f"/v1/buckets/{ids['bucket']}/objects/{ids['object']}",
        f"/v1/buckets/{ids['bucket']}",
        f"/v1/namespaces/{ids['namespace']}?force=true",
    ):
        assert (await client.delete(path)).status_code in {200, 202, 204}

    events = [event for event in await logs(client) if event["actor_id"] != "system"]
    seen = [(event["action"], event["resource_id"]) for event in reversed(events)]
    nouns = ("namespace", "bucket", "collection", "retriever")
    assert seen == [
        *[(f"{noun}_created", ids[noun]) for noun in nouns],
        *[(f"{noun}_updated", ids[noun]) for noun in nouns],
        ("retriever_deleted", ids["retriever"]),
        ("collection_deleted", ids["collection"]),
        ("document_bulk_soft_deleted", ids["bucket"]),
        ("bucket_deleted", ids["bucket"]),
        ("namespace_deleted", ids["namespace"]),
    ]
    by_action = {event["action"]: event["changes"] for event in events}
    for noun in ("namespace", "bucket", "collection"):
        assert by_action[f"{noun}_updated"] == {"description": {"old": None, "new": "new"}}
    assert by_action["retriever_updated"]["changed_keys"] == ["description"]


async def test_a_change_that_changes_nothing_is_not_in_the_log(opened: Open) -> None:
    client = opened.client()
    namespace_id = await space(client)
    await client.patch(f"/v1/namespaces/{namespace_id}", json={"description": "same"})

    await client.patch(f"/v1/namespaces/{namespace_id}", json={"description": "same"})

    assert len(await logs(client, action="namespace_updated")) == 1


async def test_users_and_keys_are_in_the_log_without_secrets(opened: Open) -> None:
    client = opened.client()
    user = "/v1/organizations/users/ann@example.com"

    await client.post("/v1/organizations/users", json={"email": "ann@example.com", "user_name": "Ann"})
    secrets = [(await client.post(f"{user}/api-keys", json={"name": "k"})).json()]
    scopes = [{"resource_type": "namespace", "resource_id": "ns_x"}]
    await client.patch(f"{user}/api-keys/k", json={"scopes": scopes})
    secrets.append((await client.post(f"{user}/api-keys/k/rotate")).json())
    await client.delete(f"{user}/api-keys/k")
    secrets.append((await client.post(f"{user}/api-keys", json={"name": "k2"})).json())
    await client.patch(user, json={"user_name": "Anne"})
    await client.delete(user)

    events = [event for event in reversed(await logs(client)) if event["actor_id"] != "system"]
    assert [event["action"] for event in events] == [
        "user_created",
        "api_key_created",
        "api_key_scope_updated",
        "api_key_rotated",
        "api_key_revoked",
        "api_key_created",
        "user_updated",
        "api_key_revoked",
        "user_deleted",
    ]
    assert events[2]["changes"]["scopes"]["old"] == []
    assert events[-1]["changes"]["email"] == "ann@example.com"
    written = json.dumps(events)
    assert not [one for one in secrets if one["key"] in written or one["key_hash"] in written]


async def test_an_event_says_who_from_where_and_why(opened: Open) -> None:
    client = opened.client()
    client.headers.update(
        httpx2.Headers({"User-Agent": "Prüfer/1", "X-Change-Reason": "Anfrage für 7"}, encoding="utf-8")
    )
    me = (await client.get("/v1/me")).json()
    namespace_id = await space(client)

    event = (await logs(client, action="namespace_created"))[0]
    one = (await client.get(f"{LOGS}/{event['audit_id']}")).json()

    assert one == event
    assert models.AuditEventResponse.from_dict(one) is not None
    assert event["actor_type"] == "api_key"
    assert event["actor_id"].startswith("key_")
    assert (event["actor_name"], event["actor_email"]) == ("Administrator", me["user_email"])
    assert event["actor_key_name"] == "admin-key"
    assert (event["ip_address"], event["user_agent"], event["reason"]) == ("127.0.0.1", "Prüfer/1", "Anfrage für 7")
    assert (event["resource_type"], event["resource_id"]) == ("namespace", namespace_id)
    assert event["status"] == "success"
    assert event["timestamp"].endswith("Z")


async def test_filters_and_pages_cut_the_log_exactly(opened: Open) -> None:
    client = opened.client()
    spaces = [await space(client, f"space_{n}") for n in range(5)]
    everything = await logs(client)
    middle = next(event for event in everything if event["resource_id"] == spaces[2])

    assert [event["resource_id"] for event in await logs(client, resource_type="namespace")] == spaces[::-1]
    assert len(await logs(client, resource_id=spaces[1])) == 1
    assert len(await logs(client, actor_id=middle["actor_id"])) == 5
    assert await logs(client, actor_id="nobody") == []
    assert len(await logs(client, action="namespace_created", start=middle["timestamp"])) == 3
    assert len(await logs(client, action="namespace_created", end=middle["timestamp"])) == 3
    assert len(await logs(client, start=middle["timestamp"], end=middle["timestamp"])) == 1
    assert await logs(client, start="2999-01-01") == []
    page = (await client.get(LOGS, params={"action": "namespace_created", "skip": 1, "limit": 2})).json()
    assert models.AuditEventListResponse.from_dict(page) is not None
    assert [event["resource_id"] for event in page["results"]] == [spaces[3], spaces[2]]
    assert (page["total"], page["skip"], page["limit"]) == (5, 1, 2)
    beyond = (await client.get(LOGS, params={"skip": 1000})).json()
    assert (beyond["results"], beyond["total"]) == ([], len(everything))


@pytest.mark.parametrize(
    "query",
    ["action=nothing", "resource_type=moon", "start=yesterday", "limit=0", "limit=1001", "skip=-1", "end=99999-01-01"],
)
async def test_the_parameter_is_named_when_it_is_wrong(opened: Open, query: str) -> None:
    error = assert_envelope(await opened.client().get(f"{LOGS}?{query}"), 422)

    assert query.partition("=")[0] in str(error["message"])


async def test_the_export_is_one_event_per_line_and_says_when_it_was_cut(opened: Open) -> None:
    client = opened.client()
    for n in range(4):
        await space(client, f"space_{n}")
    everything = await logs(client)

    whole = await client.get(f"{LOGS}/export")
    cut = await client.get(f"{LOGS}/export", params={"max_events": 2})
    one = await client.get(f"{LOGS}/export", params={"action": "namespace_created", "max_events": 4})

    assert whole.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in whole.text.splitlines()] == everything
    assert [json.loads(line) for line in cut.text.splitlines()] == [
        *everything[:2],
        {"__truncated__": True, "exported": 2, "total": len(everything)},
    ]
    assert len(one.text.splitlines()) == 4
    assert_envelope(await client.get(f"{LOGS}/export", params={"max_events": 200_001}), 422)
    assert_envelope(await client.get(f"{LOGS}/export", params={"max_events": 0}), 422)


async def test_the_export_says_that_it_was_cut_when_the_log_grew_since_it_was_counted(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = opened.client()
    await space(client, "counted")
    total = Audit.total

    async def counted(self: Audit, *arguments: Any) -> int:
        count = await total(self, *arguments)
        await space(client, "after_the_count")
        return count

    count = len(await logs(client))
    monkeypatch.setattr(Audit, "total", counted)
    cut = await client.get(f"{LOGS}/export", params={"max_events": count})

    *events, last = [json.loads(line) for line in cut.text.splitlines()]
    assert len(events) == count
    assert last == {"__truncated__": True, "exported": count, "total": count + 1}


async def test_the_export_holds_every_event_when_it_takes_several_portions(opened: Open) -> None:
    client = opened.client()
    organization_id = (await client.get("/v1/me")).json()["organization_id"]
    async with opened.house.db.write() as tx:  # all at the same moment: the order among them must hold
        await tx.execute(
            """INSERT INTO audit_events (organization_id, action, resource_type, resource_id, actor_id, actor_type)
               SELECT %(id)s, 'annotation_created', 'annotation', 'ann_' || n, 'usr', 'user'
               FROM generate_series(1, 2500) AS n""",
            {"id": organization_id},
        )

    answer = await client.get(f"{LOGS}/export", params={"resource_type": "annotation"})

    lines = [json.loads(line)["resource_id"] for line in answer.text.splitlines()]
    assert lines == [f"ann_{n}" for n in range(2500, 0, -1)]


async def test_the_export_is_one_json_text_when_only_json_is_accepted(opened: Open) -> None:
    client = opened.client(**{"User-Agent": 'quoted "agent" \\ in', "Accept": "application/json"})
    await space(client)

    answer = await client.get(f"{LOGS}/export")

    assert answer.headers["content-type"] == "application/json"
    assert [json.loads(line) for line in answer.json().splitlines()] == await logs(client)


@pytest.mark.parametrize("path", [LOGS, f"{LOGS}/export", f"{LOGS}/aud_0000000000000001", SETTINGS])
async def test_the_log_is_closed_when_a_key_is_no_administrators(opened: Open, path: str) -> None:
    client = opened.client()
    reader = (await client.post(f"{USER}/api-keys", json={"name": "r", "permissions": ["delete"]})).json()["key"]
    scopes = [{"resource_type": "namespace", "resource_id": "*"}]
    body = {"name": "s", "permissions": ["admin"], "scopes": scopes}
    scoped = (await client.post(f"{USER}/api-keys", json=body)).json()["key"]

    assert_envelope(await opened.client(reader).get(path), 403)
    assert_envelope(await opened.client(scoped).get(path), 403)
    assert_envelope(await opened.client("").get(path), 401)


async def test_an_event_is_missing_when_it_is_anothers_or_no_id(opened: Open) -> None:
    client, other = opened.client(), opened.client(opened.other_key)
    await space(client)
    mine = (await logs(client))[0]["audit_id"]

    for identifier in (mine, "aud_ffffffffffffffff", "aud_1", "aud_000000000000000G", "x"):
        assert_envelope(await other.get(f"{LOGS}/{identifier}"), 404)
    assert mine not in {event["audit_id"] for event in await logs(other)}
    assert mine not in (await other.get(f"{LOGS}/export")).text


async def test_reads_are_in_the_log_only_while_it_is_wanted(opened: Open) -> None:
    client = opened.client()
    ids = await estate(client)

    async def look() -> None:
        for noun in ("namespace", "bucket", "collection", "retriever"):
            assert (await client.get(f"/v1/{noun}s/{ids[noun]}")).status_code == 200
        assert (await client.post(f"/v1/retrievers/{ids['retriever']}/execute", json={})).status_code == 200

    assert (await client.get(SETTINGS)).json() == {"read_auditing_enabled": False}
    await look()
    assert (await client.patch(SETTINGS, json={"read_auditing_enabled": True})).json() == {
        "read_auditing_enabled": True
    }
    await look()
    await client.patch(SETTINGS, json={})
    await client.patch(SETTINGS, json={"read_auditing_enabled": None})
    assert (await client.get(SETTINGS)).json() == {"read_auditing_enabled": True}
    await client.patch(SETTINGS, json={"read_auditing_enabled": False})
    await look()

    after = [event for event in reversed(await logs(client)) if event["action"].endswith(("accessed", "queried"))]
    nouns = ("namespace", "bucket", "collection", "retriever")
    assert [(event["action"], event["resource_id"]) for event in after] == [
        *[(f"{noun}_accessed", ids[noun]) for noun in nouns],
        ("retriever_queried", ids["retriever"]),
    ]
    changes = [event["changes"]["read_auditing_enabled"] for event in await logs(client, action="permission_updated")]
    assert changes == [{"old": True, "new": False}, {"old": False, "new": True}]


async def test_the_setting_names_unknown_keys(opened: Open) -> None:
    error = assert_envelope(await opened.client().patch(SETTINGS, json={"reads": True}), 422)

    assert "read_auditing_enabled" in str(error["message"])


async def test_a_refused_attempt_is_in_the_log_as_a_failure(opened: Open) -> None:
    client = opened.client()
    made = (await client.post(f"{USER}/api-keys", json={"name": "r", "permissions": ["write"]})).json()
    writer = opened.client(made["key"])

    assert_envelope(await writer.post(f"{USER}/api-keys", json={"name": "mine", "permissions": ["admin"]}), 403)
    assert_envelope(await writer.delete("/v1/organizations/users/admin@localhost"), 403)
    assert_envelope(await writer.get(LOGS), 403)

    events = [event for event in await logs(client) if event["status"] == "failure"]
    assert [(event["action"], event["resource_id"]) for event in events] == [
        ("user_deleted", "admin@localhost"),
        ("api_key_created", "admin@localhost"),
    ]
    assert {event["actor_id"] for event in events} == {made["key_id"]}
