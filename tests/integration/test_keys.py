"""Keys: the first one, hashing, expiry, revocation, scopes, origins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.tenants import Estate, raise_estate

from prismhouse.api.organizations.service import Organizations
from prismhouse.kit.clock import utc_now
from prismhouse.storage.postgres.database import Database
from prismhouse.storage.postgres.locks import Lock

USER = "/v1/organizations/users/admin@localhost"


@pytest.fixture
async def estate(db: Database) -> AsyncIterator[Estate]:
    made = await raise_estate(db)
    yield made
    await made.close()


async def test_one_first_key_is_made_when_many_processes_start_at_once(db: Database) -> None:
    made = await asyncio.gather(*(Organizations(db).bootstrap() for _ in range(4)))

    assert sum(key is not None for key in made) == 1
    assert await Organizations(db).bootstrap() is None


async def test_a_given_first_key_replaces_the_standing_one_when_the_setting_changes(estate: Estate) -> None:
    assert await estate.organizations.bootstrap("sk_chosen_by_the_operator") is None

    assert (await estate.client("sk_chosen_by_the_operator").get("/v1/me")).status_code == 200
    assert (await estate.client().get("/v1/me")).status_code == 401


async def test_a_key_is_shown_once_and_kept_as_a_hash(estate: Estate) -> None:
    client = estate.client()

    created = (await client.post(f"{USER}/api-keys", json={"name": "ingest"})).json()
    listed = (await client.get(f"{USER}/api-keys")).json()["results"]

    assert created["key"].startswith("sk_")
    assert created["key_prefix"] == created["key"][:10]
    assert all("key" not in one for one in listed)
    assert created["key"] not in str(listed)
    assert {one["name"] for one in listed} == {"admin-key", "ingest"}
    assert (await estate.client(created["key"]).get("/v1/me")).json()["key"]["permissions"] == [
        "delete",
        "read",
        "write",
    ]


async def test_a_revoked_key_fails_at_once(estate: Estate) -> None:
    client = estate.client()
    key = (await client.post(f"{USER}/api-keys", json={"name": "short"})).json()["key"]
    theirs = estate.client(key)
    assert (await theirs.get("/v1/me")).status_code == 200

    assert (await client.delete(f"{USER}/api-keys/short")).json()["success"] is True

    refused = await theirs.get("/v1/me")
    assert refused.status_code == 401
    assert refused.json()["error"]["type"] == "UnauthorizedError"
    assert "revoked" in refused.json()["error"]["message"]


async def test_an_expired_key_fails_and_cannot_be_revived(estate: Estate) -> None:
    soon = (utc_now() + timedelta(seconds=30)).isoformat()
    client = estate.client()
    created = (await client.post(f"{USER}/api-keys", json={"name": "brief", "expires_at": soon})).json()
    async with estate.db.write() as tx:
        await tx.execute("UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE name = 'brief'")

    assert (await estate.client(created["key"]).get("/v1/me")).status_code == 401
    revived = await client.patch(f"{USER}/api-keys/brief", json={"expires_at": None})
    assert revived.status_code == 400
    listed = (await client.get(f"{USER}/api-keys")).json()["results"]
    assert {one["name"]: one["status"] for one in listed}["brief"] == "expired"


async def test_rotation_kills_the_old_secret_and_keeps_the_key_id(estate: Estate) -> None:
    client = estate.client()
    old = (await client.post(f"{USER}/api-keys", json={"name": "turning"})).json()

    new = (await client.post(f"{USER}/api-keys/turning/rotate")).json()

    assert new["key_id"] == old["key_id"]
    assert (await estate.client(old["key"]).get("/v1/me")).status_code == 401
    assert (await estate.client(new["key"]).get("/v1/me")).status_code == 200


@pytest.mark.parametrize("call", ["delete", "patch", "rotate"])
async def test_the_first_key_is_refused_when_the_api_would_change_it(estate: Estate, call: str) -> None:
    client, path = estate.client(), f"{USER}/api-keys/admin-key"

    if call == "delete":
        answer = await client.delete(path)
    elif call == "patch":
        answer = await client.patch(path, json={"description": "mine"})
    else:
        answer = await client.post(f"{path}/rotate")

    assert answer.status_code == 403


async def test_permissions_imply_the_weaker_ones(estate: Estate) -> None:
    client = estate.client()
    reader = (await client.post(f"{USER}/api-keys", json={"name": "r", "permissions": ["read"]})).json()["key"]
    writer = (await client.post(f"{USER}/api-keys", json={"name": "w", "permissions": ["write"]})).json()["key"]

    assert (await estate.client(reader).post("/v1/namespaces", json={"namespace_name": "one"})).status_code == 403
    made = (await estate.client(writer).post("/v1/namespaces", json={"namespace_name": "one"})).json()
    assert (await estate.client(writer).delete(f"/v1/namespaces/{made['namespace_id']}")).status_code == 403
    assert (await estate.client(reader).get(f"/v1/namespaces/{made['namespace_id']}")).status_code == 200
    assert (await estate.client(writer).get(f"{USER}/api-keys")).status_code == 403


async def test_a_scoped_key_sees_only_its_namespaces_and_makes_no_keys(estate: Estate) -> None:
    client = estate.client()
    for name in ("ns_a_1", "ns_a_2", "ns_b_1"):
        await client.post("/v1/namespaces", json={"namespace_name": name, "namespace_id": name})
    scopes = [{"resource_type": "namespace", "resource_id": "ns_a_*"}]
    body = {"name": "scoped", "permissions": ["admin"], "scopes": scopes}
    scoped = estate.client((await client.post(f"{USER}/api-keys", json=body)).json()["key"])

    listed = (await scoped.get("/v1/namespaces")).json()
    assert {one["namespace_id"] for one in listed["results"]} == {"ns_a_1", "ns_a_2"}
    assert (await scoped.get("/v1/namespaces/ns_b_1")).status_code == 404
    assert (await scoped.post(f"{USER}/api-keys", json={"name": "wide"})).status_code == 403
    assert (await scoped.post("/v1/namespaces", json={"namespace_name": "new"})).status_code == 403
    allowed = await scoped.post("/v1/namespaces", json={"namespace_name": "ns_a_3", "namespace_id": "ns_a_3"})
    assert allowed.status_code == 200


async def test_operations_of_a_scope_narrow_the_permissions(estate: Estate) -> None:
    client = estate.client()
    await client.post("/v1/namespaces", json={"namespace_name": "ns_r", "namespace_id": "ns_r"})
    scopes = [{"resource_type": "namespace", "resource_id": "ns_r", "operations": ["read_data"]}]
    scoped = estate.client(
        (await client.post(f"{USER}/api-keys", json={"name": "narrow", "scopes": scopes})).json()["key"]
    )

    assert (await scoped.get("/v1/namespaces/ns_r")).status_code == 200
    assert (await scoped.patch("/v1/namespaces/ns_r", json={"description": "x"})).status_code == 403
    assert (await scoped.delete("/v1/namespaces/ns_r")).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("https://app.example.com", 200),
        ("https://a.b.example.org", 200),
        ("https://example.org", 403),
        ("https://evil.com/.example.org", 403),
        ("http://a.example.org", 403),
    ],
)
async def test_an_origin_is_held_against_the_keys_list(estate: Estate, origin: str | None, status: int) -> None:
    body = {"name": "browser", "allowed_origins": ["https://app.example.com", "https://*.example.org"]}
    key = (await estate.client().post(f"{USER}/api-keys", json=body)).json()["key"]

    answer = await estate.client(key, **({"Origin": origin} if origin else {})).get("/v1/me")

    assert answer.status_code == status


async def test_a_suspended_user_loses_all_keys_for_good(estate: Estate) -> None:
    client = estate.client()
    await client.post("/v1/organizations/users", json={"email": "a@b.co", "user_name": "Ann"})
    path = "/v1/organizations/users/a@b.co"
    key = (await client.post(f"{path}/api-keys", json={"name": "k"})).json()["key"]

    assert (await client.patch(path, json={"status": "suspended"})).status_code == 200
    assert (await estate.client(key).get("/v1/me")).status_code == 401
    await client.patch(path, json={"status": "active"})
    assert (await estate.client(key).get("/v1/me")).status_code == 401


async def test_use_is_noted_beside_the_request(estate: Estate) -> None:
    assert (await estate.client().get("/v1/me")).status_code == 200

    await estate.namespaces.settle()

    assert (await estate.organizations.list_keys())[0]["last_used_at"] is not None


async def test_the_command_line_makes_lists_and_revokes_without_http(estate: Estate) -> None:
    row, key = await estate.organizations.create_key(name="from-cli", permissions=["read"], namespaces=["ns_x"])
    assert (await estate.client(key).get("/v1/me")).status_code == 200
    assert row["key_id"] in {one["key_id"] for one in await estate.organizations.list_keys()}

    await estate.organizations.revoke_key("from-cli")

    assert (await estate.client(key).get("/v1/me")).status_code == 401


async def test_a_narrowed_key_makes_no_namespace_and_stops_no_task(estate: Estate) -> None:
    client = estate.client()
    await client.post("/v1/namespaces", json={"namespace_name": "ns_r", "namespace_id": "ns_r"})
    organization_id = (await client.get("/v1/me")).json()["organization_id"]
    values: dict[str, Any] = {"namespace_id": "ns_r", "task_type": "materialize", "inputs": [], "additional_data": {}}
    async with estate.db.write() as tx:
        task_id = await estate.tasks.create(tx, organization_id=organization_id, **values)
    scopes = [{"resource_type": "namespace", "resource_id": "ns_*", "operations": ["read_data"]}]
    made = await client.post(f"{USER}/api-keys", json={"name": "narrow", "scopes": scopes})
    scoped = estate.client(made.json()["key"])

    created = await scoped.post("/v1/namespaces", json={"namespace_name": "ns_x", "namespace_id": "ns_x"})
    killed = await scoped.delete(f"/v1/tasks/{task_id}")

    assert (created.status_code, killed.status_code) == (403, 403)
    assert (await scoped.get(f"/v1/tasks/{task_id}")).status_code == 200


@pytest.mark.parametrize(
    ("operations", "missing"),
    [
        (["write_data"], "read_data"),
        (["read_data", "delete_data"], "write_data"),
        (["execute_retriever"], "read_data"),
        (["read_data", "write_data", "execute_retriever"], None),
    ],
)
async def test_operations_that_would_leave_a_dead_key_are_refused(
    estate: Estate, operations: list[str], missing: str | None
) -> None:
    scopes = [{"resource_type": "namespace", "resource_id": "*", "operations": operations}]

    answer = await estate.client().post(f"{USER}/api-keys", json={"name": "k", "scopes": scopes})

    assert answer.status_code == (422 if missing else 200)
    assert missing is None or f"must include {missing}" in answer.text


async def test_a_server_starts_while_another_process_builds_an_index(db: Database) -> None:
    async with db.write() as tx:
        await tx.fetch_value("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": int(Lock.BUILD_INDEXES)})

        key = await asyncio.wait_for(Organizations(db).bootstrap(), 5)

    assert key is not None
