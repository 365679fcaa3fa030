"""What is particular to Ray: nodes that die, clusters that go and come, files and values that travel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.folders import models_of
from tests.ray_cluster import TwoNodes, one_node
from tests.running import free_port

from prismhouse.engine.extractors.port import Part, Row
from prismhouse.engine.inference.errors import ModelFileGone
from prismhouse.storage.compute.port import ComputeUnavailable, FilesTooLarge, MessageTooLarge, WorkerLost
from prismhouse.storage.compute.ray import RayCompute, adapter
from prismhouse.storage.compute.ray.carrying import pack

pytestmark = pytest.mark.ray

CALLS = "tests.compute_calls"
Make = Callable[..., RayCompute]


def text_of(mark: Path) -> str:
    return mark.read_text() if mark.exists() else ""


def any_there(pids: list[int]) -> bool:
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(20):
        while any_there(pids):
            await asyncio.sleep(0.05)


async def written(mark: Path) -> str:
    async with asyncio.timeout(60):
        while not (text := text_of(mark)):
            await asyncio.sleep(0.02)
    return text


@pytest.fixture
async def make(ray_cluster: TwoNodes) -> AsyncIterator[Make]:
    made: list[RayCompute] = []

    def start(address: str | None = None, **options: Any) -> RayCompute:
        made.append(RayCompute(address or ray_cluster.address, **{"processes": 2, **options}))
        return made[-1]

    yield start
    for pool in made:
        await pool.close()


async def test_calls_go_on_at_the_other_node_when_one_dies(ray_cluster: TwoNodes, make: Make, tmp_path: Path) -> None:
    pool, marks = make(), [tmp_path / "one", tmp_path / "two"]
    calls = [asyncio.create_task(pool.run(f"{CALLS}:where", str(mark), 8.0)) for mark in marks]
    nodes = [(await written(mark)).split()[0] for mark in marks]
    assert len(set(nodes)) == 2  # they were spread

    ray_cluster.kill(nodes[0])
    try:
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        later = await asyncio.gather(*(pool.run(f"{CALLS}:where") for _ in range(6)))
    finally:
        ray_cluster.mend()

    assert isinstance(outcomes[0], WorkerLost)
    assert outcomes[1][0] == nodes[1]
    assert {node for node, _ in later} == {nodes[1]}


async def test_the_bridge_is_made_anew_when_it_was_killed(make: Make, tmp_path: Path) -> None:
    pool, mark = make(), tmp_path / "mark"
    call = asyncio.create_task(pool.run(f"{CALLS}:where", str(mark), 60.0))
    pid = int((await written(mark)).split()[1])
    assert pool._bridge is not None

    os.kill(pool._bridge.process.pid, signal.SIGKILL)

    with pytest.raises(WorkerLost):
        await call
    assert await pool.run(f"{CALLS}:double", 2) == 4
    await until_gone([pid])


@pytest.mark.slow
async def test_a_bridge_that_falls_silent_is_replaced(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_SILENT_SECONDS", 7.0)
    pool = make()
    assert await pool.run(f"{CALLS}:double", 2) == 4
    assert pool._bridge is not None

    os.kill(pool._bridge.process.pid, signal.SIGSTOP)

    with pytest.raises(WorkerLost):
        await pool.run(f"{CALLS}:double", 2)
    assert await pool.run(f"{CALLS}:double", 2) == 4


async def test_files_are_sent_to_a_node_that_does_not_have_them(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(function: str, arguments: tuple[Any, ...]) -> Any:
        """As if the node had other files under these names."""
        frame, marks = pack(function, arguments)
        return frame, [replace(mark, inode=0) for mark in marks]

    monkeypatch.setattr(adapter, "pack", strange)
    pool = make()
    files = [tmp_path / "small", tmp_path / "empty", tmp_path / "large"]
    for file, content in zip(files, (b"a", b"", os.urandom(40_000_000)), strict=True):
        file.write_bytes(content)

    for _ in range(2):
        read = await pool.run(f"{CALLS}:read_files", [{"path": file} for file in (*files, files[0])])
        assert [content for _, content in read] == [file.read_bytes() for file in (*files, files[0])]
        assert all(path != str(file) for (path, _), file in zip(read, files, strict=False))
        assert not any(await pool.run(f"{CALLS}:exist", [path for path, _ in read]))


async def test_half_a_file_is_an_error_and_no_file_is_a_missing_one(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(size_bytes: int) -> Callable[..., Any]:
        return lambda *call: (pack(*call)[0], [replace(mark, size_bytes=size_bytes) for mark in pack(*call)[1]])

    file, pool = tmp_path / "file", make()
    file.write_bytes(bytes(1000))

    monkeypatch.setattr(adapter, "pack", other(2000))
    with pytest.raises(OSError, match="ended after 1000 of 2000 bytes"):
        await pool.run(f"{CALLS}:read_sizes", [file])

    def packed_and_gone(*call: Any) -> Any:
        packed = pack(*call)
        file.unlink()
        return packed

    monkeypatch.setattr(adapter, "pack", packed_and_gone)
    with pytest.raises(FileNotFoundError):
        await pool.run(f"{CALLS}:read_sizes", [file])


async def test_the_folder_of_a_model_is_named_when_a_node_does_not_have_it(make: Make, tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "tiny_models" / "sentence", tmp_path / "tiny")
    models = models_of(tmp_path, '[models.tiny]\nkind = "sentence_transformers"\npath = "tiny"\n')
    rows = [Row(row_id="r", inputs={"text": Part(type="text", text="a cat")})]
    chosen = ("text_extractor_v1", {"embedding_model": "tiny"}, rows, 1, str(tmp_path), 1_000_000, None, None, models)
    pool = make()
    (tmp_path / "tiny").rename(tmp_path / "elsewhere")

    with pytest.raises(ModelFileGone, match=r"The model tiny needs .*/tiny/.*, which is not on this machine") as caught:
        await pool.run("prismhouse.engine.extractors.run:run_rows", *chosen)
    assert "on every machine that computes" in str(caught.value.hint)

    (tmp_path / "elsewhere").rename(tmp_path / "tiny")
    (result,) = await pool.run("prismhouse.engine.extractors.run:run_rows", *chosen)
    assert result.documents[0].vectors["tiny"].shape == (8,)


async def test_more_bytes_than_allowed_are_refused_and_cost_no_process(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make(message_bytes=1 << 20, file_bytes=1 << 20)
    pid = await pool.run(f"{CALLS}:process_id")
    file = tmp_path / "large"
    file.write_bytes(bytes(2 << 20))

    with pytest.raises(MessageTooLarge, match="RAY_MESSAGE_BYTES"):
        await pool.run(f"{CALLS}:size_of", bytes(2 << 20))
    with pytest.raises(MessageTooLarge, match="RAY_MESSAGE_BYTES"):
        await pool.run(f"{CALLS}:bytes_of", 2 << 20)
    assert len(await pool.run(f"{CALLS}:read_sizes", [file])) == 1  # a file that the node has is not sent
    monkeypatch.setattr(adapter, "pack", lambda *call: (pack(*call)[0], [replace(m, inode=0) for m in pack(*call)[1]]))
    with pytest.raises(FilesTooLarge, match="RAY_FILE_BYTES"):
        await pool.run(f"{CALLS}:read_sizes", [file])

    assert await pool.run(f"{CALLS}:process_id") == pid


@pytest.mark.slow
async def test_values_larger_than_the_object_store_still_pass(make: Make) -> None:
    assert await make().run(f"{CALLS}:size_of", bytes(200 << 20)) == 200 << 20
    assert len(await make().run(f"{CALLS}:bytes_of", 200 << 20)) == 200 << 20


async def test_a_node_with_another_version_is_refused_at_once(make: Make) -> None:
    pool = make(version="0.0.1")
    started = time.monotonic()

    with pytest.raises(ComputeUnavailable, match=r"has prismhouse .*, this process 0\.0\.1; install the same"):
        await pool.run(f"{CALLS}:double", 2)

    assert time.monotonic() - started < 30


async def test_a_cluster_that_is_not_there_is_named_when_patience_ends() -> None:
    pool = RayCompute(f"127.0.0.1:{free_port()}", processes=1, patience_seconds=0.5)
    await pool.open()

    with pytest.raises(ComputeUnavailable, match=r"the Ray cluster at 127\.0\.0\.1:\d+ does not answer"):
        await pool.run(f"{CALLS}:double", 2)
    assert "does not answer" in str(await pool.fault())

    await pool.close()


@pytest.mark.slow
async def test_what_listens_but_is_no_cluster_is_named() -> None:
    open_here: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: open_here.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    pool = RayCompute(f"127.0.0.1:{port}", processes=1, patience_seconds=0, start_seconds=8)

    with pytest.raises(ComputeUnavailable, match="Ray"):
        await pool.run(f"{CALLS}:double", 2)

    await pool.close()
    silent.close()
    for writer in open_here:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_calls_wait_for_a_cluster_that_went_and_go_on_when_it_is_back(tmp_path: Path) -> None:
    port, mark = free_port(), tmp_path / "mark"
    with one_node(port) as address:
        quick = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}  # Ray gives a head up after a minute
        pool = RayCompute(address, processes=1, patience_seconds=180, environment=quick)
        assert await pool.run(f"{CALLS}:double", 2) == 4
        lost = asyncio.create_task(pool.run(f"{CALLS}:where", str(mark), 60.0))
        await written(mark)
    with pytest.raises(WorkerLost):
        await lost
    assert "does not answer" in str(await pool.fault())
    waiting = asyncio.create_task(pool.run(f"{CALLS}:double", 3))
    with one_node(port):
        assert await waiting == 6
        assert await pool.fault() is None
        await pool.close()


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_cluster_of_its_own_starts_and_ends_with_the_pool() -> None:
    pool = RayCompute(processes=1, object_store_bytes=100 << 20)
    node, _ = await pool.run(f"{CALLS}:where")
    assert node
    assert await pool.fault() is None
    assert pool._bridge is not None
    raylets = _children_named("raylet", pool._bridge.process.pid)

    await pool.close()

    assert raylets
    await until_gone(raylets)


def _children_named(name: str, parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task").glob("*/children")
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    return [pid for pid in pids if name in Path(f"/proc/{pid}/comm").read_text()]
