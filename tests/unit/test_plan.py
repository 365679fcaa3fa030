"""Tiers: each collection after what it reads."""

from __future__ import annotations

import pytest

from prismhouse.engine.pipeline.plan import CollectionCycle, Node, cut_work, downstream_of, plan_tiers


def node(name: str, *sources: str) -> Node:
    return Node(collection_id=name, source_ids=sources)


CHAIN = [node("c", "b"), node("b", "a"), node("a", "bucket"), node("side", "bucket"), node("join", "side", "b")]


def test_collections_stand_in_the_earliest_tier_they_can() -> None:
    assert plan_tiers(CHAIN) == [["a", "side"], ["b"], ["c", "join"]]


def test_sources_outside_the_plan_bind_nothing() -> None:
    assert plan_tiers([node("c", "b"), node("d", "c")]) == [["c"], ["d"]]
    assert plan_tiers([]) == []


def test_downstream_holds_the_roots_and_all_after_them() -> None:
    assert [item.collection_id for item in downstream_of(["b"], CHAIN)] == ["c", "b", "join"]
    assert downstream_of(["unknown"], CHAIN) == []


def test_a_circle_is_named() -> None:
    with pytest.raises(CollectionCycle, match="a, b") as caught:
        plan_tiers([node("a", "b"), node("b", "a"), node("c", "bucket")])
    assert caught.value.code.status == 422


@pytest.mark.parametrize(("rows", "most"), [(0, 128), (1, 128), (17, 128), (200, 128), (2000, 128), (9, 4)])
def test_work_is_cut_into_chunks_that_shrink_towards_the_end(rows: int, most: int) -> None:
    ids = [str(number) for number in range(rows)]

    chunks = cut_work(ids, most, shares=4)

    sizes = [len(chunk) for chunk in chunks]
    assert [name for chunk in chunks for name in chunk] == ids
    assert sizes == sorted(sizes, reverse=True)
    assert all(0 < size <= most for size in sizes)
    assert len(chunks) >= min(4, rows // 16)
    assert not chunks or sizes[-1] <= 16


def test_no_chunk_but_the_last_is_smaller_than_what_is_worth_a_job() -> None:
    sizes = [len(chunk) for chunk in cut_work([str(number) for number in range(1000)], 128, shares=4, least=100)]

    assert sizes == [128, 128, 128, 128, 122, 100, 100, 100, 66]
