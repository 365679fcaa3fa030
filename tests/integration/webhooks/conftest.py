"""A house that may post to this machine, an organization in it, and a receiver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.receiver import Receiver

from prismhouse.server.app import create_app
from prismhouse.server.wiring import House, build
from prismhouse.settings import OutboundSettings, Settings, WebhookSettings

WEBHOOKS = "/v1/organizations/webhooks"
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cyE="
QUICK: dict[str, Any] = {
    "allow_http": True,
    "first_retry_seconds": 0.05,
    "longest_retry_seconds": 0.2,
    "max_attempts": 4,
    "pause_after": 3,
}


@dataclass
class Place:
    """A house with one organization, and a client with its admin key."""

    house: House
    client: httpx2.AsyncClient
    organization_id: str

    async def subscribe(self, url: str, *types: str, **more: Any) -> dict[str, Any]:
        """Create a webhook and return it."""
        configs = {"url": url, "signing_secret": SECRET, "timeout": 2, **more.pop("configs", {})}
        body = {
            "webhook_name": "hook",
            "event_types": list(types) or ["*"],
            "channels": [{"channel": "webhook", "configs": configs}],
            **more,
        }
        answer = await self.client.post(WEBHOOKS, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def tell(self, *resource_ids: str, event_type: str = "object.updated", **payload: Any) -> None:
        """Write an event about each of the resources, in a transaction."""
        async with self.house.db.write() as tx:
            await self.house.events.emit_many(
                tx,
                organization_id=self.organization_id,
                namespace_id="ns_1",
                events=[(event_type, one, payload) for one in resource_ids],
            )

    @asynccontextmanager
    async def delivering(self, *, stop_timeout_seconds: float = 5) -> AsyncIterator[None]:
        """Deliver in the background."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.house.deliverer.run(stop, stop_timeout_seconds=stop_timeout_seconds))
        try:
            yield
        finally:
            stop.set()
            await task

    async def deliveries(self, webhook: dict[str, Any], **query: str) -> list[dict[str, Any]]:
        """Return the log of a webhook, oldest first."""
        answer = await self.client.get(
            f"{WEBHOOKS}/{webhook['webhook_id']}/deliveries", params={**query, "limit": 1000}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["results"][::-1]  # type: ignore[no-any-return]


async def soon(read: Callable[[], Any], *, until: Callable[[Any], bool] = bool, timeout_seconds: float = 20) -> Any:
    """Return the first value, awaited if need be, that satisfies `until`."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            value = read()
            if isinstance(value, Awaitable):
                value = await value
            if until(value):
                return value
            await asyncio.sleep(0.02)


@asynccontextmanager
async def opened_place(dsn: str, folder: Path, **settings: Any) -> AsyncIterator[Place]:
    """Give a place whose webhooks are set as `settings` say."""
    house = build(
        Settings(
            data_dir=folder,
            outbound=OutboundSettings(allow_networks=("127.0.0.0/8",), allow_ports=()),
            webhooks=WebhookSettings(**{**QUICK, **settings}),
        ),
        dsn,
    )
    await house.open()
    _, key = await house.organizations.create(name="mine")
    headers = {"Authorization": f"Bearer {key}"}
    transport = httpx2.ASGITransport(create_app(house), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://house", headers=headers) as client:
        organization_id = (await client.get("/v1/me")).json()["organization_id"]
        yield Place(house=house, client=client, organization_id=organization_id)
    await house.close()


@pytest.fixture
async def place(dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    """A place of quick retries."""
    async with opened_place(dsn, tmp_path) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything until it is told otherwise."""
    made = Receiver().start()
    yield made
    made.close()
