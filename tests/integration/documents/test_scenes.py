"""Scenes of documents become files: cut once, kept, and cut again when they change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import SceneDownloadResponse
from tests.films import BIKES, film, pictures_of
from tests.shelf import Shelf

from prismhouse.kit import json
from prismhouse.kit.ids import NamespaceId


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
