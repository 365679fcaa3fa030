"""Uploads over HTTP: what is checked before a URL is issued, what is created, read and cancelled."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import BatchUploadResponse, UploadResponse
from tests.uploads import SCHEMA, House, build, sha256

from prismhouse.storage.postgres.database import Database

HASH = sha256(b"bytes")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WIDE: dict[str, Any] = {
    "image": {"type": "image"},
    "paper": {"type": "pdf"},
    "film": {"type": "video"},
    "sound": {"type": "audio"},
    "words": {"type": "text"},
    "sheet": {"type": "excel"},
    "facts": {"type": "json"},
    "anything": {"type": "binary"},
}


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs", blob_bytes=10_000)


async def refused(house: House, bucket: str, **body: Any) -> dict[str, str]:
    """Return location -> message of what stands against an upload; make sure that nothing was created."""
    body = {"filename": "a.png", "content_type": "image/png"} | body
    answer = await house.client.post(f"/v1/buckets/{bucket}/uploads", json=body)
    assert answer.status_code == 422, answer.text
    listed = (await house.client.post(f"/v1/buckets/{bucket}/uploads/list", json={})).json()
    assert listed["results"] == []
    faults = answer.json()["error"]["details"]["validation_errors"]
    return {".".join(str(part) for part in fault["location"]): fault["message"] for fault in faults}


async def test_an_upload_is_created_with_a_url_that_takes_the_file(house: House) -> None:
    bucket = await house.bucket()

    made = await house.upload(
        bucket, metadata={"from": "me"}, object_metadata={"color": "red"}, file_size_bytes=5, file_hash=HASH
    )
    put = await house.client.put(made["presigned_url"], content=b"bytes", headers={"Content-Type": "image/png"})

    read = UploadResponse.from_dict(made)
    assert read is not None
    assert read.status == "PENDING"
    assert read.upload_id.startswith("upl_")
    assert len(read.upload_id) == 20
    assert (read.blob_property, read.blob_type) == ("photo", "image")
    assert read.s3_key == f"org_one/ns_one/api_buckets_uploads_create/{read.upload_id}/a.png"
    assert (read.expires_at - read.created_at).total_seconds() == 3600
    assert (read.metadata, read.object_metadata) == ({"from": "me"}, {"color": "red"})
    assert put.status_code == 200
    staged = await house.staging.find(made["s3_key"])
    assert staged is not None
    assert staged.size_bytes == 5


async def test_the_url_binds_type_and_length_when_they_are_declared(house: House) -> None:
    made = await house.upload(await house.bucket(), file_size_bytes=5)

    wrong_type = await house.client.put(made["presigned_url"], content=b"bytes", headers={"Content-Type": "text/html"})
    wrong_size = await house.client.put(made["presigned_url"], content=b"byte", headers={"Content-Type": "image/png"})

    assert (wrong_type.status_code, wrong_size.status_code) == (403, 403)


async def test_a_name_is_refused_when_it_could_leave_its_folder(house: House) -> None:
    bucket = await house.bucket()

    for filename in (
        *("../a.png", "a/../b.png", "..", "a\\b.png", "/etc/passwd", "a//b", "a/", "./a"),
        *("a\u0000.png", "a\nb.png", "a\u0085.png"),
    ):
        assert "body.filename" in await refused(house, bucket, filename=filename), filename


async def test_a_name_is_kept_when_it_is_only_unusual(house: House) -> None:
    bucket = await house.bucket()

    for filename in (
        "..a..png",
        "deep/er/a b.png",
        "ünïcode \U0001f600.png",
        "x" * 255,
        "写" * 255,
        "/".join("ab" * 64),
    ):
        made = await house.upload(bucket, filename)
        put = await house.client.put(made["presigned_url"], content=b"bytes", headers={"Content-Type": "image/png"})

        assert made["filename"] == filename
        assert put.status_code == 200
        assert len(made["s3_key"].encode()) <= 1024
        assert UploadResponse.from_dict(made) is not None  # reads no URL over 2,083 characters


async def test_a_very_long_name_keeps_its_extension_in_storage(house: House) -> None:
    made = await house.upload(await house.bucket(), "写" * 200 + ".png")

    assert made["s3_key"].endswith("写.png")


async def test_a_media_type_is_refused_when_it_is_malformed(house: House) -> None:
    bucket = await house.bucket()

    for content_type in ("png", "image/", "/png", "image/png\n", "image/p ng", "image/png; x", "a/b/c", 'a/b; c="é"'):
        assert "body.content_type" in await refused(house, bucket, content_type=content_type), content_type


async def test_a_file_is_accepted_when_its_type_fits_the_property(house: House) -> None:
    bucket = await house.bucket(WIDE)

    for name, content_type in (
        ("image", "IMAGE/JPEG"),
        ("image", "application/octet-stream"),
        ("paper", "application/pdf"),
        ("film", "video/mp4"),
        ("film", "image/gif"),
        ("sound", "audio/mpeg; rate=44100"),
        ("words", 'text/plain; charset="utf-8"'),
        ("words", "application/xhtml+xml"),
        ("sheet", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("sheet", "text/csv"),
        ("facts", "application/geo+json"),
        ("anything", "application/x-whatever"),
    ):
        made = await house.upload(bucket, blob_property=name, content_type=content_type)

        assert (made["blob_property"], made["blob_type"]) == (name, WIDE[name]["type"])
        assert made["content_type"] == content_type


async def test_a_file_is_refused_when_its_type_does_not_fit_the_property(house: House) -> None:
    bucket = await house.bucket(WIDE)
    wrong = (
        ("image", "application/pdf"),
        ("paper", "image/png"),
        ("film", "image/png"),
        ("sound", "text/plain"),
        ("words", "image/png"),
        ("sheet", "application/pdf"),
        ("facts", "text/html"),
    )

    for name, content_type in wrong:
        faults = await refused(house, bucket, blob_property=name, content_type=content_type)
        assert WIDE[name]["type"] in faults["body.content_type"]
        assert content_type in faults["body.content_type"]
    for name, content_type in wrong:
        free = await house.upload(bucket, blob_property=name, content_type=content_type, create_object_on_confirm=False)
        assert free["status"] == "PENDING"


async def test_the_property_is_found_when_it_is_not_named(house: House) -> None:
    several = await house.bucket(WIDE)

    by_stem = await house.upload(several, "image.png")
    by_type = await house.upload(several, "my-photo.png")
    twice = await house.bucket({**WIDE, "other": {"type": "image"}})
    unnamed = await refused(house, twice, filename="my-photo.png")
    none = await refused(house, await house.bucket({"color": {"type": "string"}}))
    unknown = await refused(house, await house.bucket(WIDE), blob_property="nothing")
    scalar = await refused(house, await house.bucket(), blob_property="color")
    odd = await refused(house, await house.bucket(), blob_property="no-dashes")

    assert (by_stem["blob_property"], by_type["blob_property"]) == ("image", "image")
    assert "my-photo" in unnamed["body.blob_property"]
    assert "File fields: none" in none["body.blob_property"]
    assert "image (image)" in unknown["body.blob_property"]
    assert "photo (image)" in scalar["body.blob_property"]
    assert list(odd) == ["body.blob_property"]


async def test_a_blob_type_is_refused_when_it_is_not_the_propertys(house: House) -> None:
    same = await house.upload(await house.bucket(), blob_type="IMAGE")
    other = await refused(house, await house.bucket(), blob_type="video")
    unknown = await refused(house, await house.bucket(), blob_type="painting")

    assert same["blob_type"] == "image"
    assert "of type image" in other["body.blob_type"]
    assert "painting" in unknown["body.blob_type"]


async def test_no_property_is_needed_when_no_object_is_to_come(house: House) -> None:
    made = await house.upload(await house.bucket(WIDE), "my-film.mp4", create_object_on_confirm=False)

    assert (made["blob_property"], made["blob_type"]) == (None, "image")


async def test_a_file_is_refused_when_it_is_larger_than_this_server_stores(house: House) -> None:
    bucket = await house.bucket()
    body = {"filename": "a.png", "content_type": "image/png", "file_size_bytes": 10_001}

    answer = await house.client.post(f"/v1/buckets/{bucket}/uploads", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == {
        "filename": "a.png",
        "file_size_bytes": 10_001,
        "limit_bytes": 10_000,
    }
    await house.upload(bucket, file_size_bytes=10_000)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"color": "green"}, "color"),
        ({"price": "much"}, "price"),
        ({"object_id": "obj_1"}, "object_id"),
        ({"price": 2**64}, "price"),
    ],
)
async def test_object_metadata_is_refused_when_it_does_not_fit_the_schema(
    house: House, fields: dict[str, Any], at: str
) -> None:
    assert f"body.object_metadata.{at}" in await refused(house, await house.bucket(), object_metadata=fields)


async def test_object_metadata_is_free_when_no_object_is_to_come(house: House) -> None:
    made = await house.upload(await house.bucket(), object_metadata={"color": 7}, create_object_on_confirm=False)

    assert made["object_metadata"] == {"color": 7}


async def test_a_required_field_must_come_with_the_upload_and_another_file_need_not(house: House) -> None:
    schema = {**SCHEMA, "sku": {"type": "string", "required": True}, "paper": {"type": "pdf", "required": True}}

    faults = await refused(house, await house.bucket(schema), blob_property="photo")

    assert set(faults) == {"body.object_metadata.sku"}


WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"presigned_url_expiration": 59}, "presigned_url_expiration"),
    ({"presigned_url_expiration": 86_401}, "presigned_url_expiration"),
    ({"file_size_bytes": 0}, "file_size_bytes"),
    ({"file_hash": HASH.upper()}, "file_hash"),
    ({"filename": ""}, "filename"),
    ({"filename": "x" * 256}, "filename"),
    ({"surprise": 1}, "surprise"),
    ({"metadata": {"a": "\u0000"}}, "metadata.a"),
]


async def test_a_request_is_refused_when_a_value_is_out_of_range(house: House) -> None:
    bucket = await house.bucket()

    for more, at in WRONG_VALUES:
        assert f"body.{at}" in await refused(house, bucket, **more), more


@pytest.mark.parametrize("change", ["status = 'ARCHIVED'", "status = 'IN_PROGRESS'", "is_locked = true"])
async def test_no_url_is_issued_when_the_bucket_takes_nothing(house: House, change: str) -> None:
    bucket = await house.bucket()
    async with house.db.write() as tx:
        await tx.execute(f"UPDATE buckets SET {change} WHERE bucket_id = %(id)s", {"id": bucket})

    body = {"filename": "a.png", "content_type": "image/png"}
    answer = await house.client.post(f"/v1/buckets/{bucket}/uploads", json=body)

    assert answer.status_code == 400
    assert bucket in answer.json()["error"]["message"]


async def test_a_duplicate_answers_the_completed_upload_when_the_hash_is_known(house: House) -> None:
    bucket, other_bucket = await house.bucket(), await house.bucket()
    first = await house.upload(bucket)
    pending = await house.upload(bucket, file_hash=HASH)
    again = await house.upload(bucket, file_hash=HASH)
    assert again["is_duplicate"] is False
    assert pending["upload_id"] != again["upload_id"]
    assert await house.complete(first["upload_id"]) == HASH

    duplicate = await house.upload(bucket, "other.png", file_hash=HASH)
    wanted = await house.upload(bucket, file_hash=HASH, skip_duplicates=False)
    elsewhere = await house.upload(other_bucket, file_hash=HASH)

    assert UploadResponse.from_dict(duplicate) is not None
    assert duplicate["upload_id"] == duplicate["duplicate_of_upload_id"] == first["upload_id"]
    assert (duplicate["is_duplicate"], duplicate["presigned_url"]) == (True, None)
    assert (duplicate["filename"], duplicate["status"]) == ("a.png", "COMPLETED")
    assert "No" in duplicate["message"]
    for made in (wanted, elsewhere):
        assert (made["is_duplicate"], made["status"]) == (False, "PENDING")
        assert made["presigned_url"]


async def test_a_file_is_no_duplicate_when_the_object_it_became_is_gone(house: House) -> None:
    bucket = await house.bucket()
    made = await house.upload(bucket, file_hash=sha256(PNG))
    await house.put(made["s3_key"], PNG)
    confirmed = (await house.client.post(f"/v1/uploads/{made['upload_id']}/confirm")).json()
    assert confirmed["status"] == "COMPLETED", confirmed
    duplicate = await house.upload(bucket, file_hash=sha256(PNG))

    await house.client.delete(f"/v1/buckets/{bucket}/objects/{confirmed['object_id']}")
    again = await house.upload(bucket, file_hash=sha256(PNG))

    assert duplicate["is_duplicate"] is True
    assert duplicate["object_id"] == confirmed["object_id"]
    assert again["is_duplicate"] is False
    assert again["presigned_url"]


async def test_an_upload_is_skipped_when_an_object_has_its_unique_key(house: House) -> None:
    schema = {**SCHEMA, "sku": {"type": "string"}}
    key = {"fields": ["sku"], "default_policy": "insert"}
    bucket = await house.bucket(schema, unique_key=key)
    body = {"sku": "s1", "blobs": []}
    existing = (await house.client.post(f"/v1/buckets/{bucket}/objects", json=body)).json()["object_id"]

    skipped = await house.upload(bucket, object_metadata={"sku": "s1"})
    fresh = await house.upload(bucket, object_metadata={"sku": "s2"})
    meant = await house.upload(bucket, object_metadata={"sku": "s1"}, skip_duplicates=False)
    keyless = await refused(house, await house.bucket(schema, unique_key=key))

    assert UploadResponse.from_dict(skipped) is not None
    assert (skipped["skipped_unique_key"], skipped["existing_object_id"]) == (True, existing)
    assert skipped["presigned_url"] is None
    assert await house.row(skipped["upload_id"]) is None
    assert fresh["skipped_unique_key"] is False
    assert meant["presigned_url"]
    assert "body.object_metadata.sku" in keyless


async def test_a_batch_is_created_in_order_with_what_it_shares(house: House) -> None:
    bucket = await house.bucket()
    first = await house.upload(bucket)
    await house.complete(first["upload_id"])
    uploads: list[dict[str, Any]] = [
        {"filename": f"{index}.png", "content_type": "image/png", "metadata": {"index": index}} for index in range(100)
    ]
    uploads[3] |= {"object_metadata": {"color": "blue"}, "metadata": {"from": "itself"}}
    uploads[5] |= {"file_hash": HASH}

    answer = await house.client.post(
        f"/v1/buckets/{bucket}/uploads/batch",
        json={"uploads": uploads, "shared_metadata": {"from": "all"}, "shared_object_metadata": {"color": "red"}},
    )

    assert answer.status_code == 200
    content = answer.json()
    assert BatchUploadResponse.from_dict(content) is not None
    assert content["total"] == 100
    made = content["uploads"]
    assert [item["filename"] for item in made if not item["is_duplicate"]] == [
        f"{index}.png" for index in range(100) if index != 5
    ]
    assert made[0]["metadata"] == {"from": "all", "index": 0}
    assert made[3]["metadata"] == {"from": "itself"}
    assert (made[0]["object_metadata"], made[3]["object_metadata"]) == ({"color": "red"}, {"color": "blue"})
    assert made[5]["upload_id"] == first["upload_id"]
    assert len({item["presigned_url"] for item in made}) == 100


async def test_nothing_of_a_batch_is_created_when_one_item_is_at_fault(house: House) -> None:
    bucket = await house.bucket()
    good = {"filename": "a.png", "content_type": "image/png"}

    wrong = await house.client.post(
        f"/v1/buckets/{bucket}/uploads/batch",
        json={"uploads": [good, good | {"filename": "../a"}, good | {"content_type": "text/plain"}]},
    )
    large = await house.client.post(
        f"/v1/buckets/{bucket}/uploads/batch", json={"uploads": [good, good | {"file_size_bytes": 10_001}]}
    )
    listed = (await house.client.post(f"/v1/buckets/{bucket}/uploads/list")).json()

    assert wrong.status_code == 422
    faults = wrong.json()["error"]["details"]["validation_errors"]
    assert [fault["location"] for fault in faults] == [
        ["body", "uploads", 1, "filename"],
        ["body", "uploads", 2, "content_type"],
    ]
    assert large.status_code == 400
    assert listed["results"] == []


@pytest.mark.parametrize("count", [0, 101])
async def test_a_batch_is_refused_when_it_has_too_few_or_too_many(house: House, count: int) -> None:
    uploads = [{"filename": "a.png", "content_type": "image/png"}] * count

    answer = await house.client.post(f"/v1/buckets/{await house.bucket()}/uploads/batch", json={"uploads": uploads})

    assert answer.status_code == 422


async def test_an_upload_is_read_with_a_download_link_when_it_is_completed(house: House) -> None:
    bucket = await house.bucket()
    made = await house.upload(bucket)
    path = f"/v1/buckets/{bucket}/uploads/{made['upload_id']}"
    pending = (await house.client.get(path, params={"return_presigned_urls": True})).json()
    await house.complete(made["upload_id"])

    plain = (await house.client.get(path)).json()
    linked = (await house.client.get(path, params={"return_presigned_urls": True})).json()
    alias = (await house.client.get(f"/v1/uploads/{made['upload_id']}")).json()

    assert pending["presigned_url"] is None
    assert plain == alias
    assert UploadResponse.from_dict(linked) is not None
    assert (plain["status"], plain["presigned_url"], plain["file_size_bytes"]) == ("COMPLETED", None, 5)
    assert (plain["file_hash"], plain["etag"]) == (HASH, "4b3a6218bb3e3a7303e8a171a60fcf92")
    assert (await house.client.get(linked["presigned_url"])).content == b"bytes"


async def test_an_upload_is_missing_when_it_is_another_buckets_or_tenants(house: House) -> None:
    bucket, other = await house.bucket(), await house.bucket()
    made = await house.upload(bucket)

    answers = [
        await house.client.get(f"/v1/buckets/{other}/uploads/{made['upload_id']}"),
        await house.client.delete(f"/v1/buckets/{other}/uploads/{made['upload_id']}"),
        await house.stranger.get(f"/v1/uploads/{made['upload_id']}"),
        await house.stranger.delete(f"/v1/uploads/{made['upload_id']}"),
        await house.client.get("/v1/uploads/upl_nobody"),
        await house.client.get("/v1/uploads/upl_%00"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 6
    row = await house.row(made["upload_id"])
    assert row is not None
    assert row["status"] == "PENDING"


@pytest.mark.parametrize("alias", [False, True])
async def test_an_upload_is_cancelled_with_its_file(house: House, alias: bool) -> None:
    bucket = await house.bucket()
    made = await house.upload(bucket)
    await house.put(made["s3_key"])
    path = f"/v1/uploads/{made['upload_id']}" if alias else f"/v1/buckets/{bucket}/uploads/{made['upload_id']}"

    first, again = await house.client.delete(path), await house.client.delete(path)

    assert (first.status_code, again.status_code) == (204, 204)
    assert (await house.client.get(path)).json()["status"] == "CANCELED"
    assert await house.staging.find(made["s3_key"]) is None


async def test_the_file_stays_for_the_sweep_when_it_is_not_to_be_deleted(house: House) -> None:
    made = await house.upload(await house.bucket())
    await house.put(made["s3_key"], age_seconds=7 * 3600)

    answer = await house.client.delete(f"/v1/uploads/{made['upload_id']}", params={"delete_s3_object": False})

    assert answer.status_code == 204
    assert await house.staging.find(made["s3_key"]) is not None
    assert await house.uploads.sweep() == (0, 1)
    assert await house.staging.find(made["s3_key"]) is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("PENDING", 204),
        ("IN_PROGRESS", 204),
        ("FAILED", 204),
        ("CANCELED", 204),
        ("PROCESSING", 409),
        ("COMPLETED", 409),
    ],
)
async def test_a_state_decides_whether_an_upload_can_be_cancelled(house: House, status: str, expected: int) -> None:
    made = await house.upload(await house.bucket())
    await house.put(made["s3_key"])
    await house.set(made["upload_id"], status=status)

    answer = await house.client.delete(f"/v1/uploads/{made['upload_id']}")

    assert answer.status_code == expected, answer.text
    row = await house.row(made["upload_id"])
    assert row is not None
    assert row["status"] == ("CANCELED" if expected == 204 else status)
    assert (await house.staging.find(made["s3_key"]) is None) == (expected == 204)


async def test_one_of_both_wins_when_a_cancellation_and_a_confirmation_race(house: House) -> None:
    bucket = await house.bucket()
    made = [await house.upload(bucket) for _ in range(10)]
    for number, item in enumerate(made):
        await house.put(item["s3_key"], PNG + bytes([number]))

    async def complete(upload_id: str) -> bool:
        return (await house.client.post(f"/v1/uploads/{upload_id}/confirm")).status_code == 200

    async def cancel(upload_id: str) -> bool:
        return (await house.client.delete(f"/v1/uploads/{upload_id}")).status_code == 204

    async def race(upload_id: str) -> tuple[bool, bool]:
        completed, canceled = await asyncio.gather(complete(upload_id), cancel(upload_id))
        return completed, canceled

    outcomes = await asyncio.gather(*(race(item["upload_id"]) for item in made))

    for item, (completed, canceled) in zip(made, outcomes, strict=True):
        row = await house.row(item["upload_id"])
        assert row is not None
        assert completed != canceled
        assert row["status"] == ("COMPLETED" if completed else "CANCELED")
