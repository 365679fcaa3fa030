"""Models over HTTP: what is taken, what is refused, and who may see what."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.model_archives import archive, extractor_zip, form, small_archive
from tests.opened import Open, assert_envelope

from prismhouse.api.archives import store as archives_store
from prismhouse.api.models import store
from prismhouse.api.web.forms import Forms, _boundary, _parse
from prismhouse.kit.ids import NamespaceId
from prismhouse.server.app import create_app

ASKED = {"name": "mine", "version": "1.0.0", "model_format": "onnx"}
FIELDS = (("name", "own"), ("version", "1.0.0"), ("model_format", "onnx"))
UPLOADS = "/v1/models/uploads"


@pytest.fixture
async def client(opened: Open) -> httpx2.AsyncClient:
    """A client of an organization with a namespace called `space`."""
    client = opened.client()
    made = await client.post("/v1/namespaces", json={"namespace_name": "space"})
    client.headers["X-Namespace"] = made.json()["namespace_id"]
    return client


async def put(client: httpx2.AsyncClient, issued: dict[str, Any], data: bytes, kind: str = "application/gzip") -> None:
    answer = await client.put(issued["presigned_url"], content=data, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text


async def uploaded(client: httpx2.AsyncClient, data: bytes | None = None, **asked: Any) -> dict[str, Any]:
    """Upload an archive for the organization; return what the confirmation answers."""
    issued = await client.post(UPLOADS, json={**ASKED, **asked})
    assert issued.status_code == 200, issued.text
    await put(client, issued.json(), small_archive() if data is None else data)
    answer = await client.post(f"{UPLOADS}/{issued.json()['upload_id']}/confirm")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def sent(client: httpx2.AsyncClient, fields: Any = FIELDS, data: bytes | None = b"") -> httpx2.Response:
    """Send a form to the namespace."""
    body, content_type = form(fields, small_archive() if data == b"" else data)
    return await client.post("/v1/namespaces/space/models", content=body, headers={"Content-Type": content_type})


async def test_the_archive_comes_back_byte_for_byte_when_it_is_downloaded(client: httpx2.AsyncClient) -> None:
    data = small_archive()
    model = (await uploaded(client, data))["model_id"]

    found = (await client.get(f"/v1/models/{model}/download")).json()
    file = await client.get(found["download_url"], headers={"Authorization": ""})

    assert file.content == data
    assert found["model_hash"] == hashlib.sha256(data).hexdigest()


async def test_the_same_answer_comes_again_when_an_upload_is_confirmed_twice(client: httpx2.AsyncClient) -> None:
    issued = (await client.post(UPLOADS, json=ASKED)).json()
    await put(client, issued, small_archive())
    path = f"{UPLOADS}/{issued['upload_id']}/confirm"

    first, second = (await client.post(path)).json(), (await client.post(path)).json()

    assert first == second
    assert (await client.get("/v1/models")).json()["total"] == 1


async def test_a_name_and_version_are_taken_once(client: httpx2.AsyncClient) -> None:
    late = (await client.post(UPLOADS, json=ASKED)).json()
    await put(client, late, small_archive(**{"notes.txt": b"another"}))
    await uploaded(client)

    assert_envelope(await client.post(UPLOADS, json=ASKED), 409, "AlreadyExistsError")
    assert_envelope(await client.post(f"{UPLOADS}/{late['upload_id']}/confirm"), 409, "AlreadyExistsError")
    assert (await sent(client)).status_code == 200
    assert_envelope(await sent(client), 409, "AlreadyExistsError")
    assert (await uploaded(client, version="1.0.1"))["success"] is True


async def test_no_more_models_come_in_than_the_limit_when_urls_were_asked_for_before(
    opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = opened.house.settings.limits.model_copy(update={"models": 2})
    monkeypatch.setattr(opened.house.models.bringing, "_limits", limits)
    paths = []
    for number in range(4):
        issued = (await client.post(UPLOADS, json={**ASKED, "version": f"1.0.{number}"})).json()
        await put(client, issued, small_archive())
        paths.append(f"{UPLOADS}/{issued['upload_id']}/confirm")

    answers = await asyncio.gather(*(client.post(path) for path in paths))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409]
    models = (await client.get("/v1/models")).json()["models"]
    assert len(models) == 2
    await client.delete(f"/v1/models/{models[0]['model_id']}")
    late = paths[[answer.status_code for answer in answers].index(409)]
    assert (await client.post(late)).json()["success"] is True


async def test_pickles_are_refused_and_it_is_said_what_to_send(client: httpx2.AsyncClient) -> None:
    pickled = archive({"pytorch_model.bin": b"x", "config.json": b"{}", "tokenizer.json": b"{}"})

    early = assert_envelope(await client.post(UPLOADS, json={**ASKED, "model_format": "pytorch"}), 422)
    failed = await uploaded(client, pickled, model_format="huggingface")
    formed = assert_envelope(await sent(client, [*FIELDS[:2], ("model_format", "safetensors")], pickled), 422)

    assert ".safetensors" in str(early["message"])
    assert (failed["success"], failed["validation_status"], failed["model_id"]) == (False, "failed", None)
    assert "pytorch_model.bin may hold pickled code" in failed["validation_errors"][0]
    assert "pytorch_model.bin" in str(formed["message"])
    assert (await client.get("/v1/models")).json()["total"] == 0


@pytest.mark.parametrize(
    ("confirmation", "words"),
    [({"etag": "0" * 32}, "ETag"), ({"file_size_bytes": 1}, "size in bytes")],
)
async def test_the_right_file_may_follow_when_a_confirmation_does_not_fit(
    client: httpx2.AsyncClient, confirmation: dict[str, Any], words: str
) -> None:
    issued = (await client.post(UPLOADS, json=ASKED)).json()
    path = f"{UPLOADS}/{issued['upload_id']}/confirm"
    missing = assert_envelope(await client.post(path), 400)
    await put(client, issued, small_archive())

    wrong = assert_envelope(await client.post(path, json=confirmation), 400)

    assert "No file has been put" in str(missing["message"])
    assert words in str(wrong["message"])
    assert (await client.post(path)).json()["success"] is True


async def test_a_model_that_is_not_the_customers_stays_here(client: httpx2.AsyncClient) -> None:
    model = (await uploaded(client, source="system"))["model_id"]

    assert_envelope(await client.get(f"/v1/models/{model}/download"), 403, "ForbiddenError")
    assert (await client.get(f"/v1/models/{model}")).json()["model"]["exportable"] is False


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"{}", "application/json", "multipart/form-data"),
        (b"--b\r\n", "multipart/form-data; boundary=b", "cut off"),
        (b"hello", "multipart/form-data; boundary=b", "boundary"),
        (b"", "multipart/form-data; boundary=b", "empty"),
        (*form(FIELDS, None), "archive is missing"),
        (*form([*FIELDS, ("colour", "red")], b"x"), "Accepted keys"),
        (*form([("name", "a b"), *FIELDS[1:]], b"x"), "name"),
    ],
    ids=["json", "cut off", "no boundary", "empty", "no archive", "unknown field", "bad name"],
)
async def test_a_form_is_refused_when_it_is_malformed(
    client: httpx2.AsyncClient, body: bytes, content_type: str, words: str
) -> None:
    answer = await client.post("/v1/namespaces/space/models", content=body, headers={"Content-Type": content_type})

    assert words in str(assert_envelope(answer, 422)["message"])


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


class TestRoomForForms:
    """Forms of a process share a bound on disk."""

    @staticmethod
    def narrow(opened: Open, monkeypatch: pytest.MonkeyPatch, folder: Path, *, room_bytes: int) -> Forms:
        forms = Forms(folder, file_bytes=1000, setting="X", room_bytes=room_bytes)
        forms._form_bytes, forms._room_bytes, forms._share_bytes = 2000, room_bytes, room_bytes // 2
        narrowed = replace(opened.house.models, forms=forms)
        monkeypatch.setattr(opened, "app", create_app(replace(opened.house, models=narrowed)))
        return forms

    async def test_a_form_waits_for_another_time_when_others_fill_the_disk(
        self, opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        forms = self.narrow(opened, monkeypatch, tmp_path, room_bytes=4000)
        client = opened.client(**{"X-Namespace": client.headers["X-Namespace"]})
        stranger = opened.client(opened.other_key)
        await stranger.post("/v1/namespaces", json={"namespace_name": "space"})
        mine = (await client.get("/v1/me")).json()["organization_id"]
        body, kind = form(FIELDS, bytes(900))
        assert 1000 < len(body) < 1900

        async def in_pieces() -> AsyncIterator[bytes]:
            yield body[:100]
            yield body[100:]

        async def send(sender: httpx2.AsyncClient, content: Any) -> httpx2.Response:
            return await sender.post("/v1/namespaces/space/models", content=content, headers={"Content-Type": kind})

        forms._taken[mine] = 1500  # what this organization's others have sent so far

        for content in (body, in_pieces()):
            refused = assert_envelope(await send(client, content), 429, "TooManyRequestsError")
            assert "PRISMHOUSE_LIMITS__FORM_BYTES" in str(refused["message"])
        assert_envelope(await send(stranger, body), 422)  # it came in: these zeros are no archive
        forms._taken[mine] = 3500
        assert_envelope(await send(stranger, body), 429)
        assert forms._taken == {mine: 3500}
        assert _is_empty(tmp_path)

    async def test_a_form_is_too_large_whatever_room_there_is(
        self, opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.narrow(opened, monkeypatch, tmp_path, room_bytes=100_000)
        client = opened.client(**{"X-Namespace": client.headers["X-Namespace"]})

        assert_envelope(await sent(client, data=bytes(3000)), 413)

    async def test_a_full_disk_is_told_by_name(
        self, opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(tempfile, "TemporaryDirectory", full)

        assert_envelope(await sent(client), 507, "InsufficientStorageError")

    def test_the_end_of_a_part_is_found_when_it_lies_across_two_blocks(self, tmp_path: Path) -> None:
        for size in range(2**20 - 400, 2**20 + 60, 7):
            body, kind = form(FIELDS, bytes(size))
            path = tmp_path / "form"
            path.write_bytes(body)
            piece = _parse(path, len(body), _boundary(kind)).files["file"]
            assert piece.end - piece.start == size


async def test_a_namespace_uses_what_it_has_enabled_and_no_other_does(opened: Open, client: httpx2.AsyncClient) -> None:
    model = (await uploaded(client))["model_id"]
    await client.post("/v1/namespaces", json={"namespace_name": "beside"})
    at, beside = "/v1/namespaces/space/models", "/v1/namespaces/beside/models"

    await client.post(f"{at}/org/{model}/enable")

    assert [one["model_id"] for one in (await client.get(at)).json()["models"]] == [model]
    assert (await client.get(beside)).json()["total"] == 0
    assert (await client.get(f"{beside}/available")).json()["models"][0]["enabled_in_namespace"] is False
    assert_envelope(await client.get(f"{beside}/{model}"), 404)
    assert_envelope(await client.post(f"{beside}/{model}/deploy"), 404)
    assert_envelope(await client.delete(f"{at}/{model}"), 409)
    enabled = assert_envelope(await client.delete(f"/v1/models/{model}"), 409)
    assert enabled["details"] == {"model_id": model, "namespaces": "space"}
    stranger = opened.client(opened.other_key)
    await stranger.post("/v1/namespaces", json={"namespace_name": "space"})
    assert_envelope(await stranger.post(f"{at}/org/{model}/enable"), 404)


async def test_a_model_is_enabled_again_while_its_deployment_ends(opened: Open, client: httpx2.AsyncClient) -> None:
    model, space, db = (await uploaded(client))["model_id"], NamespaceId(client.headers["X-Namespace"]), opened.house.db
    enable = f"/v1/namespaces/space/models/org/{model}/enable"
    assert (await client.post(enable)).status_code == 200

    async with db.write() as unit:
        tx = unit.within(space)
        run = await store.begin_deployment(tx, model)
        enabling = asyncio.create_task(client.post(enable))
        async with asyncio.timeout(30), db.read() as other:
            while not await other.fetch_value(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ):
                await asyncio.sleep(0.01)
        ended = await store.end_deployment(tx, model, run=run, message=None, dimensions=3)

    assert ended
    assert (await enabling).status_code == 200
    assert (await client.get(f"/v1/namespaces/space/models/{model}")).json()["model"]["deployed"] is True


async def test_a_collection_is_refused_when_its_model_is_not_deployed(client: httpx2.AsyncClient) -> None:
    model = (await sent(client)).json()["model_id"]
    schema = {"properties": {"text": {"type": "text"}}}
    bucket = (await client.post("/v1/buckets", json={"bucket_name": "b", "bucket_schema": schema})).json()["bucket_id"]
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1", "input_mappings": {"text": "text"}}
    body = {"collection_name": "own_texts", "source": {"type": "bucket", "bucket_ids": [bucket]}}

    for name in (model, "own", "own@1.0.0"):
        chosen = {**extractor, "parameters": {"embedding_model": name}}
        answer = await client.post("/v1/collections", json={**body, "feature_extractor": chosen})
        assert f"/models/{model}/deploy first" in str(assert_envelope(answer, 422)["message"])


async def test_files_go_when_nothing_names_them(opened: Open, client: httpx2.AsyncClient) -> None:
    kept, gone = small_archive(a=b"kept"), small_archive(a=b"gone")
    await uploaded(client, kept)
    model = (await uploaded(client, gone, version="2.0.0"))["model_id"]
    own = (await sent(client, data=gone)).json()["model_id"]
    archives = opened.house.models.bringing._archives
    link = (await client.get(f"/v1/models/{model}/download")).json()["download_url"]

    async def age() -> None:
        async with opened.house.db.write() as tx:
            await tx.execute("UPDATE archives SET touched_at = now() - interval '2 hours'")

    await client.delete(f"/v1/models/{model}")
    await age()
    await archives.sweep()
    assert (await client.get(link)).status_code == 200, "the namespace's model has the same bytes"
    await client.delete(f"/v1/namespaces/space/models/{own}")
    await archives.sweep()

    assert (await client.get(link)).status_code == 404
    left = (await client.get("/v1/models")).json()["models"][0]["model_id"]
    link = (await client.get(f"/v1/models/{left}/download")).json()["download_url"]
    assert (await client.get(link)).content == kept


async def test_what_a_dead_confirmation_left_is_swept_when_nobody_repeats_it(
    opened: Open, client: httpx2.AsyncClient
) -> None:
    issued = (await client.post(UPLOADS, json=ASKED)).json()
    await put(client, issued, small_archive(a=b"orphan"))
    archives = opened.house.models.bringing._archives
    organization = (await client.get("/v1/me")).json()["organization_id"]
    upload = await archives.upload(organization, issued["upload_id"], "model")
    stored = await archives.arrived(upload, etag=None, size_bytes=None, most_bytes=1 << 20, setting="x")

    for statement in (
        "UPDATE archive_uploads SET expires_at = now() - interval '1 day'",
        "UPDATE archives SET touched_at = now() - interval '1 day'",
    ):
        async with opened.house.db.write() as tx:
            await tx.execute(statement)
        await archives.sweep()

    async with opened.house.db.read() as tx:
        assert await tx.fetch_all("SELECT 1 FROM archives WHERE sha256 = %(s)s", {"s": stored.sha256}) == []
    assert await opened.house.staging.find(issued["s3_key"]) is None
    refused = assert_envelope(await client.post(f"{UPLOADS}/{issued['upload_id']}/confirm"), 400)
    assert "not confirmed before" in str(refused["message"])


async def test_later_uploads_are_forgotten_when_the_oldest_cannot_be(
    opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = [(await client.post(UPLOADS, json={**ASKED, "version": f"7.0.{number}"})).json() for number in range(5)]
    stuck, others = {one["s3_key"] for one in issued[:2]}, [one["upload_id"] for one in issued[2:]]
    archives = opened.house.models.bringing._archives
    find = archives._staging.find

    async def fails_for_some(key: str) -> Any:
        if key in stuck:
            raise OSError("the disk does not answer")
        return await find(key)

    monkeypatch.setattr(archives._staging, "find", fails_for_some)
    monkeypatch.setattr("prismhouse.api.archives.service._AT_A_TIME", 2)
    async with opened.house.db.write() as tx:
        await tx.execute(
            """
            UPDATE archive_uploads SET expires_at = now() - interval '1 day',
              updated_at = now() - make_interval(days => 9 - array_position(%(ids)s::text[], upload_id))
            WHERE upload_id = ANY(%(ids)s)""",
            {"ids": [one["upload_id"] for one in issued]},
        )

    await archives.sweep()
    await archives.sweep()

    async with opened.house.db.read() as tx:
        rows = await tx.fetch_all(
            "SELECT upload_id FROM archive_uploads WHERE status = 'FAILED' AND upload_id = ANY(%(ids)s)",
            {"ids": others},
        )
    assert {row["upload_id"] for row in rows} == set(others)


async def test_later_archives_are_deleted_when_the_oldest_cannot_be(
    opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = opened.house.models.bringing._archives
    organization = (await client.get("/v1/me")).json()["organization_id"]
    hashes = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
    delete = archives._blobs.delete

    async def fails_for_some(place: NamespaceId, sha256: str) -> None:
        if sha256 in hashes[:2]:
            raise OSError("the disk does not answer")
        await delete(place, sha256)

    monkeypatch.setattr(archives._blobs, "delete", fails_for_some)
    monkeypatch.setattr("prismhouse.api.archives.service._AT_A_TIME", 2)
    async with opened.house.db.write() as tx:
        for number, sha256 in enumerate(hashes):
            await tx.execute(
                """
                INSERT INTO archives (organization_id, sha256, size_bytes, touched_at)
                VALUES (%(organization)s, %(sha256)s, 1, now() - make_interval(days => 9 - %(number)s))""",
                {"organization": organization, "sha256": sha256, "number": number},
            )

    await archives.sweep()

    async with opened.house.db.read() as tx:
        rows = await tx.fetch_all(
            "SELECT sha256 FROM archives WHERE organization_id = %(o)s AND touched_at > now() - interval '1 h'",
            {"o": organization},
        )
        count = await tx.fetch_value("SELECT count(*) FROM archives WHERE organization_id = %(o)s", {"o": organization})
    assert ({row["sha256"] for row in rows}, count) == (set(hashes[:2]), 2)


async def test_a_confirmation_stands_when_the_sweep_comes_late(opened: Open, client: httpx2.AsyncClient) -> None:
    issued = (await client.post(UPLOADS, json=ASKED)).json()
    await put(client, issued, small_archive())
    path = f"{UPLOADS}/{issued['upload_id']}/confirm"
    first = (await client.post(path)).json()

    async with opened.house.db.write() as tx:
        await archives_store.give_up(tx, issued["upload_id"])

    assert (await client.post(path)).json() == first


async def test_a_key_of_one_namespace_brings_no_model_for_all(opened: Open, client: httpx2.AsyncClient) -> None:
    scope = {"resource_type": "namespace", "resource_id": client.headers["X-Namespace"]}
    body = {"name": "narrow", "permissions": ["read", "write", "delete"], "scopes": [scope]}
    made = await client.post("/v1/organizations/users/admin@localhost/api-keys", json=body)
    narrow = opened.client(made.json()["key"])
    model = (await uploaded(client))["model_id"]

    assert_envelope(await narrow.post(UPLOADS, json={**ASKED, "version": "3.0.0"}), 403)
    assert_envelope(await narrow.delete(f"/v1/models/{model}"), 403)
    assert (await sent(narrow)).status_code == 200


class TestSubmissions:
    """Extractors as code."""

    UPLOADS = "/v1/extractors/submissions/uploads"

    async def send(self, client: httpx2.AsyncClient, data: bytes, **asked: Any) -> httpx2.Response:
        issued = (await client.post(self.UPLOADS, json={"name": "mine", "version": "v1", **asked})).json()
        await put(client, issued, data, "application/zip")
        return await client.post(f"{self.UPLOADS}/{issued['submission_id']}/confirm", json={})

    async def test_it_waits_for_the_operator_when_nothing_speaks_against_it(self, client: httpx2.AsyncClient) -> None:
        answer = (await self.send(client, extractor_zip("mine"))).json()

        assert (answer["status"], answer["security_scan_passed"], answer["manifest_valid"]) == (
            "pending_review",
            True,
            True,
        )
        assert "operator" in answer["message"]
        again = await client.post(self.UPLOADS, json={"name": "mine", "version": "1.0"})
        assert_envelope(again, 409, "AlreadyExistsError")
        found = (await client.get(f"/v1/extractors/submissions/{answer['submission_id']}")).json()["submission"]
        assert (await client.get(found["archive_url"])).content == extractor_zip("mine")

    async def test_it_is_rejected_when_its_code_uses_what_it_may_not(self, client: httpx2.AsyncClient) -> None:
        answer = (await self.send(client, extractor_zip("mine", code="import subprocess\n"))).json()

        assert (answer["success"], answer["status"]) == (False, "rejected")
        assert answer["security_violations"][0]["name"] == "subprocess"
        listed = (await client.get("/v1/extractors/submissions", params={"status": "rejected"})).json()
        assert listed["total"] == 1

    async def test_a_version_and_the_limit_hold_when_urls_were_asked_for_before(
        self, opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opened.house.submissions, "_limit", 1)
        paths = []
        for name in ("mine", "mine", "other"):
            issued = (await client.post(self.UPLOADS, json={"name": name, "version": "v1"})).json()
            await put(client, issued, extractor_zip(name), "application/zip")
            paths.append(f"{self.UPLOADS}/{issued['submission_id']}/confirm")

        first, taken, over = [await client.post(path, json={}) for path in paths]

        assert first.json()["status"] == "pending_review"
        assert_envelope(taken, 409, "AlreadyExistsError")
        assert_envelope(over, 403)

    async def test_the_oldest_rejected_ones_go_when_there_are_more_than_the_limit(
        self, opened: Open, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opened.house.submissions, "_limit", 2)
        rejected = extractor_zip("mine", code="import socket\n")
        ids = [(await self.send(client, rejected)).json()["submission_id"] for _ in range(3)]
        waiting = (await self.send(client, extractor_zip("mine"))).json()["submission_id"]
        at = "/v1/extractors/submissions"

        listed = (await client.get(at)).json()
        pages = [(await client.get(at, params={"limit": 1, "offset": number})).json() for number in range(3)]

        assert [one["submission_id"] for one in listed["submissions"]] == [waiting, *reversed(ids[1:])]
        assert [page["submissions"] for page in pages] == [[one] for one in listed["submissions"]]
        assert {page["total"] for page in [listed, *pages]} == {3}
        assert_envelope(await client.get(f"{at}/{ids[0]}"), 404)
        assert (await client.post(f"{self.UPLOADS}/{ids[0]}/confirm")).json()["status"] == "rejected"

    async def test_one_that_was_never_sent_goes_when_its_upload_is_over(
        self, opened: Open, client: httpx2.AsyncClient
    ) -> None:
        issued = (await client.post(self.UPLOADS, json={"name": "mine", "version": "v1"})).json()
        async with opened.house.db.write() as tx:
            await archives_store.give_up(tx, issued["submission_id"])

        later = (await client.post(self.UPLOADS, json={"name": "mine", "version": "v1"})).json()

        listed = (await client.get("/v1/extractors/submissions")).json()["submissions"]
        assert [one["submission_id"] for one in listed] == [later["submission_id"]]

    async def test_it_is_said_what_to_leave_out_when_it_is_too_large(
        self, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("prismhouse.api.submissions.service.LARGEST_BYTES", 100)

        refused = assert_envelope(await self.send(client, extractor_zip("mine")), 413)

        assert "Leave out what is no code" in str(refused["message"])

    async def test_wrong_feature_keys_are_at_fault(self, client: httpx2.AsyncClient) -> None:
        manifest = (
            "metadata = {'feature_extractor_name': 'mine', 'version': '1.0.0'}\ninput_schema = {}\noutput_schema = {}\n"
            "features = [{'type': 'embedding', 'name': 'v', 'dimensions': 3, 'distance': 'cosine'}]\n"
        )

        fault = assert_envelope(await self.send(client, extractor_zip("mine", manifest=manifest)), 422)
        other = assert_envelope(await self.send(client, extractor_zip("other")), 422)

        assert "feature_type, feature_name, embedding_dim, distance_metric" in str(fault["message"])
        assert "names another extractor" in str(other["message"])

    async def test_it_is_said_what_to_do_when_code_is_not_taken(self, opened: Open, client: httpx2.AsyncClient) -> None:
        opened.house.submissions._limit, before = 0, opened.house.submissions._limit
        try:
            refused = assert_envelope(await client.post(self.UPLOADS, json={"name": "mine", "version": "v1"}), 403)
        finally:
            opened.house.submissions._limit = before

        assert "PRISMHOUSE_LIMITS__CUSTOM_EXTRACTORS" in str(refused["message"])
        assert "docs/custom-extractors.md" in str(refused["message"])
