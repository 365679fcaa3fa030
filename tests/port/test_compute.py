"""What every adapter of the compute port does: a pool of processes here, actors on a Ray cluster of two nodes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from prismhouse.kit.errors import WarehouseError
from prismhouse.storage.compute.child import RemoteFailure
from prismhouse.storage.compute.local import LocalCompute
from prismhouse.storage.compute.port import Compute, ComputeTimedOut, WorkerLost

CALLS = "tests.compute_calls"
KINDS = ["local", pytest.param("ray", marks=pytest.mark.ray)]
Make = Callable[..., Compute]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while alive(pid):
            await asyncio.sleep(0.02)


def text_of(mark: Path) -> str:
    return mark.read_text() if mark.exists() else ""


async def written(mark: Path) -> str:
    async with asyncio.timeout(60):
        while not (text := text_of(mark)):
            await asyncio.sleep(0.02)
    return text


def construction(kind: str, request: pytest.FixtureRequest, **options: Any) -> str:
    if kind == "local":
        return f"LocalCompute(2, **{options!r})"
    address = request.getfixturevalue("ray_cluster").address
    return f"RayCompute({address!r}, processes=2, **{options!r})"


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def make(kind: str, request: pytest.FixtureRequest) -> Make:
    if kind == "local":
        return lambda **options: LocalCompute(2, **options)
    from prismhouse.storage.compute.ray import RayCompute

    address = request.getfixturevalue("ray_cluster").address
    return lambda **options: RayCompute(address, processes=2, **options)


@pytest.fixture(scope="module")
async def compute(make: Make) -> AsyncIterator[Compute]:
    pool = make()
    yield pool
    await pool.close()


async def test_a_result_comes_back_and_processes_stay_warm(compute: Compute) -> None:
    assert await compute.run(f"{CALLS}:double", "ab", group="warm") == "abab"
    assert [await compute.run(f"{CALLS}:load_once", group="warm") for _ in range(3)] == [1, 2, 3]


async def test_large_values_pass(compute: Compute) -> None:
    value = b"x" * 20_000_000

    assert len(await compute.run(f"{CALLS}:double", value)) == 40_000_000


async def test_an_exception_passes_through(compute: Compute) -> None:
    with pytest.raises(ValueError, match="no such value") as caught:
        await compute.run(f"{CALLS}:raise_one", "value")
    assert "raise_one" in caught.value.__notes__[0]
    with pytest.raises(WarehouseError) as refused:
        await compute.run(f"{CALLS}:raise_one", "house")
    assert refused.value.details["validation_errors"][0]["location"] == ["body", "a"]
    with pytest.raises(RemoteFailure, match="Unpicklable"):
        await compute.run(f"{CALLS}:raise_one", "other")
    with pytest.raises(ModuleNotFoundError):
        await compute.run("no.such.module:function")
    with pytest.raises(AttributeError):
        await compute.run(f"{CALLS}:no_such_function")


async def test_what_cannot_be_pickled_is_an_error_and_costs_no_process(compute: Compute) -> None:
    before = await compute.run(f"{CALLS}:process_id", group="pickles")

    with pytest.raises((TypeError, AttributeError)):
        await compute.run(f"{CALLS}:double", lambda: None, group="pickles")
    with pytest.raises((TypeError, AttributeError)):
        await compute.run(f"{CALLS}:return_unpicklable", group="pickles")

    assert await compute.run(f"{CALLS}:process_id", group="pickles") == before


@pytest.mark.parametrize("death", [("kill_self",), ("crash_in_native_code",), ("exit_at_once", 0), ("exit_at_once", 3)])
async def test_one_dead_process_costs_one_call(compute: Compute, death: tuple[Any, ...]) -> None:
    results = await asyncio.gather(
        compute.run(f"{CALLS}:sleep", 0.3),
        compute.run(f"{CALLS}:{death[0]}", *death[1:]),
        compute.run(f"{CALLS}:double", 4),
        return_exceptions=True,
    )

    assert results[0] == 0.3
    assert isinstance(results[1], WorkerLost)
    assert results[2] == 8


async def test_a_process_killed_while_idle_costs_nothing(compute: Compute) -> None:
    pid = await compute.run(f"{CALLS}:process_id", group="idle")

    os.kill(pid, signal.SIGKILL)
    await until_gone(pid)

    # Its death may be noticed only by the call that meets it.
    outcomes = [await _outcome(compute.run(f"{CALLS}:double", 2, group="idle")) for _ in range(2)]
    assert outcomes[-1] == 4


async def test_a_timeout_really_kills(compute: Compute, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    await compute.run(f"{CALLS}:double", 1)  # the process has started: the second is the call's alone

    with pytest.raises(ComputeTimedOut):
        await compute.run(f"{CALLS}:sleep", 60.0, str(mark), timeout_seconds=1.0)

    await until_gone(int(await written(mark)))
    assert await compute.run(f"{CALLS}:double", 1) == 2


async def test_cancelling_the_caller_kills_the_call(compute: Compute, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    call = asyncio.create_task(compute.run(f"{CALLS}:sleep", 60.0, str(mark)))
    pid = int(await written(mark))

    call.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await call

    await until_gone(pid)
    assert time.monotonic() - started < 10
    assert await compute.run(f"{CALLS}:double", 1) == 2


async def test_calls_cancelled_before_they_ran_never_run(make: Make, tmp_path: Path) -> None:
    pool = make()
    marks = [tmp_path / str(number) for number in range(4)]
    calls = [asyncio.create_task(pool.run(f"{CALLS}:sleep", 60.0, str(mark))) for mark in marks]
    await asyncio.sleep(0)  # two start a process, two wait for one

    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert await pool.run(f"{CALLS}:double", 1) == 2
    await pool.close()
    assert not any(mark.exists() for mark in marks)


async def test_waiting_calls_go_on_when_one_before_them_is_cancelled(compute: Compute, tmp_path: Path) -> None:
    marks = [tmp_path / "one", tmp_path / "two"]
    running = [asyncio.create_task(compute.run(f"{CALLS}:sleep", 60.0, str(mark))) for mark in marks]
    for mark in marks:
        await written(mark)
    waiting = [asyncio.create_task(compute.run(f"{CALLS}:double", number)) for number in range(6)]
    await asyncio.sleep(0)

    for call in (*running, waiting[0]):
        call.cancel()

    assert await asyncio.gather(*waiting[1:]) == [2, 4, 6, 8, 10]


async def test_calls_run_at_the_same_time_up_to_the_size_of_the_pool(compute: Compute, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")

    met = await asyncio.gather(compute.run(f"{CALLS}:meet", one, two), compute.run(f"{CALLS}:meet", two, one))
    pids = await asyncio.gather(*(compute.run(f"{CALLS}:process_id") for _ in range(6)))

    assert met == [True, True]
    assert len(set(pids)) <= 2


async def test_a_group_stays_with_the_process_that_loaded_for_it(compute: Compute, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    await asyncio.gather(
        compute.run(f"{CALLS}:meet", one, two, group="first"), compute.run(f"{CALLS}:meet", two, one, group="second")
    )

    pids = [await compute.run(f"{CALLS}:process_id", group=group) for group in ("first", "second") * 3]

    assert pids[0] != pids[1]
    assert pids == pids[:2] * 3


async def test_more_groups_than_processes_all_get_their_turn(compute: Compute) -> None:
    calls = [compute.run(f"{CALLS}:double", number, group=f"group-{number % 4}") for number in range(12)]

    assert await asyncio.gather(*calls) == [number * 2 for number in range(12)]


async def test_files_among_the_arguments_can_be_read(compute: Compute, tmp_path: Path) -> None:
    files = [tmp_path / "one.bin", tmp_path / "two.bin", tmp_path / "empty.bin"]
    for file, content in zip(files, (b"1" * 1000, os.urandom(3_000_000), b""), strict=True):
        file.write_bytes(content)

    rows = [{"path": file} for file in (*files, files[0])]
    read = await compute.run(f"{CALLS}:read_files", rows)

    assert [content for _, content in read] == [file.read_bytes() for file in (*files, files[0])]
    with pytest.raises(FileNotFoundError):
        await compute.run(f"{CALLS}:read_files", [{"path": tmp_path / "none"}])
    with pytest.raises(IsADirectoryError):
        await compute.run(f"{CALLS}:read_files", [{"path": tmp_path}])


async def test_many_small_calls_are_cheap(compute: Compute) -> None:
    await compute.run(f"{CALLS}:double", 1)
    started = time.monotonic()
    for number in range(300):
        assert await compute.run(f"{CALLS}:double", number) == number * 2

    assert (time.monotonic() - started) / 300 < 0.05  # a started interpreter costs more than that


async def test_an_idle_process_is_released(make: Make) -> None:
    pool = make(idle_seconds=0.05)
    pid = await pool.run(f"{CALLS}:process_id")

    await until_gone(pid)

    assert await pool.run(f"{CALLS}:process_id") != pid
    await pool.close()


async def test_allocating_more_than_allowed_is_a_memory_error(make: Make) -> None:
    pool = make(memory_bytes=512 << 20)

    with pytest.raises(MemoryError):
        await pool.run(f"{CALLS}:allocate", 1 << 30)
    assert await pool.run(f"{CALLS}:allocate", 64 << 20) == 64 << 20

    await pool.close()


async def test_closing_ends_what_runs_and_takes_nothing_more(make: Make, tmp_path: Path) -> None:
    pool, mark = make(), tmp_path / "pid"
    call = asyncio.create_task(_outcome(pool.run(f"{CALLS}:sleep", 60.0, str(mark))))
    pid = int(await written(mark))

    await pool.close()

    assert isinstance(await call, WorkerLost)
    await until_gone(pid)
    with pytest.raises(RuntimeError, match="closed"):
        await pool.run(f"{CALLS}:double", 1)
    await pool.close()


async def test_a_pool_that_never_ran_closes(make: Make) -> None:
    pool = make()
    assert await pool.fault() is None
    await pool.close()


async def test_processes_die_with_their_parent(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    program = textwrap.dedent(
        f"""
        import asyncio
        from prismhouse.storage.compute.local import LocalCompute
        from prismhouse.storage.compute.ray import RayCompute
        async def main():
            await {construction(kind, request)}.run("{CALLS}:sleep", 60.0, {str(mark)!r})
        asyncio.run(main())
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
    pid = int(await written(mark))

    process.kill()
    await process.wait()

    await until_gone(pid)


async def _outcome(call: Any) -> Any:
    try:
        return await call
    except WarehouseError as error:
        return error
