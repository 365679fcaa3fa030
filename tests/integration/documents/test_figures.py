"""Aggregations and distinct values over documents."""

from __future__ import annotations

from typing import Any

import pytest
from mixpeek.models import DistinctValuesResponse, DocumentAggregationResponse
from tests.shelf import Shelf

ROWS = [
    {"kind": "shoe", "price": 10, "tags": ["a", "b"], "made": "2026-01-05"},
    {"kind": "shoe", "price": 30, "tags": ["a"], "made": "2026-01-31T23:00:00-02:00"},
    {"kind": "hat", "price": 20, "tags": [], "made": "2026-03-01"},
    {"kind": "hat", "price": "unknown", "made": "whenever", "flag": True},
    {"price": 5, "metadata": {"kind": "scarf", "size": 1.5}, "tags": "a", "flag": None},
]
COUNT = {"function": "count", "alias": "n"}


@pytest.fixture
async def shop(shelf: Shelf) -> Shelf:
    for row in ROWS:
        await shelf.add(**row)
    return shelf


async def aggregate(shop: Shelf, **body: Any) -> tuple[list[tuple[Any, ...]], int]:
    """Return rows of group values and metrics, and the number of groups."""
    answer = await shop.send("POST", "/aggregate", {"aggregations": [COUNT], **body})
    assert DocumentAggregationResponse.from_dict(answer)
    rows = [(*item["group"].values(), *item["metrics"].values()) for item in answer["results"]]
    return rows, answer["total_groups"]


async def test_every_metric_is_computed_for_each_group(shop: Shelf) -> None:
    functions = ["sum", "avg", "min", "max", "count", "count_distinct", "first", "last", "push", "add_to_set"]
    metrics = [{"function": name, "field": "price", "alias": name} for name in functions]

    rows, total = await aggregate(shop, group_by=[{"field": "kind"}], aggregations=metrics, sort_by="kind")

    assert total == 3
    assert rows == [
        ("shoe", 40, 20, 10, 30, 2, 2, 10, 30, [10, 30], [10, 30]),
        ("hat", 20, 20, 20, 20, 2, 2, 20, "unknown", [20, "unknown"], ["unknown", 20]),
        (None, 5, 5, 5, 5, 1, 1, 5, 5, [5], [5]),
    ]


async def test_a_count_without_groups_equals_the_total_of_the_list(shop: Shelf) -> None:
    chosen = {"AND": [{"field": "price", "operator": "gt", "value": 5}]}

    rows, total = await aggregate(shop, filters=chosen)
    listed = await shop.send("POST", "/list", {"filters": chosen, "include_total": True})

    assert (rows, total) == ([(listed["total_documents"],)], 1)


async def test_groups_are_filtered_sorted_and_limited(shop: Shelf) -> None:
    having = [{"field": "n", "operator": "gte", "value": 2}]

    rows, total = await aggregate(shop, group_by=[{"field": "kind", "alias": "k"}], having=having)
    first, all_groups = await aggregate(shop, group_by=[{"field": "kind"}], sort_by="n", sort_direction="asc", limit=1)

    assert (sorted(rows), total) == ([("hat", 2), ("shoe", 2)], 2)
    assert (first, all_groups) == ([(None, 1)], 3)


async def test_lists_are_unwound_dates_cut_and_numbers_ranged(shop: Shelf) -> None:
    tags, _ = await aggregate(shop, group_by=[{"field": "tags"}], unwind="tags")
    months, _ = await aggregate(shop, group_by=[{"field": "made", "date_trunc": "month"}], sort_by="made")
    days, _ = await aggregate(shop, group_by=[{"field": "made", "date_part": "dayOfWeek"}], sort_by="made")
    ranges, _ = await aggregate(shop, range_buckets=[{"field": "price", "boundaries": [10, 20]}], sort_by="price")

    assert sorted(tags) == [("a", 3), ("b", 1)]
    assert months == [("2026-03-01T00:00:00Z", 1), ("2026-02-01T00:00:00Z", 1), ("2026-01-01T00:00:00Z", 1), (None, 2)]
    assert days == [(2, 1), (1, 2), (None, 2)]
    assert sorted(ranges) == [("10-20", 1), ("<=10", 2), (">20", 1), ("other", 1)]


