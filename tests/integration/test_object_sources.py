"""Objects whose files are fetched, and what surrounds creation: processing, documents, failures between steps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ingest import House, build
from tests.integration.test_objects import PNG, SCHEMA, fault, text
from tests.integration.test_outbound import RudeServer, server

from prismhouse.kit.errors import Code, WarehouseError
from prismhouse.kit.ids import NamespaceId, ObjectId
from prismhouse.settings import OutboundSettings
from prismhouse.storage.postgres.database import Database, NamespaceReader, NamespaceWriter

__all__ = ["server"]

ONE = NamespaceId("ns_one")


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    outbound = OutboundSettings(allow_networks=("127.0.0.0/8",), allow_ports=(), timeout_seconds=5)
    return await build(db, tmp_path / "blobs", outbound=outbound, inline_blob_bytes=200_000, blob_bytes=1_000_000)


@pytest.fixture
async def bucket(house: House) -> str:
    return await house.bucket(SCHEMA)


@pytest.fixture
async def closed_house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs")


@pytest.mark.parametrize("form", ["data", "url", "object"])
async def test_a_url_is_fetched_in_each_form(house: House, bucket: str, server: RudeServer, form: str) -> None:
    url = server.answer("/photo.png", PNG, Content_Type="application/octet-stream")
    source: dict[str, Any] = {"url": url} if form == "url" else {"data": url if form == "data" else {"url": url}}

    created = await house.object(bucket, {"blobs": [{"property": "photo", "type": "image", **source}]})

    blob = created["blobs"][0]
    assert blob["properties"] == {"url": url}
    assert blob["details"] == {
        "filename": "photo.png",
        "size_bytes": len(PNG),
        "mime_type": "image/png",
        "hash": f"sha256:{hashlib.sha256(PNG).hexdigest()}",
    }
    assert await house.blobs.read(ONE, hashlib.sha256(PNG).hexdigest()) == PNG


@pytest.mark.parametrize("size", [10, 150_000])
async def test_fetched_text_is_kept_as_utf_8(house: House, bucket: str, server: RudeServer, size: int) -> None:
    url = server.answer("/a.txt", b"\xe4" * size, Content_Type="text/plain; charset=iso-8859-1")

    created = await house.object(bucket, {"blobs": [text(url)]})

    async with house.db.read() as tx:
        blob = (await house.objects.load(tx.within(ONE), [created["object_id"]]))[created["object_id"]].blobs[0]
    kept = blob.text or (await house.blobs.read(ONE, blob.sha256)).decode()
    assert kept == "ä" * size


async def test_a_url_that_fails_is_named_with_its_reason(house: House, bucket: str, server: RudeServer) -> None:
    gone = server.answer("/gone", status="404 Not Found")
    large = server.answer("/large", b"x" * 1_000_001)
    path = f"/v1/buckets/{bucket}/objects"

    for url, reason in ((gone, "answers 404"), (large, "at most 1000000")):
        answer = await house.client.post(path, json={"blobs": [{"property": "raw", "type": "binary", "url": url}]})
        assert answer.status_code == 422
        assert answer.json()["error"]["type"] == "URLValidationError"
        assert reason in answer.json()["error"]["message"]
        assert url in answer.json()["error"]["message"]
    assert house.files() == []


async def test_fetched_bytes_of_another_kind_are_refused(house: House, bucket: str, server: RudeServer) -> None:
    url = server.answer("/a.pdf", PNG, Content_Type="application/pdf")

    paper = await fault(house, bucket, {"blobs": [{"property": "paper", "type": "pdf", "url": url}]})
    prose = await fault(house, bucket, {"blobs": [text(url)]})
    empty = await fault(house, bucket, {"blobs": [text(server.answer("/empty", b""))]})

    assert "expected PDF, got PNG" in paper["message"]
    assert "expected text, got PNG" in prose["message"]
    assert "empty" in empty["message"]


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "http://169.254.169.254/latest", "http://localhost/x"])
async def test_private_networks_are_not_fetched(closed_house: House, url: str) -> None:
    bucket = await closed_house.bucket(SCHEMA)

    answer = await closed_house.client.post(f"/v1/buckets/{bucket}/objects", json={"blobs": [text(url)]})

    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "URLValidationError")
    assert "private or reserved" in answer.json()["error"]["message"]


@dataclass
class Documents:
    """Documents of objects, as a noun above would answer."""

    counts: dict[str, int] = field(default_factory=dict)

    async def counts_of_objects(self, tx: NamespaceReader, object_ids: Sequence[str]) -> Mapping[str, int]:
        return {key: self.counts[key] for key in object_ids if key in self.counts}

    async def delete_all_of_objects(self, tx: NamespaceWriter, object_ids: Sequence[str]) -> dict[str, list[str]]:
        return {f"col_{key}": ["doc"] * self.counts.pop(key) for key in object_ids if key in self.counts}


async def test_documents_are_counted_and_go_with_their_object(house: House, bucket: str) -> None:
    documents = Documents()
    house.objects.use(derived=documents)
    first, second, third = [(await house.object(bucket, {"blobs": [text(t)]}))["object_id"] for t in "abc"]
    documents.counts = {first: 3, second: 1, third: 1}
    path = f"/v1/buckets/{bucket}/objects"

    counted = (await house.client.get(f"{path}/{first}")).json()["document_count"]
    uncounted = (await house.client.get(f"{path}/{first}", params={"include_document_count": "false"})).json()
    await house.client.delete(f"{path}/{first}")
    await house.client.delete(f"{path}/{second}", params={"cascade": "false"})
    body = {"object_ids": [third], "reason": "gone"}
    hidden = await house.client.post(f"{path}/bulk-soft-delete", json=body)

    assert (counted, uncounted["document_count"]) == (3, None)
    assert documents.counts == {second: 1}
    assert hidden.json() == {"soft_deleted": 1, "requested": 1, "collections": 1}


@dataclass
class Processing:
    """Takes objects for processing at once."""

    seen: list[ObjectId] = field(default_factory=list)

    async def submit(
        self, tx: NamespaceWriter, scope: Any, bucket_id: str, object_ids: Sequence[ObjectId]
    ) -> tuple[str, str]:
        self.seen += object_ids
        return "btch_1", "task_1"


async def test_new_objects_are_processed_at_once_when_asked(house: House, bucket: str) -> None:
    processing = Processing()
    house.objects.use(auto_process=processing)

    created = await house.object(bucket, {"blobs": [text("a")], "idempotency_key": "k"}, auto_process="true")
    again = await house.object(bucket, {"blobs": [text("a")], "idempotency_key": "k"}, auto_process="true")
    body = {"objects": [{"blobs": [text("b")]}, {"price": "x"}]}
    many = await house.client.post(f"/v1/buckets/{bucket}/objects/batch", json=body, params={"auto_process": "true"})

    assert (created["batch_id"], created["task_id"]) == ("btch_1", "task_1")
    assert "batch_id" not in again
    assert many.json()["succeeded"][0]["batch_id"] == "btch_1"
    assert processing.seen == [created["object_id"], many.json()["succeeded"][0]["object_id"]]


class Refusing:
    """Takes nothing for processing."""

    async def submit(self, *_: Any) -> tuple[str, str]:
        raise StoreDown


@pytest.mark.parametrize("unique", [None, {"fields": ["sku"], "default_policy": "upsert"}])
async def test_a_repeated_request_is_processed_when_the_first_one_could_not_be(
    house: House, unique: dict[str, Any] | None
) -> None:
    bucket = await house.bucket({"raw": {"type": "binary"}, "sku": {"type": "string"}}, unique_key=unique)
    blob = {"property": "raw", "type": "binary", "data": {"base64": "AAEC"}}
    body = {"blobs": [blob], "sku": "a", "idempotency_key": "k"}
    path, processing = f"/v1/buckets/{bucket}/objects", Processing()
    house.objects.use(auto_process=Refusing())

    first = await house.client.post(path, json=body, params={"auto_process": "true"})
    left = (await house.client.get(f"/v1/buckets/{bucket}")).json()["object_count"]
    swept = await house.objects.sweep()
    house.objects.use(auto_process=processing)
    second = await house.object(bucket, body, auto_process="true")

    assert (first.status_code, left, swept) == (503, 0, 1)
    assert second["batch_id"] == "btch_1"
    assert processing.seen == [second["object_id"]]
    assert len(house.files()) == 1


async def test_no_bytes_stay_when_the_namespace_goes_before_the_rows_are_written(house: House, bucket: str) -> None:
    async with house.db.read() as tx:
        found = await house.buckets.resolve(tx.within(ONE), bucket)

    async def namespace_goes(*_: Any) -> None:
        async with house.db.write() as tx:
            await tx.execute("DELETE FROM namespaces WHERE namespace_id = 'ns_one'")

    house.buckets.open_for_writes = namespace_goes  # type: ignore[method-assign]
    blob = {"property": "raw", "type": "binary", "data": {"base64": "AAEC"}}
    answer = await house.client.post(f"/v1/buckets/{found.bucket_id}/objects", json={"blobs": [blob]})

    assert answer.status_code >= 400
    assert house.files() == []


async def test_failures_of_hidden_objects_are_not_counted(house: House, bucket: str) -> None:
    path = f"/v1/buckets/{bucket}"
    created = await house.object(bucket, {"blobs": [text("a")]})
    hide = {"object_ids": [created["object_id"]], "reason": "withdrawn"}
    await house.client.post(f"{path}/objects/bulk-soft-delete", json=hide)

    async with house.db.write() as tx:
        await house.objects.mark(tx.within(ONE), {created["object_id"]: ("FAILED", "too late")})

    assert (await house.client.get(path)).json()["failed_object_count"] == 0
    async with house.db.read() as tx:
        events = await tx.fetch_all("SELECT payload FROM events WHERE event_type = 'objects.soft_deleted.batch'")
    assert [event["payload"]["reason"] for event in events] == ["withdrawn"]


class StoreDown(WarehouseError):
    """The store is down."""

    code = Code.UNAVAILABLE


async def test_nothing_is_written_when_bytes_cannot_be_stored(
    house: House, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: Any) -> None:
        raise StoreDown

    monkeypatch.setattr(house.blobs, "put", down)
    blob = {"property": "raw", "type": "binary", "data": {"base64": "AAEC"}}

    answer = await house.client.post(f"/v1/buckets/{bucket}/objects", json={"blobs": [blob]})

    assert answer.status_code == 503
    assert (await house.client.get(f"/v1/buckets/{bucket}/objects")).json()["results"] == []
    assert (await house.client.get(f"/v1/buckets/{bucket}")).json()["object_count"] == 0


async def test_a_deletion_stands_and_its_bytes_go_later_when_the_store_is_down(
    house: House, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: Any) -> None:
        raise OSError

    blob = {"property": "raw", "type": "binary", "data": {"base64": "AAEC"}}
    created = await house.object(bucket, {"blobs": [blob]})
    with monkeypatch.context() as broken:
        broken.setattr(house.blobs, "delete", down)
        answer = await house.client.delete(f"/v1/buckets/{bucket}/objects/{created['object_id']}")

    assert answer.status_code == 204
    assert len(house.files()) == 1
    assert await house.objects.sweep() == 1
    assert house.files() == []
    assert await house.objects.sweep() == 0


async def test_bytes_stay_when_an_object_took_them_up_again_before_the_sweep(
    house: House, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: Any) -> None:
        raise OSError

    blob = {"property": "raw", "type": "binary", "data": {"base64": "AAEC"}}
    first = await house.object(bucket, {"blobs": [blob]})
    with monkeypatch.context() as broken:
        broken.setattr(house.blobs, "delete", down)
        await house.client.delete(f"/v1/buckets/{bucket}/objects/{first['object_id']}")
    await house.object(bucket, {"blobs": [blob]})

    assert await house.objects.sweep() == 0
    assert len(house.files()) == 1
