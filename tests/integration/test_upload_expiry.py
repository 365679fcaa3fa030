"""What time does to uploads: they expire, are forgotten, and their files are swept; nothing needed is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.uploads import House, build

from prismhouse.api.uploads.jobs import EXPIRE_JOB, SWEEP_JOB, register_jobs
from prismhouse.api.uploads.model import UploadStatus
from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.storage.postgres.database import Database

OLD_SECONDS = 7 * 3600


class StorageSilent(WarehouseError):
    """Storage does not answer."""

    code = Code.UNAVAILABLE


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs")


async def status_of(house: House, upload_id: str) -> tuple[str | None, str | None]:
    """Return the stored status and message."""
    row = await house.row(upload_id)
    return (None, None) if row is None else (row["status"], row["message"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"status": "PENDING"}, "FAILED"),
        ({"status": "IN_PROGRESS"}, "IN_PROGRESS"),
        ({"status": "IN_PROGRESS", "updated_at": "now() - interval '2 hours'"}, "FAILED"),
        ({"status": "PROCESSING", "updated_at": "now() - interval '2 hours'"}, "PROCESSING"),
        ({"status": "COMPLETED"}, "COMPLETED"),
        ({"status": "CANCELED"}, "CANCELED"),
    ],
)
async def test_an_upload_fails_when_its_time_is_over(house: House, columns: dict[str, Any], expected: str) -> None:
    made = await house.upload(await house.bucket())
    living = await house.upload(await house.bucket())
    await house.set(made["upload_id"], expires_at="now() - interval '1 second'", **columns)

    shown = (await house.client.get(f"/v1/uploads/{made['upload_id']}")).json()
    stored_before, _ = await status_of(house, made["upload_id"])
    expired = await house.uploads.expire()
    stored, message = await status_of(house, made["upload_id"])

    assert shown["status"] == stored == expected
    assert stored_before == columns["status"]  # a read writes nothing
    assert expired == (expected == "FAILED")
    assert shown["message"] == message
    assert (message is not None) == (expected == "FAILED")
    assert (await status_of(house, living["upload_id"]))[0] == "PENDING"


@pytest.mark.parametrize("status", UploadStatus)
async def test_a_record_goes_when_it_failed_or_was_cancelled_long_ago(house: House, status: UploadStatus) -> None:
    bucket = await house.bucket()
    old, young = await house.upload(bucket), await house.upload(bucket)
    await house.set(old["upload_id"], status=status.value, updated_at="now() - interval '31 days'")
    await house.set(young["upload_id"], status=status.value, updated_at="now() - interval '29 days'")

    forgotten, _ = await house.uploads.sweep()

    gone = status in {UploadStatus.FAILED, UploadStatus.CANCELED}
    assert forgotten == gone
    assert (await house.row(old["upload_id"]) is None) == gone
    assert await house.row(young["upload_id"]) is not None


async def test_a_staged_file_is_swept_only_when_no_upload_needs_it(house: House) -> None:
    """Every state, with a URL that ended lately or long ago, and young and old files, some without a record."""
    bucket = await house.bucket()
    kept, swept = set(), set()
    for status, recent, old in product(UploadStatus, (True, False), (True, False)):
        made = await house.upload(bucket)
        moment = "now() - interval '59 minutes'" if recent else "now() - interval '61 minutes'"
        await house.put(made["s3_key"], age_seconds=OLD_SECONDS if old else 0)
        await house.set(made["upload_id"], status=status.value, expires_at=moment)
        needed = status in {UploadStatus.IN_PROGRESS, UploadStatus.PROCESSING} or (
            status in {UploadStatus.PENDING, UploadStatus.FAILED} and recent
        )
        (kept if needed or not old else swept).add(made["s3_key"])
    for age_seconds in (0, OLD_SECONDS):
        key = f"org_gone/ns_gone/api_buckets_uploads_create/upl_{age_seconds}/a.png"
        await house.put(key, age_seconds=age_seconds)
        (swept if age_seconds else kept).add(key)

    _, deleted = await house.uploads.sweep()

    left = {key for key in kept | swept if await house.staging.find(key) is not None}
    assert left == kept
    assert deleted == len(swept)
    assert await house.uploads.sweep() == (0, 0)


async def test_the_sweep_goes_on_when_storage_does_not_delete_one_file(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await house.bucket()
    keys = [(await house.upload(bucket))["s3_key"] for _ in range(3)]
    for key in keys:
        await house.put(key, age_seconds=OLD_SECONDS)
        await house.client.delete(f"/v1/uploads/{key.split('/')[3]}", params={"delete_s3_object": False})
    discard = house.staging.discard

    async def stubborn(key: str) -> None:
        if key == keys[1]:
            raise StorageSilent
        await discard(key)

    with monkeypatch.context() as patch:
        patch.setattr(house.staging, "discard", stubborn)
        assert await house.uploads.sweep() == (0, 2)

    assert await house.uploads.sweep() == (0, 1)


async def test_an_upload_is_cancelled_when_storage_does_not_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await house.upload(await house.bucket())
    await house.put(made["s3_key"])

    async def silent(key: str) -> None:
        raise StorageSilent

    monkeypatch.setattr(house.staging, "discard", silent)
    answer = await house.client.delete(f"/v1/uploads/{made['upload_id']}")

    assert answer.status_code == 204
    assert (await status_of(house, made["upload_id"]))[0] == "CANCELED"


async def test_uploads_go_with_their_files_when_the_bucket_is_deleted(house: House) -> None:
    bucket, other = await house.bucket(), await house.bucket()
    waiting, done, elsewhere = await house.upload(bucket), await house.upload(bucket), await house.upload(other)
    for made in (waiting, elsewhere):
        await house.put(made["s3_key"])
    await house.complete(done["upload_id"], b"of the bucket")

    answer = await house.client.delete(f"/v1/buckets/{bucket}")
    await house.queue.run_all()

    assert answer.status_code == 200
    assert await house.row(waiting["upload_id"]) is None
    assert await house.row(done["upload_id"]) is None
    assert await house.staging.find(waiting["s3_key"]) is None
    assert await house.staging.find(elsewhere["s3_key"]) is not None
    assert [path for path in house.folder.glob("ns_one/*/*") if path.is_file()] == []


async def test_jobs_do_it_by_themselves(house: House) -> None:
    register_jobs(house.queue, house.uploads)
    made = await house.upload(await house.bucket(), presigned_url_expiration=60)
    assert datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC) < timedelta(seconds=61)
    await house.put(made["s3_key"], age_seconds=OLD_SECONDS)
    await house.set(made["upload_id"], expires_at="now() - interval '2 hours'")

    await house.queue.handlers[EXPIRE_JOB]()
    await house.queue.handlers[SWEEP_JOB]()

    assert (await status_of(house, made["upload_id"]))[0] == "FAILED"
    assert await house.staging.find(made["s3_key"]) is None
