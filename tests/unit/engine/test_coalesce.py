"""Calls that run together: by turns, in order, and none pays for another that went away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prismhouse.engine.inference.coalesce import Coalescer

SECONDS = 30


class Model:
    """Upper-cases words; keeps what it ran; waits before its first run until it is let go."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, list[str]]] = []
        self.begun = threading.Event()
        self.gate = threading.Event()

    def __call__(self, name: str, words: list[str]) -> list[str | Exception]:
        self.runs.append((name, words))
        self.begun.set()
        assert self.gate.wait(SECONDS)
        if "broken" in words:
            raise MemoryError
        if "short" in words:
            return []
        return [ValueError(word) if word.startswith("bad") else word.upper() for word in words]


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    """A model that is let go at the end, whatever happened."""
    made = Model()
    yield made
    made.gate.set()


@pytest.fixture
async def together(model: Model) -> AsyncIterator[Coalescer[str, str]]:
    """Runs of at most four words and twenty letters."""
    with ThreadPoolExecutor(2) as executor:
        yield Coalescer(model, executor=lambda _: executor, cost=len, most_cost=20, most_items=4)
        model.gate.set()


async def begun(model: Model) -> None:
    """Return when the first run is under way, and what is asked now has to wait."""
    await asyncio.to_thread(model.begun.wait, SECONDS)


async def test_calls_run_together_when_they_came_during_a_run(model: Model, together: Coalescer[str, str]) -> None:
    first = asyncio.create_task(together.call("m", ["a"]))
    await begun(model)
    others = [asyncio.create_task(together.call("m", [word])) for word in ("b", "c", "d")]
    await asyncio.sleep(0)
    model.gate.set()

    assert await asyncio.gather(first, *others) == [["A"], ["B"], ["C"], ["D"]]
    assert [words for _, words in model.runs] == [["a"], ["b", "c", "d"]]


async def test_a_small_call_stands_in_the_next_run_when_a_large_one_waits(
    model: Model, together: Coalescer[str, str]
) -> None:
    large = asyncio.create_task(together.call("m", [f"l{number}" for number in range(40)], share="large"))
    await begun(model)
    small = asyncio.create_task(together.call("m", ["small"], share="small"))
    await asyncio.sleep(0)
    model.gate.set()

    assert await small == ["SMALL"]
    assert await large == [f"L{number}" for number in range(40)]
    assert "small" in model.runs[1][1]


async def test_shares_have_equal_turns_when_one_sends_many_calls(model: Model, together: Coalescer[str, str]) -> None:
    first = asyncio.create_task(together.call("m", ["x"]))
    await begun(model)
    many = [asyncio.create_task(together.call("m", [f"m{number}"], share="many")) for number in range(20)]
    await asyncio.sleep(0)
    few = asyncio.create_task(together.call("m", ["f0", "f1"], share="few"))
    await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(first, few, *many)

    assert model.runs[1][1] == ["m0", "f0", "m1", "f1"]


async def test_a_cancelled_call_costs_nothing_when_it_has_not_begun(
    model: Model, together: Coalescer[str, str]
) -> None:
    first = asyncio.create_task(together.call("m", ["a"]))
    await begun(model)
    gone = asyncio.create_task(together.call("m", ["gone"] * 100, share="gone"))
    stays = asyncio.create_task(together.call("m", ["stays"]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    model.gate.set()

    assert await asyncio.gather(first, stays) == [["A"], ["STAYS"]]
    assert [words for _, words in model.runs] == [["a"], ["stays"]]


async def test_only_the_callers_of_a_bad_item_are_told_when_a_run_has_one(
    model: Model, together: Coalescer[str, str]
) -> None:
    model.gate.set()
    answers = await asyncio.gather(
        together.call("m", ["good", "bad one"]), together.call("m", ["fine"]), return_exceptions=True
    )

    assert isinstance(answers[0], ValueError)
    assert answers[1] == ["FINE"]


async def test_later_calls_are_served_when_a_run_failed_as_a_whole(model: Model, together: Coalescer[str, str]) -> None:
    model.gate.set()

    with pytest.raises(MemoryError):
        await together.call("m", ["broken"])
    assert await together.call("m", ["whole"]) == ["WHOLE"]


async def test_nobody_waits_for_ever_when_a_run_gives_too_few_results(
    model: Model, together: Coalescer[str, str]
) -> None:
    model.gate.set()

    async with asyncio.timeout(SECONDS):
        with pytest.raises(RuntimeError, match="The model m gave 0 results for 2 items"):
            await together.call("m", ["short", "other"])
    assert await together.call("m", ["whole"]) == ["WHOLE"]


async def test_what_waits_is_told_when_it_is_closed(model: Model, together: Coalescer[str, str]) -> None:
    first = asyncio.create_task(together.call("m", ["a"]))
    await begun(model)
    waiting = asyncio.create_task(together.call("m", ["b"]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(together.close(RuntimeError("closed")))
    await asyncio.sleep(0)
    model.gate.set()
    await closing

    assert await first == ["A"]
    with pytest.raises(RuntimeError, match="closed"):
        await waiting


@settings(deadline=None, max_examples=50)
@given(
    calls=st.lists(
        st.tuples(st.sampled_from("mn"), st.sampled_from("xyz"), st.lists(st.text("abc", max_size=30), max_size=12)),
        max_size=12,
    )
)
async def test_everybody_gets_their_own_in_order_whatever_is_asked(
    calls: list[tuple[str, str, list[str]]],
) -> None:
    model = Model()
    model.gate.set()
    with ThreadPoolExecutor(2) as executor:
        together = Coalescer(model, executor=lambda _: executor, cost=len, most_cost=20, most_items=4)
        answers = await asyncio.gather(*(together.call(name, words, share=share) for name, share, words in calls))

    assert answers == [[word.upper() for word in words] for _, _, words in calls]
    for _, words in model.runs:
        assert 1 <= len(words) <= 4
        assert len(words) == 1 or sum(map(len, words)) <= 20