async def test_what_is_no_date_stands_apart_and_breaks_no_group(shelf: Shelf) -> None:
    for text in ("now", "infinity", "4714-11-24 BC", "294276-12-31", "0000-01-01", "2024-05-01"):
        await shelf.add(made=text)

    years, _ = await aggregate(shelf, group_by=[{"field": "made", "date_trunc": "year"}], sort_by="made")
    parts, _ = await aggregate(shelf, group_by=[{"field": "made", "date_part": "year"}], sort_by="made")

    assert years == [("2024-01-01T00:00:00Z", 1), (None, 5)]
    assert parts == [(2024, 1), (None, 5)]


async def test_lineage_and_inner_fields_can_be_grouped(shop: Shelf) -> None:
    sources, _ = await aggregate(shop, group_by=[{"field": "source_type"}])
    inner, _ = await aggregate(shop, group_by=[{"field": "_internal.lineage.source_type", "alias": "s"}])
    sizes, _ = await aggregate(shop, group_by=[{"field": "metadata.size"}])

    assert sources == inner == [("direct_upsert", 5)]
    assert sorted(sizes, key=str) == [(1.5, 1), (None, 4)]


@pytest.mark.parametrize(
    "body",
    [
        {"aggregations": []},
        {"aggregations": [{"function": "median", "field": "price", "alias": "m"}]},
        {"aggregations": [{"function": "sum", "alias": "m"}], "group_by": [{"field": "kind"}]},
        {"aggregations": [{"function": "sum", "field": "price", "alias": "m"}]},
        {"aggregations": [COUNT, COUNT]},
        {"aggregations": [COUNT], "group_by": [{"field": "made", "date_trunc": "day", "date_part": "day"}]},
        {"aggregations": [COUNT], "range_buckets": [{"field": "price", "boundaries": [2, 1]}]},
        {"aggregations": [COUNT], "having": [{"field": "nobody", "operator": "gt", "value": 1}]},
        {"aggregations": [COUNT], "sort_by": "nobody"},
        {"aggregations": [COUNT], "limit": 0},
        {"aggregations": [COUNT], "filters": {"must": []}},
        {"aggregations": [COUNT], "surprise": 1},
        {},
    ],
)
async def test_an_aggregation_that_is_none_is_refused(shop: Shelf, body: Any) -> None:
    await shop.send("POST", "/aggregate", body, 422)


async def test_values_are_counted_the_most_frequent_first(shop: Shelf) -> None:
    tags = await shop.send("POST", "/distinct", {"field": "tags"})
    flags = await shop.send("POST", "/distinct", {"field": "flag"})
    filtered = await shop.send("POST", "/distinct", {"field": "price", "filters": {"kind": "shoe"}})
    one = await shop.send("POST", "/distinct", {"field": "kind", "limit": 1})

    assert DistinctValuesResponse.from_dict(tags)
    assert tags["values"] == [{"value": "a", "count": 3}, {"value": "b", "count": 1}]
    assert (tags["field"], tags["total_distinct"], tags["query_info"]) == ("tags", 2, None)
    assert flags["values"] == [{"value": True, "count": 1}]
    assert filtered["values"] == [{"value": 10, "count": 1}, {"value": 30, "count": 1}]
    assert one["total_distinct"] == 1
    assert one["query_info"]["truncated"] is True


@pytest.mark.parametrize("body", [{}, {"field": ""}, {"field": "a", "limit": 0}, {"field": "a", "limit": 10_001}])
async def test_a_question_for_values_that_is_none_is_refused(shop: Shelf, body: Any) -> None:
    await shop.send("POST", "/distinct", body, 422)


async def test_a_document_is_tried_against_the_schema(shelf: Shelf) -> None:
    fits = await shelf.send("POST", "/schema/validate", {"text": "tides", "mood": 1})
    fails = await shelf.send("POST", "/schema/validate", {"text": 7})

    assert (fits["valid"], fits["errors"], fits["unknown_fields"]) == (True, [], ["mood"])
    assert (fails["valid"], fails["errors"][0]["location"]) == (False, ["body", "text"])
    assert (await shelf.send("GET", "/count"))["count"] == 0
