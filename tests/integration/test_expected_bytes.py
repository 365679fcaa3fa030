"""Bytes that are about to be stored are no garbage until their time has passed, and a deletion is never taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.batches import NAMESPACE, House, open_house

from prismhouse.api.objects.store.bytes import add_garbage, expect, hold_garbage, is_garbage, settle
from prismhouse.storage.postgres.database import Database

HASH = "ab" * 32


@pytest.fixture
async def house(dsn: str, db: Database, tmp_path: Path) -> AsyncIterator[House]:
    """A house whose one namespace has no bytes."""
    async with open_house(dsn, db, tmp_path) as opened:
        yield opened
        await opened.parts.compute.close()


async def listed(house: House) -> tuple[bool, bool]:
    """Return whether the bytes are on the list, and whether a sweep would look at them now."""
    async with house.db.write() as tx:
        due = await hold_garbage(tx.within(NAMESPACE), 10)
        assert (HASH in due) == await is_garbage(tx.within(NAMESPACE), [HASH])
    return bool(await house.rows("SELECT 1 AS one FROM blob_garbage")), HASH in due


async def test_expected_bytes_are_swept_only_after_their_time(house: House) -> None:
    async with house.db.write() as tx:
        await expect(tx.within(NAMESPACE), [HASH], grace_seconds=3600)
    assert await listed(house) == (True, False)

    async with house.db.write() as tx:
        await tx.execute("UPDATE blob_garbage SET created_at = created_at - interval '2 hours'")
    assert await listed(house) == (True, True)


async def test_settled_bytes_are_off_the_list(house: House) -> None:
    async with house.db.write() as tx:
        await expect(tx.within(NAMESPACE), [HASH], grace_seconds=3600)
    async with house.db.write() as tx:
        await settle(tx.within(NAMESPACE), [HASH])

    assert await listed(house) == (False, False)


async def test_the_time_begins_anew_when_bytes_are_expected_again(house: House) -> None:
    async with house.db.write() as tx:
        await expect(tx.within(NAMESPACE), [HASH], grace_seconds=60)
    async with house.db.write() as tx:
        await expect(tx.within(NAMESPACE), [HASH], grace_seconds=3600)

    [row] = await house.rows("SELECT created_at - now() > interval '59 minutes' AS late FROM blob_garbage")
    assert row["late"]


async def test_a_deletion_stays_listed_when_the_same_bytes_are_expected_and_settled(house: House) -> None:
    async with house.db.write() as tx:
        await add_garbage(tx.within(NAMESPACE), [HASH])
    async with house.db.write() as tx:
        await expect(tx.within(NAMESPACE), [HASH], grace_seconds=3600)
        await settle(tx.within(NAMESPACE), [HASH])

    assert await listed(house) == (True, True)


async def test_a_deletion_is_due_at_once_when_the_bytes_were_expected(house: House) -> None:
    async with house.db.write() as tx:
        await expect(tx.within(NAMESPACE), [HASH], grace_seconds=3600)
    async with house.db.write() as tx:
        await add_garbage(tx.within(NAMESPACE), [HASH])

    assert await listed(house) == (True, True)
