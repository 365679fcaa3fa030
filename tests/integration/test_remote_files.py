"""Batches whose files are in a bucket: copied for extraction within a bound, and waited for while storage fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.batches import NAMESPACE, House, open_house
from tests.s3_server import ObjectStorage, Weather

from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.blobs.local import LocalBlobStore
from prismhouse.storage.blobs.port import BlobStore
from prismhouse.storage.postgres.database import Database

ONE = NamespaceId("ns_one")


@pytest.fixture
async def house(
    dsn: str, db: Database, tmp_path: Path, weather: tuple[ObjectStorage, Weather], unique_name: str
) -> AsyncIterator[House]:
    """A house on S3, behind the proxy, with room for copies of two small files at a time."""
    blobs, _, _ = weather[0].parts(unique_name)
    async with open_house(dsn, db, tmp_path, blobs=blobs, copies_bytes=25) as opened:
        await opened.add_bucket()
        await opened.add_collection("posts")
        yield opened
        await opened.parts.compute.close()


async def add_files(house: House, *texts: str) -> list[str]:
    """Add objects whose text is a file in storage, as it is for texts over 64 KiB."""
    ids = await house.add_objects(*texts)
    for name, text in zip(ids, texts, strict=True):
        stored = await house.parts.blobs.put(NAMESPACE, text.encode())
        async with house.db.write() as tx:
            await tx.execute(
                "UPDATE blobs SET text = NULL, sha256 = %(sha256)s WHERE object_id = %(name)s",
                {"sha256": stored.sha256, "name": name},
            )
    return ids


async def test_a_batch_reads_files_from_a_bucket_in_portions_that_fit(house: House, tmp_path: Path) -> None:
    ids = await add_files(house, *(f"number {number:03}" for number in range(7)), "x" * 100)

    shown = await house.run(ids)

    assert shown["status"] == "COMPLETED"
    found = await house.rows("SELECT payload ->> 'text' AS text FROM documents ORDER BY 1")
    assert [row["text"] for row in found] == [*(f"number {number:03}" for number in range(7)), "x" * 100]
    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_file_that_is_gone_fails_its_row_alone(house: House) -> None:
    ids = await add_files(house, "here", "gone")
    [row] = await house.rows("SELECT sha256 FROM blobs WHERE object_id = %(name)s", name=ids[1])
    await house.parts.blobs.delete(NAMESPACE, row["sha256"])

    shown = await house.run(ids)

    assert shown["status"] == "COMPLETED_WITH_ERRORS"
    marked = await house.marked()
    assert marked[ids[0]][0] == "COMPLETED"
    assert marked[ids[1]][0] == "FAILED"
    assert row["sha256"] in str(marked[ids[1]][1])


async def test_a_batch_waits_for_a_storage_that_answers_503(
    house: House, weather: tuple[ObjectStorage, Weather]
) -> None:
    ids = await add_files(house, "one", "two")
    weather[1].fail = 6  # more than the retries of one request, so that the job itself is tried again

    shown = await house.run(ids)

    assert shown["status"] == "COMPLETED"
    assert weather[1].fail == 0


def test_local_files_are_used_where_they_are(tmp_path: Path) -> None:
    copies = LocalCopies(LocalBlobStore(tmp_path / "blobs"), tmp_path / "copies", room_bytes=1)

    assert copies.portions(ONE, {"a": {"0" * 64: 100}, "b": {"1" * 64: 100}, "c": {}}) == [["a", "b", "c"]]


async def test_copies_together_stay_within_their_room(
    object_storage: ObjectStorage, unique_name: str, tmp_path: Path
) -> None:
    blobs: BlobStore = object_storage.parts(unique_name)[0]
    stored = [await blobs.put(ONE, f"file {number}".encode() * 100) for number in range(6)]
    copies = LocalCopies(blobs, tmp_path / "copies", room_bytes=1_300)
    most = 0

    async def use(sha256: str, size_bytes: int) -> None:
        nonlocal most
        async with copies.held(ONE, {sha256: size_bytes}) as paths:
            on_disk = 0
            for path in (tmp_path / "copies").rglob("*"):
                with suppress(FileNotFoundError):  # another one's copy may go while we look
                    on_disk += path.stat().st_size if path.is_file() else 0
            most = max(most, on_disk)
            assert paths[sha256].stat().st_size == size_bytes

    await asyncio.gather(*(use(item.sha256, item.size_bytes) for item in stored))

    assert 0 < most <= 1_300
    assert list((tmp_path / "copies").iterdir()) == []
