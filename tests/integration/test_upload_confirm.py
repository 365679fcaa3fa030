"""Confirming uploads over HTTP: what is checked, what comes of it, and that nothing is done twice."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import BatchConfirmResponse, ConfirmUploadResponse, TaskResponse
from tests.integration.test_objects import PNG
from tests.uploads import House, build

from prismhouse.api.tasks.service import Tasks
from prismhouse.api.uploads.errors import StorageFailed
from prismhouse.kit.ids import NamespaceId, OrganizationId
from prismhouse.storage.blobs.port import StoredBlob
from prismhouse.storage.blobs.staging import StagedFile
from prismhouse.storage.postgres.database import Database

NAMESPACE = NamespaceId("ns_one")
PDF = b"%PDF-1.7\n"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs", sync_confirm_bytes=1000, blob_bytes=5000)


async def staged(house: House, bucket: str, data: bytes = PNG, **more: Any) -> dict[str, Any]:
    """Create an upload and put its file; return the upload."""
    upload = await house.upload(bucket, **more)
    await house.put(upload["s3_key"], data)
    return upload


async def confirm(house: House, bucket: str, upload_id: str, *, status: int = 200, **more: Any) -> Any:
    query = {name: more.pop(name) for name in ("async", "policy") if name in more}
    path = f"/v1/buckets/{bucket}/uploads/{upload_id}/confirm"
    answer = await house.client.post(path, params=query, json=more)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else answer.json()["error"]


async def read(house: House, bucket: str, upload_id: str) -> Any:
    return (await house.client.get(f"/v1/buckets/{bucket}/uploads/{upload_id}")).json()


async def objects_of(house: House, bucket: str) -> list[Any]:
    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/list", json={})
    return list(answer.json()["results"])


async def task_of(house: House, task_id: str) -> Any:
    return await Tasks(house.db).read(OrganizationId("org_one"), task_id)


def has_bytes(house: House, data: bytes) -> bool:
    path = house.blobs.local_path(NAMESPACE, sha256(data))
    return path is not None and path.exists()


async def test_an_object_is_made_of_the_file_when_it_is_confirmed(house: House) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket, object_metadata={"color": "red"})

    answer = await confirm(house, bucket, upload["upload_id"], etag=f'"{md5(PNG)}"', file_size_bytes=len(PNG))

    confirmed = ConfirmUploadResponse.from_dict(answer)
    assert confirmed is not None
    assert (confirmed.status, confirmed.etag, confirmed.file_size_bytes) == ("COMPLETED", md5(PNG), len(PNG))
    assert confirmed.file_hash == sha256(PNG)
    assert confirmed.verified_at is not None
    assert confirmed.completed_at is not None
    stored = (await objects_of(house, bucket))[0]
    assert stored["object_id"] == confirmed.object_id
    assert stored["color"] == "red"
    details = stored["blobs"][0]["details"]
    assert details == {
        "filename": "a.png",
        "size_bytes": len(PNG),
        "mime_type": "image/png",
        "hash": f"sha256:{sha256(PNG)}",
    }
    assert await house.staging.find(upload["s3_key"]) is None
    assert (await read(house, bucket, upload["upload_id"]))["object_id"] == confirmed.object_id
    counts = (await house.client.get(f"/v1/buckets/{bucket}")).json()
    assert (counts["object_count"], counts["total_size_bytes"]) == (1, len(PNG))


async def test_the_first_answer_comes_again_when_confirmed_twice(house: House) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)

    first = await confirm(house, bucket, upload["upload_id"])
    again = await house.client.post(f"/v1/uploads/{upload['upload_id']}/confirm")
    third = await confirm(house, bucket, upload["upload_id"], etag="something else", **{"async": True})

    assert again.json() == first
    assert third == first
    assert len(await objects_of(house, bucket)) == 1


async def test_one_object_comes_of_confirmations_at_the_same_time(house: House) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)

    answers = await asyncio.gather(*(confirm(house, bucket, upload["upload_id"]) for _ in range(5)))

    assert len({answer["object_id"] for answer in answers}) == 1
    assert len(await objects_of(house, bucket)) == 1


async def test_the_first_answer_comes_when_another_confirmation_ends_before_the_file_is_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)
    find, first = house.staging.find, list[Any]()

    async def too_late(key: str) -> StagedFile | None:
        if not first:
            first.append(None)
            first[0] = await confirm(house, bucket, upload["upload_id"])
        return await find(key)

    monkeypatch.setattr(house.staging, "find", too_late)

    assert await confirm(house, bucket, upload["upload_id"]) == first[0]
    assert len(await objects_of(house, bucket)) == 1


async def test_a_confirmation_is_refused_and_may_be_repeated_when_no_file_is_there(house: House) -> None:
    bucket = await house.bucket()
    upload = await house.upload(bucket)

    error = await confirm(house, bucket, upload["upload_id"], status=400)
    before = await read(house, bucket, upload["upload_id"])
    await house.put(upload["s3_key"], PNG)
    answer = await confirm(house, bucket, upload["upload_id"])

    assert error["code"] == "upload_file_missing"
    assert before["status"] == "PENDING"
    assert answer["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("made", "given", "code", "expected", "found"),
    [
        ({}, {"etag": "0" * 32}, "etag_mismatch", "0" * 32, md5(PNG)),
        ({}, {"file_size_bytes": 7}, "size_mismatch", 7, len(PNG)),
        ({"file_size_bytes": 8}, {}, "size_mismatch", 8, len(PNG)),
        ({"file_hash": "a" * 64}, {}, "hash_mismatch", "a" * 64, sha256(PNG)),
        (
            {"blob_property": "paper", "content_type": "application/pdf", "filename": "a.pdf"},
            {},
            "format_mismatch",
            "PDF",
            "PNG",
        ),
    ],
)
async def test_both_values_are_named_and_the_file_may_be_put_again_when_it_is_not_the_one(
    house: House, made: dict[str, Any], given: dict[str, Any], code: str, expected: Any, found: Any
) -> None:
    bucket = await house.bucket({"photo": {"type": "image"}, "paper": {"type": "pdf"}})
    upload = await staged(house, bucket, **({"blob_property": "photo"} | made))

    error = await confirm(house, bucket, upload["upload_id"], status=400, **given)
    failed = await read(house, bucket, upload["upload_id"])
    await house.objects.sweep()

    assert error["code"] == code
    assert (error["details"]["expected"], error["details"]["found"]) == (expected, found)
    assert str(expected) in error["message"]
    assert str(found) in error["message"]
    assert failed["status"] == "FAILED"
    assert str(found) in failed["message"]
    assert not has_bytes(house, PNG)
    assert await objects_of(house, bucket) == []


async def test_another_file_is_accepted_when_the_first_one_failed(house: House) -> None:
    bucket = await house.bucket({"paper": {"type": "pdf"}})
    upload = await staged(house, bucket, content_type="application/pdf", filename="a.pdf")
    await confirm(house, bucket, upload["upload_id"], status=400)

    await house.put(upload["s3_key"], PDF)
    answer = await confirm(house, bucket, upload["upload_id"], etag=md5(PDF))

    assert answer["status"] == "COMPLETED"
    assert answer["file_size_bytes"] == len(PDF)


@pytest.mark.parametrize(("data", "code"), [(b"", "file_empty"), (b"x" * 5001, "file_too_large")])
async def test_files_outside_the_limits_fail_when_no_size_was_declared(house: House, data: bytes, code: str) -> None:
    bucket = await house.bucket({"raw": {"type": "binary"}})
    upload = await staged(house, bucket, data, content_type="application/octet-stream")

    answer = await confirm(house, bucket, upload["upload_id"], **{"async": True})
    await house.queue.run_all()

    task = await task_of(house, answer["task_id"])
    assert task["outputs"][0]["error"]["code"] == code


async def test_a_cancelled_or_overdue_upload_is_not_confirmed(house: House) -> None:
    bucket = await house.bucket()
    canceled, overdue = await staged(house, bucket), await staged(house, bucket)
    await house.client.delete(f"/v1/uploads/{canceled['upload_id']}")
    await house.set(overdue["upload_id"], expires_at="now() - interval '1 second'")

    first = await confirm(house, bucket, canceled["upload_id"], status=409)
    second = await confirm(house, bucket, overdue["upload_id"], status=400)

    assert (first["code"], second["code"]) == ("upload_canceled", "upload_expired")


async def test_the_object_that_is_there_is_named_when_the_file_is_a_duplicate(house: House) -> None:
    bucket = await house.bucket()
    first, second, wanted = [await staged(house, bucket, skip_duplicates=skip) for skip in (True, True, False)]

    answers = [await confirm(house, bucket, upload["upload_id"]) for upload in (first, second, wanted)]

    shown = await read(house, bucket, second["upload_id"])
    assert answers[1]["object_id"] == answers[0]["object_id"]
    assert answers[2]["object_id"] != answers[0]["object_id"]
    assert (shown["is_duplicate"], shown["duplicate_of_upload_id"]) == (True, first["upload_id"])
    assert shown["existing_object_id"] == answers[0]["object_id"]
    assert len(await objects_of(house, bucket)) == 2


async def test_a_policy_is_asked_for_when_the_bucket_has_a_unique_key(house: House) -> None:
    schema = {"photo": {"type": "image"}, "sku": {"type": "string"}}
    bucket = await house.bucket(schema, unique_key={"fields": ["sku"]})
    other = PNG + b"\x00"
    first = await staged(house, bucket, object_metadata={"sku": "1"})
    second = await staged(house, bucket, other, object_metadata={"sku": "1"})
    third = await staged(house, bucket, object_metadata={"sku": "2"})

    missing = await confirm(house, bucket, first["upload_id"], status=422)
    made = await confirm(house, bucket, first["upload_id"], policy="insert")
    taken = await confirm(house, bucket, second["upload_id"], status=409, policy="insert")
    changed = await confirm(house, bucket, second["upload_id"], policy="upsert")
    unknown = await confirm(house, bucket, third["upload_id"], status=404, policy="update")
    await house.objects.sweep()

    assert missing["details"]["validation_errors"][0]["location"] == ["query", "policy"]
    assert taken["code"] == "unique_key_exists"
    assert changed["object_id"] == made["object_id"]
    assert unknown["type"] == "NotFoundError"
    assert has_bytes(house, other)
    assert not has_bytes(house, PNG)
    assert [item["blobs"][0]["details"]["size_bytes"] for item in await objects_of(house, bucket)] == [len(other)]


async def test_a_job_confirms_when_it_is_asked_to_or_the_file_is_large(house: House) -> None:
    bucket = await house.bucket({"raw": {"type": "binary"}})
    small = await staged(house, bucket, b"small", content_type="application/octet-stream")
    large = await staged(house, bucket, b"x" * 1000, content_type="application/octet-stream")

    asked = await confirm(house, bucket, small["upload_id"], **{"async": True})
    automatic = await confirm(house, bucket, large["upload_id"])
    repeated = await confirm(house, bucket, large["upload_id"])
    waiting = await task_of(house, automatic["task_id"])
    await house.queue.run_all()

    assert ConfirmUploadResponse.from_dict(asked) is not None
    assert (asked["status"], automatic["status"]) == ("PROCESSING", "PROCESSING")
    assert repeated == automatic
    assert waiting["status"] == "PENDING"
    task = await task_of(house, automatic["task_id"])
    done = await confirm(house, bucket, large["upload_id"])
    assert TaskResponse.from_dict(task) is not None
    assert (task["task_type"], task["status"]) == ("api_buckets_uploads_confirm", "COMPLETED")
    assert task["additional_data"]["object_id"] == done["object_id"]
    assert done["status"] == "COMPLETED"
    assert done["task_id"] == automatic["task_id"]
    assert len(await objects_of(house, bucket)) == 2


async def test_the_task_says_what_the_file_is_when_a_png_is_named_pdf(house: House) -> None:
    bucket = await house.bucket({"paper": {"type": "pdf"}})
    upload = await staged(house, bucket, content_type="application/pdf", filename="report.pdf")

    answer = await confirm(house, bucket, upload["upload_id"], **{"async": True})
    await house.queue.run_all()

    task = await task_of(house, answer["task_id"])
    assert task["status"] == "FAILED"
    assert task["additional_data"]["error"] == "Invalid file format: Expected PDF, got PNG"
    assert task["additional_data"]["bucket_id"] == bucket
    assert task["inputs"] == [{"bucket_id": bucket, "upload_id": upload["upload_id"]}]
    assert (await read(house, bucket, upload["upload_id"]))["status"] == "FAILED"


async def batch(house: House, bucket: str, items: list[dict[str, Any]], *, status: int = 200, **query: Any) -> Any:
    path = f"/v1/buckets/{bucket}/uploads/confirm/batch"
    answer = await house.client.post(path, params=query, json={"confirmations": items})
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_batch_names_each_failure_when_some_uploads_are_at_fault(house: House) -> None:
    bucket = await house.bucket()
    files = [PNG + bytes([number]) for number in range(4)]
    uploads = [await staged(house, bucket, data) for data in files]
    absent = await house.upload(bucket)
    items = [{"upload_id": upload["upload_id"]} for upload in [*uploads, absent]]
    items[1] = {**items[1], "etag": '"00"'}
    items += [{"upload_id": "upl_unknown"}, items[0]]

    answer = await batch(house, bucket, items)
    waiting = await read(house, bucket, uploads[0]["upload_id"])
    await house.queue.run_all()

    receipt = BatchConfirmResponse.from_dict(answer)
    assert receipt is not None
    assert (receipt.status, receipt.confirmations_count, receipt.task.task_id) == ("PENDING", 7, receipt.task_id)
    assert receipt.message
    assert (waiting["status"], waiting["task_id"]) == ("PROCESSING", receipt.task_id)
    task = await task_of(house, receipt.task_id)
    assert TaskResponse.from_dict(task) is not None
    assert task["status"] == "COMPLETED_WITH_ERRORS"
    assert task["task_type"] == "api_buckets_uploads_batch_confirm"
    assert [output["upload_id"] for output in task["outputs"]] == [item["upload_id"] for item in items]
    codes = [output["error"] and output["error"]["code"] for output in task["outputs"]]
    assert codes == [None, "etag_mismatch", None, None, "upload_file_missing", "upload_not_found", None]
    assert [output["success"] for output in task["outputs"]] == [code is None for code in codes]
    assert task["outputs"][6] == task["outputs"][0]
    stored = await objects_of(house, bucket)
    assert [item["object_id"] for item in stored] == [task["outputs"][place]["object_id"] for place in (0, 2, 3)]
    assert task["additional_data"]["succeeded_count"] == 4
    assert (await read(house, bucket, absent["upload_id"]))["status"] == "PENDING"


async def test_a_batch_fails_when_no_upload_can_be_confirmed(house: House) -> None:
    bucket = await house.bucket()

    answer = await batch(house, bucket, [{"upload_id": "upl_unknown"}])
    await house.queue.run_all()

    assert (await task_of(house, answer["task_id"]))["status"] == "FAILED"


async def test_a_batch_of_none_or_too_many_is_refused(house: House) -> None:
    bucket = await house.bucket()

    await batch(house, bucket, [], status=422)
    await batch(house, bucket, [{"upload_id": "upl_x"}] * 101, status=422)
    await batch(house, bucket, [{"upload_id": "upl_\x00"}], status=422)


async def test_nothing_is_done_twice_when_a_job_runs_again(house: House) -> None:
    bucket = await house.bucket()
    uploads = [await staged(house, bucket, PNG + bytes([number])) for number in range(3)]
    answer = await batch(house, bucket, [{"upload_id": upload["upload_id"]} for upload in uploads])
    name, arguments = house.queue.jobs.pop()
    handler = house.queue.handlers[name]

    await asyncio.gather(handler(**arguments), handler(**arguments))
    first = await task_of(house, answer["task_id"])
    await handler(**arguments)

    assert len(await objects_of(house, bucket)) == 3
    assert (await task_of(house, answer["task_id"])) == first
    assert first["status"] == "COMPLETED"


async def test_uploads_wait_for_the_next_try_when_storage_does_not_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await house.bucket()
    fine, bad = await staged(house, bucket), await staged(house, bucket, PNG + b"1")
    adopt = house.staging.adopt

    async def broken(namespace_id: NamespaceId, key: str, *, etag: str) -> StoredBlob:
        if key == bad["s3_key"]:
            raise OSError("the disk is gone")
        return await adopt(namespace_id, key, etag=etag)

    monkeypatch.setattr(house.staging, "adopt", broken)

    error = await confirm(house, bucket, bad["upload_id"], status=503)
    single = await read(house, bucket, bad["upload_id"])
    answer = await batch(house, bucket, [{"upload_id": upload["upload_id"]} for upload in (fine, bad)])
    name, arguments = house.queue.jobs.pop()
    with pytest.raises(StorageFailed, match="disk is gone"):
        await house.queue.handlers[name](**arguments)
    await house.objects.sweep()
    assert not has_bytes(house, PNG)
    await house.queue.on_give_up[name](OSError("the disk is gone"), **arguments)

    assert "disk is gone" in error["message"]
    assert single["status"] == "PENDING"
    task = await task_of(house, answer["task_id"])
    assert task["status"] == "COMPLETED_WITH_ERRORS"
    assert [output["success"] for output in task["outputs"]] == [True, False]
    assert task["outputs"][1]["error"]["code"] == "storage_failed"
    assert len(await objects_of(house, bucket)) == 1
    assert has_bytes(house, PNG)


async def test_bytes_are_adopted_again_when_a_sweep_took_them_before_the_commit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)
    adopt, swept = house.staging.adopt, list[bool]()

    async def then_swept(namespace_id: NamespaceId, key: str, *, etag: str) -> StoredBlob:
        stored = await adopt(namespace_id, key, etag=etag)
        if not swept:
            swept.append(True)
            await house.objects.abandon(namespace_id, [stored.sha256])
            assert await house.objects.sweep(namespace_id) == 1
        return stored

    monkeypatch.setattr(house.staging, "adopt", then_swept)

    await confirm(house, bucket, upload["upload_id"])

    assert has_bytes(house, PNG)


async def test_a_confirmation_finds_the_first_answer_when_others_ended_while_it_looked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)
    adopt, answers = house.staging.adopt, list[Any]()

    async def then_overtaken(namespace_id: NamespaceId, key: str, *, etag: str) -> StoredBlob:
        stored = await adopt(namespace_id, key, etag=etag)
        if not answers:
            answers.append(None)
            answers[0] = await confirm(house, bucket, upload["upload_id"])
            await house.objects.abandon(namespace_id, [stored.sha256])  # a third one came second
        return stored

    monkeypatch.setattr(house.staging, "adopt", then_overtaken)

    late = await confirm(house, bucket, upload["upload_id"])

    assert late == answers[0]
    assert len(await objects_of(house, bucket)) == 1


async def test_a_confirmation_finds_the_first_answer_when_another_ended_before_it_looked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)
    find, answers = house.staging.find, list[Any]()

    async def overtaken(key: str) -> StagedFile | None:
        if not answers:
            answers.append(None)
            answers[0] = await confirm(house, bucket, upload["upload_id"])
        return await find(key)

    monkeypatch.setattr(house.staging, "find", overtaken)

    assert await confirm(house, bucket, upload["upload_id"]) == answers[0]


async def test_several_uploads_become_one_object(house: House) -> None:
    bucket = await house.bucket({"front": {"type": "image"}, "back": {"type": "image"}})
    front = await staged(house, bucket, PNG, blob_property="front", create_object_on_confirm=False)
    back = await staged(house, bucket, PNG + b"2", blob_property="back", create_object_on_confirm=False)
    confirmed = await confirm(house, bucket, front["upload_id"])
    blobs = [
        {"property": name, "type": "image", "upload_id": upload["upload_id"]}
        for name, upload in (("front", front), ("back", back))
    ]
    await house.objects.sweep()

    answer = await house.client.post(f"/v1/buckets/{bucket}/objects", json={"blobs": blobs})

    assert confirmed["object_id"] is None
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert [blob["details"]["hash"] for blob in made["blobs"]] == [
        f"sha256:{sha256(data)}" for data in (PNG, PNG + b"2")
    ]
    for upload in (front, back):
        shown = await read(house, bucket, upload["upload_id"])
        assert (shown["status"], shown["object_id"]) == ("COMPLETED", made["object_id"])


async def test_no_bytes_and_no_reference_stay_when_the_object_goes(house: House) -> None:
    bucket = await house.bucket()
    uploads = [await staged(house, bucket) for _ in range(2)]
    made = [await confirm(house, bucket, upload["upload_id"]) for upload in uploads]
    path = f"/v1/buckets/{bucket}/objects/{made[0]['object_id']}"

    await house.client.delete(path)

    assert not has_bytes(house, PNG)
    for upload in uploads:
        shown = await read(house, bucket, upload["upload_id"])
        assert shown["object_id"] is None
        assert "deleted" in shown["message"]
    again = await house.upload(bucket, file_hash=sha256(PNG))
    assert again["presigned_url"] is not None
    body = {"blobs": [{"property": "photo", "type": "image", "upload_id": uploads[0]["upload_id"]}]}
    gone = await house.client.post(f"/v1/buckets/{bucket}/objects", json=body)
    assert gone.status_code == 422, gone.text
    assert "deleted" in gone.json()["error"]["message"]


async def test_bytes_stay_while_an_upload_without_object_has_them(house: House) -> None:
    bucket = await house.bucket()
    kept = await staged(house, bucket, create_object_on_confirm=False, skip_duplicates=False)
    twin = await staged(house, bucket, skip_duplicates=False)
    await confirm(house, bucket, kept["upload_id"])
    made = await confirm(house, bucket, twin["upload_id"])

    await house.client.delete(f"/v1/buckets/{bucket}/objects/{made['object_id']}")
    await house.objects.sweep()

    assert has_bytes(house, PNG)


@pytest.mark.parametrize(
    ("blob", "says"),
    [
        ({"upload_id": "upl_nobody"}, "No upload upl_nobody"),
        ({"property": "paper", "type": "pdf"}, "expected PDF, got PNG"),
        ({"checksum": "0" * 64}, sha256(PNG)),
    ],
)
async def test_an_object_of_an_upload_is_refused_when_the_file_does_not_fit(
    house: House, blob: dict[str, Any], says: str
) -> None:
    bucket = await house.bucket({"photo": {"type": "image"}, "paper": {"type": "pdf"}})
    upload = await staged(house, bucket, blob_property="photo")
    named = {"property": "photo", "type": "image", "upload_id": upload["upload_id"]} | blob

    answer = await house.client.post(f"/v1/buckets/{bucket}/objects", json={"blobs": [named]})

    assert answer.status_code == 422, answer.text
    assert says in answer.json()["error"]["message"]


async def test_another_tenants_upload_is_not_there(house: House) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)
    theirs = await house.stranger.post(
        "/v1/buckets", json={"bucket_name": "b", "bucket_schema": {"properties": {"photo": {"type": "image"}}}}
    )
    other = theirs.json()["bucket_id"]

    answer = await house.stranger.post(f"/v1/uploads/{upload['upload_id']}/confirm")
    body = {"blobs": [{"property": "photo", "type": "image", "upload_id": upload["upload_id"]}]}
    taken = await house.stranger.post(f"/v1/buckets/{other}/objects", json=body)

    assert answer.status_code == 404
    assert taken.status_code == 422
    assert "No upload" in taken.json()["error"]["message"]


async def test_an_upload_waits_again_and_leaves_no_bytes_when_its_confirmation_died(house: House) -> None:
    bucket = await house.bucket()
    died, gone = await staged(house, bucket), await house.upload(bucket)
    await house.staging.adopt(NAMESPACE, died["s3_key"], etag=md5(PNG))
    for upload in (died, gone):
        await house.set(upload["upload_id"], status="IN_PROGRESS", updated_at="now() - interval '1 hour'")

    recovered = await house.uploads.recover()
    await house.objects.sweep()

    assert recovered == 2
    assert (await read(house, bucket, died["upload_id"]))["status"] == "PENDING"
    assert not has_bytes(house, PNG)
    assert (await confirm(house, bucket, died["upload_id"]))["status"] == "COMPLETED"
    assert has_bytes(house, PNG)


async def test_equal_files_are_kept_once_until_the_last_object_goes(house: House) -> None:
    bucket = await house.bucket()
    uploads = [await staged(house, bucket, skip_duplicates=False) for _ in range(2)]
    made = [(await confirm(house, bucket, upload["upload_id"]))["object_id"] for upload in uploads]
    path = house.blobs.local_path(NAMESPACE, sha256(PNG))

    await house.client.delete(f"/v1/buckets/{bucket}/objects/{made[0]}")
    left = has_bytes(house, PNG)
    await house.client.delete(f"/v1/buckets/{bucket}/objects/{made[1]}")

    assert made[0] != made[1]
    assert path is not None
    assert left
    assert not has_bytes(house, PNG)


async def test_a_file_that_is_put_again_meanwhile_is_looked_at_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)
    head, times = house.staging.head, list[int]()

    async def then_replaced(key: str, *, size_bytes: int) -> bytes:
        found = await head(key, size_bytes=size_bytes)
        if not times:
            times.append(1)
            await house.put(upload["s3_key"], PNG + b"new")
        return found

    monkeypatch.setattr(house.staging, "head", then_replaced)

    answer = await confirm(house, bucket, upload["upload_id"])

    assert answer["etag"] == md5(PNG + b"new")
    assert answer["file_size_bytes"] == len(PNG) + 3


async def test_a_batch_of_uploads_is_confirmed_under_a_unique_key(house: House) -> None:
    schema = {"photo": {"type": "image"}, "sku": {"type": "string"}}
    bucket = await house.bucket(schema, unique_key={"fields": ["sku"], "default_policy": "insert"})
    uploads = [
        await staged(house, bucket, PNG + str(number).encode(), object_metadata={"sku": sku}, skip_duplicates=False)
        for number, sku in enumerate("abca")
    ]

    answer = await batch(house, bucket, [{"upload_id": upload["upload_id"]} for upload in uploads])
    await house.queue.run_all()

    task = await task_of(house, answer["task_id"])
    assert [output["error"] and output["error"]["code"] for output in task["outputs"]] == [
        None,
        None,
        None,
        "unique_key_exists",
    ]
    assert len(await objects_of(house, bucket)) == 3


async def test_a_task_fails_when_the_bucket_takes_nothing_any_more(house: House) -> None:
    bucket = await house.bucket()
    upload = await staged(house, bucket)
    answer = await confirm(house, bucket, upload["upload_id"], **{"async": True})
    async with house.db.write() as tx:
        await tx.execute("UPDATE buckets SET status = 'ARCHIVED' WHERE bucket_id = %(id)s", {"id": bucket})

    await house.queue.run_all()
    await house.objects.sweep()

    task = await task_of(house, answer["task_id"])
    assert task["status"] == "FAILED"
    assert "ARCHIVED" in task["error"]
    assert (await read(house, bucket, upload["upload_id"]))["status"] == "PENDING"
    assert not has_bytes(house, PNG)
