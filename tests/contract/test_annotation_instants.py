"""What an instant means while others write: an answer for it is given once nothing can change it any more."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from tests.annotations import ROOT, create, ok, reviews, stored_document
from tests.opened import Open

from prismhouse.api.annotations.service.changes import Changes
from prismhouse.api.annotations.store import lists
from prismhouse.api.web.caller import Scope
from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import NamespaceId, OrganizationId

_WAITING = """
SELECT count(*) FROM pg_locks AS held JOIN pg_database AS here ON here.oid = held.database
WHERE here.datname = current_database() AND held.locktype = 'advisory' AND NOT held.granted
"""

_HELD = """
SELECT count(*) FROM pg_locks AS held JOIN pg_database AS here ON here.oid = held.database
WHERE here.datname = current_database() AND held.locktype = 'advisory' AND held.granted
"""


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    return await reviews(opened)


async def test_a_list_as_of_now_waits_for_what_began_before(opened: Open, client: httpx2.AsyncClient) -> None:
    made = await create(client)
    organization_id = OrganizationId((await client.get("/v1/me")).json()["organization_id"])
    scope = Scope(organization_id=organization_id, namespace_id=NamespaceId(client.headers["X-Namespace"]))
    house = opened.house

    async with asyncio.timeout(30):
        async with house.db.write() as unit:
            around = house.annotations._around
            changes = await Changes.begin(unit.within(scope.namespace_id), scope, around)
            await changes.create([{"document_id": "doc_2", "label": "under way"}])
            as_of = utc_now().isoformat()
            asked = asyncio.create_task(ok(client.post(f"{ROOT}/list", json={"as_of": as_of})))
            async with house.db.read() as tx:
                while not await tx.fetch_value(_WAITING):
                    await asyncio.sleep(0.01)
            # Those who ask for what stands now do not wait.
            assert (await ok(client.post(f"{ROOT}/list")))["total_count"] == 1
            assert not asked.done()
        found = await asked

    assert [one["label"] for one in found["results"]] == ["under way", made["label"]]
    assert await ok(client.post(f"{ROOT}/list", json={"as_of": as_of})) == found


async def test_a_list_for_an_end_user_keeps_nobody_from_writing(
    opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection_id, document_id = await stored_document(opened, client)
    await ok(client.patch(f"/v1/collections/{collection_id}/documents/{document_id}/acl", json={"public": True}))
    made = await create(client, document_id=document_id)
    async with opened.house.db.write() as tx:
        await tx.execute("UPDATE api_keys SET principal_id = 'p' WHERE key_id = %(key)s", {"key": made["actor_id"]})
    held: list[int] = []
    paged = lists.page

    async def watched(*arguments: Any, **more: Any) -> Any:
        async with opened.house.db.write() as tx:
            held.append(await tx.fetch_value(_HELD))
        return await paged(*arguments, **more)

    monkeypatch.setattr(lists, "page", watched)
    found = await ok(client.post(f"{ROOT}/list", json={"as_of": "2999-01-01"}))

    assert found["total_count"] == 1
    assert held == [0]
