"""The whole application over a fresh database, with two organizations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import FastAPI
from tests.opened import Open

from prismhouse.server.app import create_app
from prismhouse.server.wiring import House, build
from prismhouse.settings import Settings


@pytest.fixture(scope="session")
async def house(fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The application's parts as `serve` joins them, without a process; tests keep apart by organization."""
    house = build(Settings(data_dir=tmp_path_factory.mktemp("house")), fresh_database())
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
