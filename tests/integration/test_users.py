"""Users of an organization, and what their keys may see of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.tenants import Estate, raise_estate

from prismhouse.storage.postgres.database import Database

USERS = "/v1/organizations/users"


@pytest.fixture
async def estate(db: Database) -> AsyncIterator[Estate]:
    made = await raise_estate(db)
    yield made
    await made.close()


async def test_a_user_is_made_once_whatever_the_case_of_the_email(estate: Estate) -> None:
    client = estate.client()

    made = (await client.post(USERS, json={"email": "Ann@example.com", "user_name": "Ann"})).json()
    again = await client.post(USERS, json={"email": "ann@EXAMPLE.com", "user_name": "Ann"})

    assert (made["role"], made["status"]) == ("member", "active")
    assert again.status_code == 409
    assert (await client.get(f"{USERS}/ANN@example.com")).json()["user_id"] == made["user_id"]


async def test_users_are_listed_by_role_in_pages(estate: Estate) -> None:
    client = estate.client()
    for number in range(3):
        await client.post(USERS, json={"email": f"u{number}@example.com", "user_name": "User", "role": "viewer"})

    page = (await client.get(f"{USERS}?role=viewer&skip=1&limit=1")).json()

    assert [one["email"] for one in page["results"]] == ["u1@example.com"]
    assert page["total"] == 3
    assert (await client.get(f"{USERS}?limit=0")).status_code == 422


@pytest.mark.parametrize("body", [{"status": "suspended"}, None])
async def test_the_holder_of_the_first_key_can_be_neither_suspended_nor_removed(
    estate: Estate, body: dict[str, str] | None
) -> None:
    client, path = estate.client(), f"{USERS}/admin@localhost"

    refused = await (client.patch(path, json=body) if body else client.delete(path))

    assert refused.status_code == 403
    assert (await client.get("/v1/me")).status_code == 200


async def test_a_removed_user_takes_the_keys_along(estate: Estate) -> None:
    client, path = estate.client(), f"{USERS}/ann@example.com"
    await client.post(USERS, json={"email": "ann@example.com", "user_name": "Ann"})
    key = (await client.post(f"{path}/api-keys", json={"name": "k"})).json()["key"]

    assert (await client.delete(path)).json()["success"] is True

    assert (await estate.client(key).get("/v1/me")).status_code == 401
    assert (await client.get(path)).status_code == 404


async def test_only_administrators_see_who_else_is_there(estate: Estate) -> None:
    _, reader = await estate.organizations.create_key(name="reader", permissions=["read"])

    assert len((await estate.client().get("/v1/organizations")).json()["users"]) == 1
    assert (await estate.client(reader).get("/v1/organizations")).json()["users"] is None
    assert (await estate.client(reader).get(USERS)).status_code == 403


async def test_what_only_the_hosted_service_has_is_refused_by_name(estate: Estate) -> None:
    refused = await estate.client().patch("/v1/organizations", json={"spend_limits": {"daily_usd": 1}})

    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "NotEnabledError"
    assert "spend_limits" in refused.json()["error"]["message"]


async def test_health_says_503_while_the_database_is_gone_and_the_process_stays_alive(estate: Estate) -> None:
    client = estate.client("")
    await estate.db.close()

    health = await client.get("/v1/health")

    assert health.status_code == 503
    assert health.headers["retry-after"]
    assert health.json()["error"]["type"] == "UnavailableError"
    assert (await client.get("/v1/health/liveness")).status_code == 200
    assert (await client.get("/v1/health/deep")).json()["status"] == "DEGRADED"


async def test_a_user_is_made_once_when_two_requests_differ_in_case_only(estate: Estate) -> None:
    client = estate.client()
    emails = ["Ann@example.com", "ann@example.com", "ANN@example.com"]

    answers = await asyncio.gather(*(client.post(USERS, json={"email": email, "user_name": "Ann"}) for email in emails))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
