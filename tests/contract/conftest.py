"""The whole application over a fresh database, with two organizations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.opened import Open

from prismhouse.server.app import create_app
from prismhouse.server.wiring import build
from prismhouse.settings import Settings


@pytest.fixture
async def opened(dsn: str, tmp_path: Path) -> AsyncIterator[Open]:
    """The application as `serve` joins it, without a process."""
    house = build(Settings(data_dir=tmp_path), dsn)
    await house.open()
    key = await house.organizations.bootstrap()
    assert key is not None
    _, other_key = await house.organizations.create(name="other")
    opened = Open(house=house, app=create_app(house), key=key, other_key=other_key)
    yield opened
    for client in opened.clients:
        await client.aclose()
    await house.close()
