"""What every BlobStore does. A new adapter joins in tests/object_storage.py."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.object_storage import STORAGES, Storage, opened

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.port import BlobMissing, BlobStore

ONE = NamespaceId("ns_one")
TWO = NamespaceId("ns_two")


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    with opened(request, tmp_path) as storage:
        yield storage


@pytest.fixture
def store(storage: Storage) -> BlobStore:
    return storage.blobs


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def gathered(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000])
async def test_bytes_come_back_as_they_were_stored(store: BlobStore, data: bytes) -> None:
    stored = await store.put(ONE, data)

    assert (stored.sha256, stored.size_bytes) == (sha256(data), len(data))
    assert stored.md5 == hashlib.md5(data).hexdigest()
    assert await store.read(ONE, stored.sha256) == data
    assert await gathered(store.stream(ONE, stored.sha256)) == data


async def test_several_are_stored_at_once_and_answered_in_their_order(store: BlobStore) -> None:
    data = [b"one", b"two", b"", b"one", bytes(range(256)) * 300]
    await store.put(ONE, b"two")

    stored = await store.put_all(ONE, data)

    assert [(one.sha256, one.size_bytes) for one in stored] == [(sha256(part), len(part)) for part in data]
    assert [one.md5 for one in stored] == [hashlib.md5(part).hexdigest() for part in data]
    assert [await store.read(ONE, one.sha256) for one in stored] == data
    assert await store.put_all(ONE, []) == []


async def test_a_stream_is_stored_under_the_hash_of_all_its_pieces(store: BlobStore) -> None:
    stored = await store.put(ONE, pieces(b"ab", b"", b"cd" * 700_000))

    assert stored == await store.put(ONE, b"ab" + b"cd" * 700_000)
    assert await store.read(ONE, stored.sha256) == b"ab" + b"cd" * 700_000


async def test_nothing_is_stored_when_a_stream_breaks(store: BlobStore, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.put(ONE, broken())

    with pytest.raises(BlobMissing):
        await store.read(ONE, sha256(b"half"))
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 3, b"abc"), (2, None, b"cdef"), (5, 99, b"f"), (6, None, b""), (3, 3, b"")]
)
async def test_ranges_are_half_open(store: BlobStore, start: int, end: int | None, expected: bytes) -> None:
    stored = await store.put(ONE, b"abcdef")

    assert await gathered(store.stream(ONE, stored.sha256, start=start, end=end)) == expected


async def test_equal_bytes_are_one_blob_when_stored_at_the_same_time(store: BlobStore) -> None:
    data = b"same" * 50_000

    stored = await asyncio.gather(
        *(store.put(ONE, data) for _ in range(8)), *(store.put(ONE, pieces(data)) for _ in range(8))
    )

    assert len(set(stored)) == 1
    assert await store.read(ONE, stored[0].sha256) == data


async def test_namespaces_never_share_bytes(store: BlobStore) -> None:
    stored = await store.put(ONE, b"secret")

    with pytest.raises(BlobMissing):
        await store.read(TWO, stored.sha256)
    await store.put(TWO, b"secret")
    await store.delete_namespace(ONE)
    assert await store.read(TWO, stored.sha256) == b"secret"
    with pytest.raises(BlobMissing):
        await gathered(store.stream(ONE, stored.sha256))


async def test_deleting_is_no_error_when_nothing_is_there(store: BlobStore) -> None:
    stored = await store.put(ONE, b"x")

    await store.delete(ONE, stored.sha256)
    await store.delete(ONE, stored.sha256)
    await store.delete_namespace(TWO)

    with pytest.raises(BlobMissing):
        await store.read(ONE, stored.sha256)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "ns_UPPER", "ns_upper", "..", "ns_" + "x" * 300, "ä\x00"])
async def test_any_namespace_id_is_safe(store: BlobStore, tmp_path: Path, name: str) -> None:
    stored = await store.put(NamespaceId(name), b"x")

    assert await store.read(NamespaceId(name), stored.sha256) == b"x"
    assert all(path.is_relative_to(tmp_path / "blobs") for path in files_in(tmp_path))
    with pytest.raises(ValueError, match="never empty"):
        await store.put(NamespaceId(""), b"x")


@pytest.mark.parametrize("name", ["", "../x", "A" * 64, "a" * 63])
async def test_only_hashes_are_addresses(store: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="64"):
        await store.read(ONE, name)


async def test_a_local_path_can_be_opened_by_others(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    stored = await store.put(ONE, b"x")

    path = store.local_path(ONE, stored.sha256)

    assert path is not None
    assert path.is_absolute()
    assert path.read_bytes() == b"x"


async def test_a_shortened_file_is_replaced_when_its_bytes_come_again(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    stored = await store.put(ONE, b"whole")
    path = store.local_path(ONE, stored.sha256)
    assert path is not None
    path.write_bytes(b"wh")

    await store.put(ONE, b"whole")

    assert await store.read(ONE, stored.sha256) == b"whole"


def test_a_killed_writer_leaves_no_blob_and_its_rest_is_swept(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from prismhouse.storage.blobs.local import LocalBlobStore

        async def endless():
            while True:
                yield b"x" * 65536
                print("wrote", flush=True)

        asyncio.run(LocalBlobStore(Path(sys.argv[1])).put("ns_one", endless()))
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"wrote\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)

    left = files_in(tmp_path)
    assert [path.parent.name for path in left] == ["incoming"]
    LocalBlobStore(tmp_path)
    assert left[0].exists(), "a young file may belong to a living writer"
    old = time.time() - 7200
    os.utime(left[0], (old, old))
    LocalBlobStore(tmp_path)
    assert not left[0].exists()
