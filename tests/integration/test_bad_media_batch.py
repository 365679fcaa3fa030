"""A batch of files that cannot be read, through every extractor that reads such files: each row fails by its name.

The files lie in the bucket as if its checks had let them in: a sender of an empty file, or of one that is plainly of
another kind than its field, is told at once, which tests/end_to_end/test_bad_media.py shows.
"""

from __future__ import annotations

import asyncio
import io
import struct
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.bad_media import bad_files, good_files

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.kit.ids import NamespaceId, new_id
from prismhouse.server.app import create_app
from prismhouse.server.wiring import House, build
from prismhouse.settings import ComputeSettings, MediaSettings, Settings

_DEADLINE_SECONDS = 200.0
_RUNNING = {"QUEUED", "PROCESSING"}
_NOTHING_DRAWN = {"use_layout_detection": False, "generate_thumbnails": False}
_ARCHIVE_BYTES = 100_000


@dataclass(frozen=True)
class Way:
    """A field of the bucket into an input of an extractor."""

    extractor: str
    input: str
    field: str
    version: str = "v1"

    @property
    def name(self) -> str:
        return f"{self.extractor}_{self.version}_{self.input}_{self.field}"


WAYS = (
    Way("text_extractor", "text", "text"),
    Way("image_extractor", "image", "image"),
    Way("image_extractor", "image", "pdf"),
    *(
        Way("multimodal_extractor", name, field, version)
        for version in ("v1", "v2")
        for name, field in (
            ("image", "image"),
            ("gif", "image"),
            ("video", "video"),
            ("audio", "audio"),
            ("text", "text"),
        )
    ),
    Way("document_graph_extractor", "pdf", "pdf"),
    Way("face_identity_extractor", "image", "image"),
    Way("face_identity_extractor", "video_frame", "image"),
    Way("face_identity_extractor", "video", "video"),
    Way("face_identity_extractor", "pdf", "pdf"),
    Way("face_identity_extractor", "image", "pdf"),
    Way("audio_fingerprint_extractor", "audio", "audio"),
    Way("audio_fingerprint_extractor", "video", "film"),
    Way("scrolling_text_extractor", "video", "video"),
    Way("universal_extractor", "content", "any"),
    Way("course_content_extractor", "video", "video"),
    Way("course_content_extractor", "pdf", "pdf"),
    Way("course_content_extractor", "code_archive", "archive"),
)
_OF_NO_FILE = {"passthrough_extractor", "web_scraper"}
"""They read no files of a bucket."""

_FIELDS = {
    **{kind: kind for kind in ("image", "pdf", "video", "audio", "text")},
    "film": "video",
    "any": "binary",
    "archive": "binary",
}
"""The types of the bucket's fields; `film` is a video whose sound is meant."""


