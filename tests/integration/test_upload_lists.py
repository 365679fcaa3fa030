"""Lists of uploads: filters, search, sorts, pages, links, statistics, and pages that stay fast."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import ListUploadsResponse
from tests.uploads import House, build, sha256

from prismhouse.storage.postgres.database import Database


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs")


@pytest.fixture
async def bucket(house: House) -> str:
    """A bucket with five uploads: a completed, a cancelled, an overdue one, and two that wait."""
    bucket = await house.bucket()
    made = [
        await house.upload(bucket, "Alpha.png", metadata={"campaign": "summer_2024", "rank": 3}, file_size_bytes=100),
        await house.upload(bucket, "beta.png", metadata={"campaign": "winter"}, object_metadata={"color": "red"}),
        await house.upload(bucket, "gamma.png", metadata={"deep": {"est": "Summer"}}, file_size_bytes=300),
        await house.upload(bucket, "delta 100%.png", content_type="image/jpeg", metadata={"rank": 1}),
        await house.upload(bucket, "late.png", metadata={"ok": True, "rank": 2}),
    ]
    await house.complete(made[1]["upload_id"])
    assert (await house.client.delete(f"/v1/uploads/{made[2]['upload_id']}")).status_code == 204
    await house.set(made[4]["upload_id"], expires_at="now() - interval '1 minute'")
    return bucket


async def listed(house: House, bucket: str, body: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
    answer = await house.client.post(f"/v1/buckets/{bucket}/uploads/list", json=body or {}, params=query)
    assert answer.status_code == 200, answer.text
    assert ListUploadsResponse.from_dict(answer.json()) is not None
    return dict(answer.json())


def names(content: dict[str, Any]) -> list[str]:
    return [item["filename"].split(".")[0] for item in content["results"]]


async def test_uploads_come_newest_first_with_numbers_of_the_page(house: House, bucket: str) -> None:
    await house.upload(await house.bucket(), "elsewhere.png")

    content = await listed(house, bucket)
    page = await listed(house, bucket, {"limit": 2}, include_total=True)

    assert names(content) == ["late", "delta 100%", "gamma", "beta", "Alpha"]
    assert content["stats"] == {
        "total_uploads": 5,
        "total_size_bytes": 405,
        "uploads_by_status": {"FAILED": 1, "PENDING": 2, "CANCELED": 1, "COMPLETED": 1},
        "avg_file_size_bytes": 135.0,
        "unique_buckets": 1,
    }
    assert content["pagination"]["total"] is None
    assert content["pagination"]["page_size"] == 20
    assert page["pagination"]["total"] == 5
    assert page["stats"]["total_uploads"] == 2


EVERYTHING = ["late", "delta 100%", "gamma", "beta", "Alpha"]
FILTERED: list[tuple[dict[str, Any], list[str]]] = [
    ({"status": "PENDING"}, ["delta 100%", "Alpha"]),
    ({"status": "FAILED"}, ["late"]),
    ({"field": "status", "operator": "in", "value": ["CANCELED", "COMPLETED"]}, ["gamma", "beta"]),
    ({"metadata.campaign": "summer_2024"}, ["Alpha"]),
    ({"campaign": "winter"}, ["beta"]),
    ({"object_metadata.color": "red"}, ["beta"]),
    ({"filename": "alpha.png"}, ["Alpha"]),
    ({"field": "filename", "operator": "starts_with", "value": "DELTA"}, ["delta 100%"]),
    ({"field": "file_size_bytes", "operator": "gte", "value": 100}, ["gamma", "Alpha"]),
    ({"field": "metadata.rank", "operator": "lt", "value": 3}, ["late", "delta 100%"]),
    ({"file_hash": sha256(b"bytes")}, ["beta"]),
    ({"content_type": "image/jpeg"}, ["delta 100%"]),
    ({"create_object_on_confirm": False}, []),
    ({"field": "expires_at", "operator": "lt", "value": "2100-01-01T00:00:00Z"}, EVERYTHING),
    ({"NOT": [{"field": "status", "operator": "eq", "value": "PENDING"}]}, ["late", "gamma", "beta"]),
    (
        {
            "AND": [
                {"field": "status", "operator": "eq", "value": "PENDING"},
                {"field": "file_size_bytes", "operator": "gte", "value": 50},
            ]
        },
        ["Alpha"],
    ),
]


async def test_filters_choose_uploads(house: House, bucket: str) -> None:
    for filters, expected in FILTERED:
        content = await listed(house, bucket, {"filters": filters}, include_total=True)

        assert names(content) == expected, filters
        assert content["pagination"]["total"] == len(content["results"])


async def test_search_looks_at_names_and_metadata(house: House, bucket: str) -> None:
    for search, expected in (
        ("summer", ["gamma", "Alpha"]),
        ("LATE", ["late"]),
        ("100%", ["delta 100%"]),
        ("_", ["Alpha"]),
        ("true", ["late"]),
    ):
        assert names(await listed(house, bucket, {"search": search})) == expected, search


SORTED = {
    "created_at": ["Alpha", "beta", "gamma", "delta 100%", "late"],
    "filename": ["Alpha", "beta", "delta 100%", "gamma", "late"],
    "file_size_bytes": ["delta 100%", "late", "beta", "Alpha", "gamma"],
    "status": ["gamma", "beta", "late", "Alpha", "delta 100%"],
    "metadata.rank": ["beta", "gamma", "delta 100%", "late", "Alpha"],
    "rank": ["beta", "gamma", "delta 100%", "late", "Alpha"],
    "completed_at": ["Alpha", "gamma", "delta 100%", "late", "beta"],
    "object_metadata.color": ["Alpha", "gamma", "delta 100%", "late", "beta"],
}


async def test_every_upload_comes_once_when_pages_follow_the_cursor(house: House, bucket: str) -> None:
    for (field, expected), direction in product(SORTED.items(), ("asc", "desc")):
        found: list[str] = []
        body: dict[str, Any] = {"sort": {"field": field, "direction": direction}, "limit": 2}
        for _ in range(3):
            content = await listed(house, bucket, body)
            found += names(content)
            body["cursor"] = content["pagination"]["next_cursor"]

        assert body["cursor"] is None
        assert found == (expected if direction == "asc" else expected[::-1]), (field, direction)


async def test_pages_are_reached_by_offset_and_number(house: House, bucket: str) -> None:
    assert names(await listed(house, bucket, {"limit": 2, "offset": 1})) == ["delta 100%", "gamma"]
    assert names(await listed(house, bucket, limit=2, page=3)) == ["Alpha"]
    assert names(await listed(house, bucket, {"page": 2, "page_size": 3})) == ["beta", "Alpha"]


async def test_parameters_count_when_the_body_has_only_defaults(house: House, bucket: str) -> None:
    defaults = {"limit": 20, "offset": 0}

    assert names(await listed(house, bucket, defaults, limit=2, page=2)) == ["gamma", "beta"]
    assert names(await listed(house, bucket, defaults, page_size=1, offset=4)) == ["Alpha"]
    assert names(await listed(house, bucket, {"limit": 1, "offset": 1}, limit=2, offset=0)) == ["delta 100%"]


async def test_only_completed_uploads_have_links_when_links_are_asked_for(house: House, bucket: str) -> None:
    plain = await listed(house, bucket)
    linked = await listed(house, bucket, {"return_presigned_urls": True})

    assert not any(item["presigned_url"] for item in plain["results"])
    links = {item["filename"]: item["presigned_url"] for item in linked["results"] if item["presigned_url"]}
    assert list(links) == ["beta.png"]
    assert (await house.client.get(links["beta.png"])).content == b"bytes"


async def test_a_list_is_refused_when_its_request_is_not_well_formed(house: House, bucket: str) -> None:
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"limit": 0}, 422),
        ({"limit": 101}, 422),
        ({"offset": -1}, 422),
        ({"surprise": 1}, 422),
        ({"filters": {"field": "a", "operator": "almost", "value": 1}}, 422),
        ({"search": "\u0000"}, 422),
        ({"sort": {"field": ""}}, 422),
        ({"cursor": "mine"}, 400),
    ]

    for body, status in wrong:
        answer = await house.client.post(f"/v1/buckets/{bucket}/uploads/list", json=body)

        assert answer.status_code == status, answer.text


async def test_a_cursor_is_refused_when_it_belongs_to_another_list(house: House, bucket: str) -> None:
    cursor = (await listed(house, bucket, {"limit": 2}))["pagination"]["next_cursor"]

    answer = await house.client.post(
        f"/v1/buckets/{bucket}/uploads/list", json={"cursor": cursor, "search": "a", "limit": 2}
    )

    assert answer.status_code == 400


async def test_a_page_reads_only_its_own_rows_when_the_bucket_has_many(house: House, bucket: str) -> None:
    async with house.db.write() as tx:
        await tx.execute(
            """
            INSERT INTO uploads (namespace_id, bucket_id, upload_id, filename, content_type, s3_key,
                                 presigned_url_expiration, expires_at, created_at)
            SELECT 'ns_one', %(bucket)s, 'upl_' || n, n || '.png', 'image/png', 'k/' || n, 3600,
                   now() + interval '1 hour', now() - n * interval '1 second'
            FROM generate_series(1, 20000) AS n""",
            {"bucket": bucket},
        )
        await tx.execute("ANALYZE uploads")
    cursor = (await listed(house, bucket, {"limit": 100, "offset": 10_000}))["pagination"]["next_cursor"]

    before = await _rows_read(house)
    content = await listed(house, bucket, {"limit": 100, "cursor": cursor})
    read = await _rows_read(house) - before

    assert len(content["results"]) == 100
    assert read < 500


async def _rows_read(house: House) -> int:
    """Return how many rows of uploads this server has read so far."""
    async with house.db.read() as tx:
        await tx.fetch_all("SELECT pg_stat_force_next_flush()")
        value = await tx.fetch_value(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'uploads'"
        )
    return int(value)
