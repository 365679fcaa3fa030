"""Scenes of documents become files: cut once, kept, and cut again when they change."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import SceneDownloadResponse
from tests.films import BIKES, film, pictures_of
from tests.shelf import Shelf

from prismhouse.kit import json
from prismhouse.kit.ids import NamespaceId
from prismhouse.storage.blobs.port import BlobMissing


class Cuts:
    """The compute of the house, counted."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls = 0

    async def run(self, *arguments: Any, **given: Any) -> Any:
        self.calls += 1
        return await self.inner.run(*arguments, **given)


@pytest.fixture
def cuts(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Cuts:
    scenes = shelf.opened.house.document_scenes
    counted = Cuts(shelf.opened.house.compute)
    monkeypatch.setattr(scenes, "_compute", counted)
    return counted


async def namespace_of(shelf: Shelf) -> NamespaceId:
    return NamespaceId((await shelf.send("GET", "/v1/namespaces/shelf"))["namespace_id"])


async def add_scene(shelf: Shelf, video: bytes, **fields: Any) -> str:
    namespace_id = await namespace_of(shelf)
    stored = await shelf.opened.house.blobs.put(namespace_id, video)
    document_id = await shelf.add(**fields)
    source = {"field": "video", "role": "source", "type": "video", "checksum": stored.sha256, "size_bytes": len(video)}
    async with shelf.opened.house.db.write() as tx:
        await tx.execute(
            "UPDATE documents SET source_blobs = %(blobs)s::jsonb WHERE document_id = %(id)s",
            {"blobs": json.dumps([source]).decode(), "id": document_id},
        )
    return document_id


async def fetched(shelf: Shelf, url: str) -> bytes:
    answer = await shelf.opened.client("").get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "video/mp4"
    return answer.content


async def test_a_scene_is_cut_once_and_answered_at_once_afterwards(shelf: Shelf, cuts: Cuts) -> None:
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=1.0, end_time=2.0)
    before = await shelf.send("GET", f"/{scene}")

    first = await shelf.send("GET", f"/{scene}/download")
    again = await shelf.send("GET", f"/{scene}/download")
    shown = await shelf.send("GET", f"/{scene}?return_presigned_urls=true")

    assert SceneDownloadResponse.from_dict(first) is not None
    assert (first["cached"], first["start_time"], first["end_time"]) == (False, 1.0, 2.0)
    assert (again["cached"], cuts.calls) == (True, 1)
    clip = await fetched(shelf, again["download_url"])
    assert clip == await fetched(shelf, first["download_url"])
    assert len(pictures_of(clip)) == 25
    assert await fetched(shelf, shown["video_segment_url"]) == clip
    assert [one["role"] for one in shown["document_blobs"]] == ["artifact"]
    assert shown["_internal"]["updated_at"] == before["_internal"]["updated_at"]


async def test_calls_at_the_same_time_wait_for_one_cut(shelf: Shelf, cuts: Cuts) -> None:
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=0, end_time=1.2)

    answers = await asyncio.gather(*(shelf.send("GET", f"/{scene}/download") for _ in range(4)))

    assert cuts.calls == 1
    assert {one["cached"] for one in answers} == {False}


async def test_a_scene_is_cut_again_when_its_times_change_or_its_bytes_are_gone(shelf: Shelf, cuts: Cuts) -> None:
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=0, end_time=1.2)
    await shelf.send("GET", f"/{scene}/download")

    await shelf.send("PATCH", f"/{scene}", {"end_time": 0.4})
    moved = await shelf.send("GET", f"/{scene}/download")
    shown = await shelf.send("GET", f"/{scene}")
    (clip,) = shown["document_blobs"]
    await shelf.opened.house.blobs.delete(await namespace_of(shelf), clip["checksum"])
    lost = await shelf.send("GET", f"/{scene}/download")

    assert (moved["cached"], moved["end_time"], lost["cached"], cuts.calls) == (False, 0.4, False, 3)
    assert len(pictures_of(await fetched(shelf, lost["download_url"]))) == 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"start_time": 2, "end_time": 2}, "is no scene"),
        ({"start_time": 3, "end_time": 2}, "is no scene"),
        ({"start_time": -1, "end_time": 2}, "is no scene"),
        ({"start_time": True, "end_time": 2}, "is no scene"),
        ({"start_time": "0", "end_time": 2}, "is no scene"),
        ({"start_time": 0}, "is no scene"),
        ({"start_time": 100, "end_time": 200}, "no picture between"),
        ({"start_time": 0, "end_time": 10**7}, "longer than 3600 s"),
    ],
)
async def test_what_is_no_scene_says_so(shelf: Shelf, fields: dict[str, Any], message: str) -> None:
    scene = await add_scene(shelf, BIKES.read_bytes(), **fields)

    answer = await shelf.send("GET", f"/{scene}/download", None, 422)

    assert message in answer["error"]["message"]


@pytest.mark.parametrize(
    ("bytes_", "message"),
    [
        (b"", "empty file"),
        (b"no video at all", "got text"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "got text"),
        (BIKES.read_bytes()[:3000], "damaged or cut off"),
        (b"\x00\x00\x00\x18ftypisom" + b"\x7f" * 4000, "cannot be cut"),
    ],
)
async def test_a_bad_video_is_a_fault_of_the_video(shelf: Shelf, bytes_: bytes, message: str) -> None:
    scene = await add_scene(shelf, bytes_, start_time=0, end_time=1)

    answer = await shelf.send("GET", f"/{scene}/download", None, 422)

    assert message in answer["error"]["message"]


