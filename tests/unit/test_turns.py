"""Who computes next: namespaces by turns, and chunks without company."""

from __future__ import annotations

import asyncio

import pytest

from prismhouse.api.batches.service.turns import Turns


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Crowd:
    """Calls that wait for their turn, and end when they are told."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def add(self, name: str) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._call(name))
        await settle()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await settle()

    async def _call(self, name: str) -> None:
        async with self.turns.turn(name[0]):
            self.began.append(name)
            await self.ends[name].wait()


async def test_namespaces_take_turns_when_one_has_much_more_to_do() -> None:
    crowd = Crowd(Turns(2))
    for name in ("a1", "a2", "a3", "a4", "a5", "b1", "c1"):
        await crowd.add(name)
    assert crowd.began == ["a1", "a2"]

    await crowd.end("a1")
    await crowd.end("a2")
    await crowd.end("b1")
    await crowd.end("c1")

    assert crowd.began == ["a1", "a2", "b1", "c1", "a3", "a4"]
    for name in ("a3", "a4", "a5"):
        await crowd.end(name)


async def test_a_slot_is_not_lost_when_who_waits_is_cancelled() -> None:
    crowd = Crowd(Turns(1))
    for name in ("a1", "b1", "c1"):
        await crowd.add(name)
    crowd.tasks["b1"].cancel()
    crowd.tasks["a1"].cancel()
    await settle()

    assert crowd.began == ["a1", "c1"]
    await crowd.end("c1")
    await crowd.add("d1")
    assert crowd.began[-1] == "d1"
    await crowd.end("d1")
    with pytest.raises(asyncio.CancelledError):
        await crowd.tasks["b1"]


async def test_who_must_be_alone_has_no_company() -> None:
    turns, inside, seen = Turns(2), set[str](), list[set[str]]()

    async def run(name: str, *, alone: bool) -> None:
        async with turns.company(alone=alone):
            inside.add(name)
            await settle()
            seen.append(set(inside))
            inside.discard(name)

    names = [("a", False), ("b", False), ("x", True), ("c", False), ("y", True)]
    await asyncio.gather(*(run(name, alone=alone) for name, alone in names))

    assert len(seen) == 5
    assert all(company in ({"x"}, {"y"}) for company in seen if company & {"x", "y"})
    assert any(len(company) > 1 for company in seen)