def _packed(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(2):
            archive.writestr(f"tool{number}.py", data)
    return buffer.getvalue()


def _with_password() -> bytes:
    data = bytearray(_packed(b"secret = 1"))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(mark, place + 4)
    return bytes(data)


def _cases() -> Mapping[str, Mapping[str, tuple[bytes, str]]]:
    """Return the bad files of each field, with their codes."""
    # What is only called by another name is no fault where any file is taken; of each kind and code one is enough.
    called = ("called", "without pictures", "pictures without sound")
    anything = {
        (kind, case[1]): case
        for kind, cases in bad_files().items()
        for what, case in cases.items()
        if not any(words in what for words in called)
    }
    return {
        **bad_files(),
        "film": bad_files()["audio"],
        "any": {
            **{f"{code} of {kind}": case for (kind, code), case in anything.items()},
            "a program called image": (b"\x7fELF\x02\x01\x01" + bytes(200), "unsupported_file"),
        },
        "archive": {
            "empty": (b"", "empty_file"),
            "bomb": (_packed(bytes(_ARCHIVE_BYTES * 3 // 4)), "archive_too_large"),
            "encrypted": (_with_password(), "archive_encrypted"),
            "cut off": (_packed(b"x = 1\n" * 50)[:-30], "archive_corrupt"),
            "a lie": (
                _packed(b"x = 1")[:-22] + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, 1 << 30, 0),
                "archive_corrupt",
            ),
            "a PDF called archive": (bad_files()["pdf"]["cut off"][0], "media_type_mismatch"),
        },
    }


@asynccontextmanager
async def working(house: House) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(house.run_jobs(stop))
    try:
        yield
    finally:
        stop.set()
        await running


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_each_bad_file_is_a_named_failed_row_of_a_batch(
    fresh_database: Callable[[], str], tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        compute=ComputeSettings(processes=2),
        media=MediaSettings(archive_unpacked_bytes=_ARCHIVE_BYTES),
    )
    house = build(settings, fresh_database())
    await house.open()
    try:
        _, key = await house.organizations.create(name="mine")
        transport = httpx2.ASGITransport(create_app(house), raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}", "X-Namespace": "bad"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://house", headers=headers) as client:
            await _run(house, client)
    finally:
        await house.close()


async def _run(house: House, client: httpx2.AsyncClient) -> None:
    async def call(method: str, path: str, body: Any = None) -> Any:
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    space = await call("POST", "/v1/namespaces", {"namespace_name": "bad"})
    schema = {"properties": {name: {"type": kind} for name, kind in _FIELDS.items()}}
    bucket = (await call("POST", "/v1/buckets", {"bucket_name": "all", "bucket_schema": schema}))["bucket_id"]
    stored = await _store(house, NamespaceId(space["namespace_id"]), bucket)
    ways = {}
    for way in WAYS:
        extractor = {
            "feature_extractor_name": way.extractor,
            "version": way.version,
            "input_mappings": {way.input: way.field},
            "parameters": _NOTHING_DRAWN if way.extractor == "document_graph_extractor" else {},
        }
        source = {"type": "bucket", "bucket_ids": [bucket]}
        body = {"collection_name": way.name, "source": source, "feature_extractor": extractor}
        ways[(await call("POST", "/v1/collections", body))["collection_id"]] = way
    expected = {(way.name, what): code for way in WAYS for what, (_, code) in _cases()[way.field].items()}

    at = f"/v1/buckets/{bucket}/batches"
    batch = await call("POST", at, {"object_ids": list(stored)})
    async with working(house):
        await call("POST", f"{at}/{batch['batch_id']}/submit", {})
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while (shown := await call("GET", f"{at}/{batch['batch_id']}"))["status"] in _RUNNING:
                await asyncio.sleep(0.5)
    failed = await call("GET", f"{at}/{batch['batch_id']}/failed-documents?limit=1000")
    audit = await call("GET", f"{at}/{batch['batch_id']}/audit")

    rows = [(ways[row["collection_id"]], stored[row["object_id"]], row) for row in failed["results"]]
    told = {(way.name, held[way.field]): row for way, held, row in rows if way.field in held}
    assert {row["code"] for way, held, row in rows if way.field not in held} <= {"missing_input"}
    codes = {where: row["code"] for where, row in told.items()}
    wrong = sorted(codes.items() ^ expected.items())
    assert not wrong, f"of the way, the file and its code, told or expected alone: {wrong}"
    assert all(row["error_type"] == "permanent" for row in told.values())
    assert all(row["error"].endswith(".") for row in told.values())
    assert shown["status"] == "COMPLETED_WITH_ERRORS"
    assert (audit["all_balanced"], audit["has_lost_objects"]) == (True, False)


async def _store(house: House, namespace: NamespaceId, bucket: str) -> dict[str, Mapping[str, str]]:
    """Store objects of a bad file in each field, as long as there are some, and one of a good text.

    Return what the files of each object are, by its id and their field.
    """
    cases = {field: list(some.items()) for field, some in _cases().items()}
    made = [
        {field: some[place] for field, some in cases.items() if place < len(some)}
        for place in range(max(map(len, cases.values())))
    ]
    made.append({"text": ("good", (good_files()["text"], ""))})
    ids = [new_id("obj") for _ in made]
    files = [
        (name, field, data) for name, held in zip(ids, made, strict=True) for field, (_, (data, _)) in held.items()
    ]
    kept = await house.blobs.put_all(namespace, [data for _, _, data in files])
    async with house.db.write() as tx:
        await tx.execute(
            "INSERT INTO objects (namespace_id, bucket_id, object_id)"
            " SELECT %(n)s, %(b)s, name FROM unnest(%(ids)s::text[]) AS name",
            {"n": namespace, "b": bucket, "ids": ids},
        )
        await tx.execute(
            "INSERT INTO blobs (namespace_id, object_id, blob_id, ordinal, property, type, sha256, size_bytes)"
            " SELECT %(n)s, name, name || field, 0, field, kind, sha256, size FROM unnest(%(names)s::text[],"
            " %(fields)s::text[], %(kinds)s::text[], %(sha256s)s::text[], %(sizes)s::bigint[])"
            " AS given (name, field, kind, sha256, size)",
            {
                "n": namespace,
                "names": [name for name, _, _ in files],
                "fields": [field for _, field, _ in files],
                "kinds": [_FIELDS[field] for _, field, _ in files],
                "sha256s": [one.sha256 for one in kept],
                "sizes": [one.size_bytes for one in kept],
            },
        )
    return {name: {field: what for field, (what, _) in held.items()} for name, held in zip(ids, made, strict=True)}


def test_no_input_of_files_is_left_out() -> None:
    taken = {(way.extractor, way.version, way.input) for way in WAYS}
    known = {
        (record.name, record.version, name)
        for record in Catalogue().all()
        if record.name not in _OF_NO_FILE
        for name in record.input_types
        if name not in {"custom_thumbnail", "srt"}  # what is wrong with these costs a part, not the row
    }

    assert not known - taken, "add them to WAYS"