async def test_a_video_without_pictures_says_so(shelf: Shelf, tmp_path: Path) -> None:
    sound = film(tmp_path / "sound.mp4", pictures=False, sound=True)
    scene = await add_scene(shelf, sound.read_bytes(), start_time=0, end_time=1)

    answer = await shelf.send("GET", f"/{scene}/download", None, 422)

    assert "holds only sound" in answer["error"]["message"]


async def test_a_cut_that_takes_too_long_is_stopped(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = shelf.opened.house.document_scenes
    monkeypatch.setattr(scenes, "_settings", scenes._settings.model_copy(update={"cut_seconds": 0.001}))
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=0.5, end_time=9)

    answer = await shelf.send("GET", f"/{scene}/download", None, 503)

    assert "PRISMHOUSE_MEDIA__CUT_SECONDS" in answer["error"]["message"]


async def test_another_organization_cuts_nothing(shelf: Shelf, cuts: Cuts) -> None:
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=0, end_time=1)
    await shelf.opened.client(shelf.opened.other_key).post("/v1/namespaces", json={"namespace_name": "shelf"})
    stranger = shelf.opened.client(shelf.opened.other_key, **{"X-Namespace": "shelf"})

    await shelf.send("GET", f"/{scene}/download", None, 404, client=stranger)

    assert cuts.calls == 0


async def bytes_are_there(shelf: Shelf, sha256: str) -> bool:
    try:
        async for _ in shelf.opened.house.blobs.stream(await namespace_of(shelf), sha256):
            pass
    except BlobMissing:
        return False
    return True


async def clip_of(shelf: Shelf, document_id: str) -> str:
    await shelf.send("GET", f"/{document_id}/download")
    async with shelf.opened.house.db.read() as tx:
        return str(
            await tx.fetch_value(
                "SELECT document_blobs -> 0 ->> 'checksum' FROM documents WHERE document_id = %(id)s",
                {"id": document_id},
            )
        )


async def test_a_clip_is_swept_when_the_last_document_that_has_it_goes(shelf: Shelf, cuts: Cuts) -> None:
    sweep = shelf.opened.house.objects.sweep
    video = BIKES.read_bytes()
    first = await add_scene(shelf, video, start_time=1.2, end_time=3.04)
    second = await add_scene(shelf, video, start_time=1.2, end_time=3.04)
    clip = await clip_of(shelf, first)
    assert await clip_of(shelf, second) == clip
    await sweep()
    assert await bytes_are_there(shelf, clip)

    await shelf.send("DELETE", f"/{first}")
    await sweep()
    assert await bytes_are_there(shelf, clip)

    await shelf.send("DELETE", f"/{second}")
    await sweep()
    assert not await bytes_are_there(shelf, clip)


async def test_a_clip_outlives_an_object_of_the_same_bytes(shelf: Shelf, cuts: Cuts) -> None:
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=1.2, end_time=3.04)
    clip = await clip_of(shelf, scene)
    async with shelf.opened.house.db.write() as tx:
        await shelf.opened.house.objects.unreferenced(tx.within(await namespace_of(shelf)), [clip])

    await shelf.opened.house.objects.sweep()

    assert await bytes_are_there(shelf, clip)


async def test_the_clip_of_earlier_times_is_swept(shelf: Shelf, cuts: Cuts) -> None:
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=1.2, end_time=3.04)
    earlier = await clip_of(shelf, scene)
    await shelf.send("PATCH", f"/{scene}", {"end_time": 2.0})
    later = await clip_of(shelf, scene)

    await shelf.opened.house.objects.sweep()

    assert not await bytes_are_there(shelf, earlier)
    assert await bytes_are_there(shelf, later)


@pytest.mark.parametrize("change", ["deleted", "other times"])
async def test_a_clip_is_swept_when_its_document_changed_while_it_was_cut(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    scenes, made = shelf.opened.house.document_scenes, []

    class Meddling:
        async def run(self, *arguments: Any, **given: Any) -> Any:
            clip = await shelf.opened.house.compute.run(*arguments, **given)
            made.append(sha256(clip).hexdigest())
            if change == "deleted":
                await shelf.send("DELETE", f"/{scene}")
            else:
                await shelf.send("PATCH", f"/{scene}", {"start_time": 9.0, "end_time": 1.0})
            return clip

    monkeypatch.setattr(scenes, "_compute", Meddling())
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=1.2, end_time=3.04)

    await shelf.send("GET", f"/{scene}/download")
    await shelf.opened.house.objects.sweep()

    assert not await bytes_are_there(shelf, made[0])


async def test_a_clip_is_stored_again_when_a_sweep_came_between(
    shelf: Shelf, cuts: Cuts, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = shelf.opened.house
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=1.2, end_time=3.04)
    put, namespace_id = house.blobs.put, await namespace_of(shelf)

    async def put_and_swept(*arguments: Any, **given: Any) -> Any:
        stored = await put(*arguments, **given)
        monkeypatch.setattr(house.blobs, "put", put)
        async with house.db.write() as tx:
            await house.objects.unreferenced(tx.within(namespace_id), [stored.sha256])
        await house.objects.sweep()
        return stored

    monkeypatch.setattr(house.blobs, "put", put_and_swept)

    assert await bytes_are_there(shelf, await clip_of(shelf, scene))


async def test_an_end_user_downloads_only_what_may_be_read(shelf: Shelf, cuts: Cuts) -> None:
    alice, bob = await shelf.user("alice"), await shelf.user("bob")
    scene = await add_scene(shelf, BIKES.read_bytes(), start_time=1.2, end_time=3.04)
    await shelf.send("PATCH", f"/{scene}/acl", {"read": ["alice"], "write": [], "public": False})

    assert (await shelf.send("GET", f"/{scene}/download", client=alice))["cached"] is False
    await shelf.send("GET", f"/{scene}/download", status=404, client=bob)
