"""Who computes next in this process: namespaces by turns; and chunks that must run without company."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Turns"]

_REMEMBERED = 10_000


class Turns:
    """Slots for calls, given to the namespace with the fewest running ones, then to the one served longest ago.

    Args:
        slots: calls that run at once.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._running: Counter[str] = Counter()
        self._served: dict[str, int] = {}
        self._turn = 0
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._together = 0
        self._alone = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def turn(self, share: str) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until the end of the block."""
        if self._free and not self._waiting:
            self._serve(share)
        else:
            await self._wait(share)
        try:
            yield
        finally:
            self._end(share)

    @asynccontextmanager
    async def company(self, *, alone: bool) -> AsyncIterator[None]:
        """Run the block beside others, or with none of them: what ends the process then is found."""
        async with self._changed:
            if alone:
                self._alone += 1
                try:
                    await self._changed.wait_for(lambda: not self._together)
                except BaseException:
                    self._alone -= 1
                    self._changed.notify_all()
                    raise
            else:
                await self._changed.wait_for(lambda: not self._alone)
            self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            self._alone -= alone
            async with self._changed:
                self._changed.notify_all()

    async def _wait(self, share: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((share, mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._end(share)
            else:
                self._waiting.remove((share, mine))
            raise

    def _serve(self, share: str) -> None:
        self._free -= 1
        self._turn += 1
        if len(self._served) >= _REMEMBERED:
            self._served.clear()
        self._running[share] += 1
        self._served[share] = self._turn

    def _end(self, share: str) -> None:
        self._free += 1
        self._running[share] -= 1
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        while self._free and self._waiting:
            # min keeps the order of arrival among equals.
            entry = min(self._waiting, key=lambda each: (self._running[each[0]], self._served.get(each[0], 0)))
            self._waiting.remove(entry)
            self._serve(entry[0])
            entry[1].set_result(None)
        self._running += Counter()
