"""What every adapter of the compute port does; here the local pool."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.storage.compute.child import RemoteFailure
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.compute.port import ComputeTimedOut, WorkerLost

HERE = "tests.port.test_compute"
loaded: dict[str, int] = {}


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__()
        self.hold = lambda: None


def double(value: Any) -> Any:
    print("a print must not break the frames")
    return value * 2


def process_id() -> int:
    return os.getpid()


def load_once() -> int:
    loaded["count"] = loaded.get("count", 0) + 1
    return loaded["count"]


def raise_one(kind: str) -> None:
    if kind == "value":
        raise ValueError("no such value")
    if kind == "house":
        raise Invalid([field_fault(["body", "a"], "is wrong")])
    raise Unpicklable


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds: float, mark: str | None = None) -> float:
    if mark:
        Path(mark).write_text(str(os.getpid()))
    time.sleep(seconds)
    return seconds


def meet(mine: str, other: str) -> bool:
    Path(mine).touch()
    deadline = time.monotonic() + 30
    while not Path(other).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return Path(other).exists()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while alive(pid):
            await asyncio.sleep(0.02)


@pytest.fixture
async def compute() -> AsyncIterator[LocalCompute]:
    pool = LocalCompute(2)
    yield pool
    await pool.close()


async def test_a_result_comes_back_and_processes_stay_warm(compute: LocalCompute) -> None:
    assert await compute.run(f"{HERE}:double", "ab") == "abab"
    assert [await compute.run(f"{HERE}:load_once") for _ in range(3)] == [1, 2, 3]
    assert compute.running == 1


async def test_large_values_pass(compute: LocalCompute) -> None:
    value = b"x" * 20_000_000

    assert len(await compute.run(f"{HERE}:double", value)) == 40_000_000


async def test_an_exception_passes_through(compute: LocalCompute) -> None:
    with pytest.raises(ValueError, match="no such value") as caught:
        await compute.run(f"{HERE}:raise_one", "value")
    assert "raise_one" in caught.value.__notes__[0]
    with pytest.raises(WarehouseError) as refused:
        await compute.run(f"{HERE}:raise_one", "house")
    assert refused.value.details["validation_errors"][0]["location"] == ["body", "a"]
    with pytest.raises(RemoteFailure, match="Unpicklable"):
        await compute.run(f"{HERE}:raise_one", "other")
    with pytest.raises(ModuleNotFoundError):
        await compute.run("no.such.module:function")


async def test_one_killed_process_costs_one_call(compute: LocalCompute) -> None:
    results = await asyncio.gather(
        compute.run(f"{HERE}:sleep", 0.3),
        compute.run(f"{HERE}:kill_self"),
        compute.run(f"{HERE}:double", 4),
        return_exceptions=True,
    )

    assert results[0] == 0.3
    assert isinstance(results[1], WorkerLost)
    assert results[2] == 8


async def test_a_timeout_really_kills(compute: LocalCompute, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    await compute.run(f"{HERE}:double", 1)  # the process has started: the second is the call's alone

    with pytest.raises(ComputeTimedOut):
        await compute.run(f"{HERE}:sleep", 60.0, str(mark), timeout_seconds=1.0)

    assert not alive(int(mark.read_text()))
    assert await compute.run(f"{HERE}:double", 1) == 2


async def test_cancelling_the_caller_kills_the_call(compute: LocalCompute, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    call = asyncio.create_task(compute.run(f"{HERE}:sleep", 60.0, str(mark)))
    async with asyncio.timeout(10):
        while not mark.exists() or not mark.read_text():
            await asyncio.sleep(0.02)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    await until_gone(int(mark.read_text()))


async def test_a_call_cancelled_before_it_ran_leaves_nothing_behind(compute: LocalCompute, tmp_path: Path) -> None:
    marks = [tmp_path / str(number) for number in range(4)]
    calls = [asyncio.create_task(compute.run(f"{HERE}:sleep", 60.0, str(mark))) for mark in marks]
    await asyncio.sleep(0)  # two start a process, two wait for one

    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert compute.running == 0
    assert await compute.run(f"{HERE}:double", 1) == 2
    assert not any(mark.exists() for mark in marks)


async def test_calls_run_at_the_same_time_up_to_the_size_of_the_pool(compute: LocalCompute, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")

    met = await asyncio.gather(compute.run(f"{HERE}:meet", one, two), compute.run(f"{HERE}:meet", two, one))
    await asyncio.gather(*(compute.run(f"{HERE}:process_id") for _ in range(6)))

    assert met == [True, True]
    assert compute.running == 2


async def test_many_small_calls_are_cheap(compute: LocalCompute) -> None:
    await compute.run(f"{HERE}:double", 1)
    started = time.monotonic()
    for number in range(300):
        assert await compute.run(f"{HERE}:double", number) == number * 2

    assert (time.monotonic() - started) / 300 < 0.05  # a started interpreter costs more than that


async def test_an_idle_process_is_released() -> None:
    pool = LocalCompute(1, idle_seconds=0.05)
    pid = await pool.run(f"{HERE}:process_id")

    await until_gone(pid)

    assert await pool.run(f"{HERE}:process_id") != pid
    await pool.close()


async def test_processes_die_with_their_parent(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    program = textwrap.dedent(
        f"""
        import asyncio
        from prismhouse.storage.compute.local import LocalCompute
        async def main():
            await LocalCompute(1).run("{HERE}:sleep", 60.0, {str(mark)!r})
        asyncio.run(main())
        """
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env={"PYTHONPATH": "src:."})
    async with asyncio.timeout(20):
        while not mark.exists() or not mark.read_text():
            await asyncio.sleep(0.02)

    process.kill()
    await process.wait()

    await until_gone(int(mark.read_text()))
