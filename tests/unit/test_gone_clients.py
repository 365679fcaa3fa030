"""Clients that leave before they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from prismhouse.api.web.gone import unless_gone


def request(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> Request:
    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def test_work_is_ended_when_its_client_goes_away() -> None:
    left, ended = asyncio.Event(), asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def work() -> None:
        left.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(ClientDisconnect):
        await unless_gone(request(receive), work())
    assert ended.is_set()


async def test_what_work_gives_or_raises_is_told_when_its_client_stays() -> None:
    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def good() -> int:
        return 1

    async def bad() -> int:
        raise ValueError("bad")

    assert await unless_gone(request(receive), good()) == 1
    with pytest.raises(ValueError, match="bad"):
        await unless_gone(request(receive), bad())
