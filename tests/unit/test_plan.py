"""Tiers: each collection after what it reads."""

from __future__ import annotations

import pytest

from prismhouse.engine.pipeline.plan import CollectionCycle, Node, downstream_of, plan_tiers


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
