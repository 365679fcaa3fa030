"""Grouped numbers over objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mixpeek.models import ObjectAggregationResponse
from tests.integration.ingest import House, build

from prismhouse.storage.postgres.database import Database

ROWS = [
    {"kind": "shoe", "price": 10, "tags": ["a", "b"], "made": "2026-01-05"},
    {"kind": "shoe", "price": 30, "tags": ["a"], "made": "2026-01-31T23:00:00-02:00"},
    {"kind": "hat", "price": 20, "tags": [], "made": "2026-03-01"},
    {"kind": "hat", "price": "unknown", "made": "whenever"},
    {"price": 5, "metadata": {"kind": "scarf"}, "tags": "a"},
]


@pytest.fixture
async def house(db: Database, tmp_path: Path) -> House:
    return await build(db, tmp_path / "blobs")


@pytest.fixture
async def bucket(house: House) -> str:
    bucket = await house.bucket({"content": {"type": "text"}})
    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/batch", json={"objects": ROWS})
    assert answer.json()["failed"] == []
    return bucket


async def aggregate(house: House, bucket: str, **body: Any) -> tuple[list[tuple[Any, ...]], int]:
    """Return rows of group values and metrics, and the number of groups."""
    body.setdefault("aggregations", [{"function": "count", "alias": "n"}])
    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/aggregate", json=body)
    assert answer.status_code == 200, answer.text
    assert ObjectAggregationResponse.from_dict(answer.json())
    rows = [(*item["group"].values(), *item["metrics"].values()) for item in answer.json()["results"]]
    return rows, answer.json()["total_groups"]


async def test_metrics_are_computed_for_each_group(house: House, bucket: str) -> None:
    functions = ["sum", "avg", "min", "max", "count", "count_distinct", "first", "last", "push", "add_to_set"]
    metrics = [{"function": name, "field": "price", "alias": name} for name in functions]

    rows, total = await aggregate(house, bucket, group_by=[{"field": "kind"}], aggregations=metrics, sort_by="kind")

    assert total == 3
    assert rows == [
        ("shoe", 40, 20, 10, 30, 2, 2, 10, 30, [10, 30], [10, 30]),
        ("scarf", 5, 5, 5, 5, 1, 1, 5, 5, [5], [5]),
        ("hat", 20, 20, 20, 20, 2, 2, 20, "unknown", [20, "unknown"], ["unknown", 20]),
    ]


async def test_rows_are_filtered_limited_and_sorted(house: House, bucket: str) -> None:
    rows, total = await aggregate(
        house, bucket, group_by=[{"field": "kind"}], filters={"price": {"gte": 10}}, limit=1, sort_direction="asc"
    )
    having, _ = await aggregate(
        house, bucket, group_by=[{"field": "kind"}], having=[{"field": "n", "operator": "lt", "value": 2}]
    )

    assert (rows, total) == ([("hat", 1)], 2)
    assert having == [("scarf", 1)]


async def test_arrays_are_unwound_to_one_row_for_each_element(house: House, bucket: str) -> None:
    rows, _ = await aggregate(house, bucket, group_by=[{"field": "tags"}], unwind="tags")

    assert rows == [("a", 3), ("b", 1)]


async def test_dates_are_cut_and_reduced_in_utc(house: House, bucket: str) -> None:
    months, _ = await aggregate(
        house, bucket, group_by=[{"field": "made", "date_trunc": "month", "alias": "month"}], sort_by="month"
    )
    days, _ = await aggregate(
        house, bucket, group_by=[{"field": "made", "date_part": "dayOfWeek"}], filters={"kind": "shoe"}
    )

    assert {row[0]: row[1] for row in months} == {
        "2026-01-01T00:00:00Z": 1,
        "2026-02-01T00:00:00Z": 1,
        "2026-03-01T00:00:00Z": 1,
        None: 2,
    }
    assert sorted(days) == [(1, 1), (2, 1)]


async def test_numbers_fall_into_ranges_with_boundaries_below(house: House, bucket: str) -> None:
    ranges = [{"field": "price", "boundaries": [10, 20], "default_bucket": "none"}]

    rows, _ = await aggregate(house, bucket, group_by=[{"field": "price"}], range_buckets=ranges)

    assert dict(rows) == {"<=10": 2, "10-20": 1, ">20": 1, "none": 1}


async def test_all_objects_are_one_group_when_only_counted(house: House, bucket: str) -> None:
    assert await aggregate(house, bucket, group_by=[]) == ([(5,)], 1)


@pytest.mark.parametrize(
    "body",
    [
        {"group_by": [{"field": "kind"}], "aggregations": []},
        {"group_by": [], "aggregations": [{"function": "sum", "field": "price", "alias": "s"}]},
        {"group_by": [{"field": "kind"}], "aggregations": [{"function": "sum", "alias": "s"}]},
        {"group_by": [{"field": "kind"}], "aggregations": [{"function": "median", "field": "price", "alias": "s"}]},
        {"group_by": [{"field": "kind"}], "aggregations": [{"function": "count", "alias": "kind"}]},
        {"group_by": [{"field": "kind"}], "aggregations": [{"function": "count", "alias": "n"}], "sort_by": "x"},
        {"group_by": [{"field": "a", "date_trunc": "day", "date_part": "day"}], "aggregations": []},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(house: House, bucket: str, body: dict[str, Any]) -> None:
    answer = await house.client.post(f"/v1/buckets/{bucket}/objects/aggregate", json=body)

    assert answer.status_code == 422


async def test_names_of_the_user_never_become_sql(house: House, bucket: str) -> None:
    evil = "x'); DROP TABLE objects; --"

    rows, _ = await aggregate(
        house,
        bucket,
        group_by=[{"field": evil, "alias": evil}],
        aggregations=[{"function": "max", "field": evil, "alias": "%(a0)s"}],
        range_buckets=[{"field": "y%s", "boundaries": [1], "default_bucket": evil}],
    )

    assert rows == [(None, evil, None)]
