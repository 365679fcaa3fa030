"""Small calls for one model run together: what came while the model was busy is its next run.

Nothing waits for company: an idle model begins at once. Items are taken by turns, first among shares (tenants), then
among their calls, so that a call of a thousand items is many runs, and a call of one stands in the next of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Coalescer"]

Item = TypeVar("Item")
Out = TypeVar("Out")


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Out]):
    """A call: `taken` of its items were given to a run, `made` is what came of those that are done."""

    items: Sequence[Item]
    answer: asyncio.Future[list[Out]]
    taken: int = 0
    made: dict[int, Out] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Lane(Generic[Item, Out]):
    """What waits for one model, by share."""

    shares: OrderedDict[str, deque[_Call[Item, Out]]] = field(default_factory=OrderedDict)
    drain: asyncio.Task[None] | None = None


class Coalescer(Generic[Item, Out]):
    """Runs items in groups, one group of a model at a time, models beside each other.

    Args:
        run: `(model, items)` to one result for each item, in their order; an item that fails alone gives an exception
            in its place. Called on the executor.
        executor: of a model; its threads bound how many models run at once.
        cost: of an item, in any unit; a run takes `most_cost` of it and at least one item, so that nobody waits long.
        most_items: of a run.
    """

    def __init__(
        self,
        run: Callable[[str, list[Item]], Sequence[Out | Exception]],
        *,
        executor: Callable[[str], Executor],
        cost: Callable[[Item], int],
        most_cost: int,
        most_items: int,
    ) -> None:
        self._run = run
        self._executor = executor
        self._cost = cost
        self._most_cost = most_cost
        self._most_items = most_items
        self._lanes: dict[str, _Lane[Item, Out]] = {}

    async def call(self, model: str, items: Sequence[Item], *, share: str = "") -> list[Out]:
        """Return one result per item, in their order; raise what any of them failed with.

        Cancelling drops the items that have not begun.
        """
        if not items:
            return []
        call = _Call[Item, Out](items, asyncio.get_running_loop().create_future())
        lane = self._lanes.setdefault(model, _Lane())
        lane.shares.setdefault(share, deque()).append(call)
        if lane.drain is None or lane.drain.done():
            lane.drain = asyncio.create_task(self._drain(model, lane))
        return await call.answer

    async def close(self, error: Exception) -> None:
        """Fail what waits, and wait for the runs that are under way."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            for calls in lane.shares.values():
                for call in calls:
                    _fail(call, error)
            lane.shares.clear()
        await asyncio.gather(*(lane.drain for lane in lanes if lane.drain is not None))

    async def _drain(self, model: str, lane: _Lane[Item, Out]) -> None:
        loop = asyncio.get_running_loop()
        while group := self._take(lane):
            items = [call.items[place] for call, place in group]
            try:
                made = await loop.run_in_executor(self._executor(model), self._run, model, items)
            except Exception as error:  # noqa: BLE001 - handed to the callers that wait
                made = [error] * len(items)
            if len(made) != len(items):
                made = [RuntimeError(f"The model {model} gave {len(made)} results for {len(items)} items.")] * len(
                    items
                )
            for (call, place), one in zip(group, made, strict=True):
                _give(call, place, one)

    def _take(self, lane: _Lane[Item, Out]) -> list[tuple[_Call[Item, Out], int]]:
        """Return the next items, by turns, as many as one run may have."""
        group: list[tuple[_Call[Item, Out], int]] = []
        left = self._most_cost
        while lane.shares and len(group) < self._most_items:
            share, calls = lane.shares.popitem(last=False)
            call = calls[0]
            if not call.answer.done():
                cost = self._cost(call.items[call.taken])
                if group and cost > left:
                    lane.shares[share] = calls
                    lane.shares.move_to_end(share, last=False)
                    break
                left -= cost
                group.append((call, call.taken))
                call.taken += 1
            calls.popleft()
            if not call.answer.done() and call.taken < len(call.items):
                calls.append(call)
            if calls:
                lane.shares[share] = calls
        return group


def _give(call: _Call[Item, Out], place: int, made: Out | Exception) -> None:
    if isinstance(made, Exception):
        _fail(call, made)
        return
    call.made[place] = made
    if len(call.made) == len(call.items) and not call.answer.done():
        call.answer.set_result([call.made[number] for number in range(len(call.items))])


def _fail(call: _Call[Item, Out], error: Exception) -> None:
    if not call.answer.done():
        call.answer.set_exception(error)
