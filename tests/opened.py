"""A house that is open, its application, and clients of two organizations that know nothing of each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx2
import pytest
from fastapi import FastAPI

from prismhouse.server.app import create_app
from prismhouse.server.wiring import House, build
from prismhouse.settings import LimitSettings, Settings


@dataclass
class Open:
    """A house that is open, its application, and the admin keys of two organizations."""

    house: House
    app: FastAPI
    key: str
    other_key: str
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    def client(self, key: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """Return a client with the first organization's key, or with `key`; "" sends none."""
        chosen = self.key if key is None else key
        if chosen:
            headers["Authorization"] = f"Bearer {chosen}"
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        client = httpx2.AsyncClient(transport=transport, base_url="http://house", headers=headers)
        self.clients.append(client)
        return client


@pytest.fixture(scope="session")
async def house(fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The application's parts as `serve` joins them, without a process; tests keep apart by organization."""
    limits = LimitSettings(custom_extractors=100)
    house = build(Settings(data_dir=tmp_path_factory.mktemp("house"), limits=limits), fresh_database())
    await house.open()
    yield house
    await house.close()


@pytest.fixture(scope="session")
def app(house: House) -> FastAPI:
    """The application."""
    return create_app(house)


@pytest.fixture
async def opened(house: House, app: FastAPI) -> AsyncIterator[Open]:
    """The application with two new organizations."""
    _, key = await house.organizations.create(name="mine")
    _, other_key = await house.organizations.create(name="other")
    opened = Open(house=house, app=app, key=key, other_key=other_key)
    yield opened
    for client in opened.clients:
        await client.aclose()


def assert_envelope(answer: httpx2.Response, status: int, wire_type: str | None = None) -> dict[str, object]:
    """Check the error envelope and return its `error`."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["success"] is False
    assert body["status"] == status
    assert isinstance(body["error"]["message"], str)
    assert body["error"]["message"]
    assert wire_type is None or body["error"]["type"] == wire_type
    assert answer.headers["x-request-id"]
    return body["error"]  # type: ignore[no-any-return]
