"""Stages that work in memory."""

from __future__ import annotations

from typing import Any

import pytest

from prismhouse.kit import json
from prismhouse.kit.errors import Invalid
from prismhouse.query.definition import read_stages
from prismhouse.query.hits import Hit
from prismhouse.query.stages.limit import Limit, LimitParameters
from prismhouse.query.stages.registry import STAGES
from prismhouse.query.stages.sort_attribute import SortAttribute, SortAttributeParameters
from prismhouse.query.stages.sort_relevance import SortRelevance, SortRelevanceParameters

CONTEXT: Any = None


def _hits(*documents: dict[str, Any]) -> list[Hit]:
    return [Hit(str(n), d.get("score"), json.dumps(d).decode()) for n, d in enumerate(documents)]


def _ids(hits: list[Hit]) -> str:
    return "".join(hit.document_id for hit in hits)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"field": "n"}, "2013"),
        ({"field": "n", "direction": "asc"}, "1023"),
        ({"sort_field": "n", "order": "asc", "null_handling": "first"}, "3102"),
        ({"field": "n", "direction": "asc", "nulls_last": False}, "3102"),
        ({"field": "t", "direction": "asc"}, "0123"),
        ({"field": "metadata.n", "direction": "asc"}, "1023"),
    ],
)
async def test_documents_are_ordered_by_a_field(parameters: dict[str, Any], expected: str) -> None:
    hits = _hits({"n": 2, "t": "a"}, {"n": 1, "t": "a"}, {"n": 10, "t": 5.5 and "b"}, {"n": None})

    stage = SortAttribute(SortAttributeParameters.model_validate(parameters))

    assert _ids(await stage.run(hits, CONTEXT)) == expected


async def test_mixed_types_are_compared_as_texts() -> None:
    stage = SortAttribute(SortAttributeParameters(field="n", direction="asc"))

    assert _ids(await stage.run(_hits({"n": "b"}, {"n": 10}, {"n": 9}), CONTEXT)) == "120"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "2031"),
        ({"direction": "asc"}, "3021"),
        ({"missing_score": "top"}, "1203"),
        ({"missing_score": "preserve"}, "2103"),
        ({"score_field": "scores.x"}, "3012"),
    ],
)
async def test_documents_are_ordered_by_a_score(parameters: dict[str, Any], expected: str) -> None:
    hits = _hits({"score": 0.5}, {"a": 1}, {"score": 0.9}, {"score": 0.1, "scores": {"x": 1}})

    stage = SortRelevance(SortRelevanceParameters.model_validate(parameters))

    assert _ids(await stage.run(hits, CONTEXT)) == expected


@pytest.mark.parametrize(("limit", "offset", "expected"), [(2, 0, "01"), (2, 2, "2"), (5, 9, "")])
async def test_a_slice_is_kept(limit: int, offset: int, expected: str) -> None:
    stage = Limit(LimitParameters(limit=limit, offset=offset))

    assert _ids(await stage.run(_hits({}, {}, {}), CONTEXT)) == expected


def test_a_document_keeps_its_text_until_it_changes() -> None:
    [hit] = _hits({"b": 1, "a": 2})
    assert hit.json() == b'{"b":1,"a":2}'

    hit.document["c"] = 3
    hit.changed()

    assert json.loads(hit.json()) == {"a": 2, "b": 1, "c": 3}


@pytest.mark.parametrize(
    "given",
    [
        {"stage_name": "a", "stage_type": "reduce", "config": {"stage_id": "limit", "parameters": {"limit": 3}}},
        {"stage_name": "a", "stage_id": "limit", "parameters": {"limit": 3}},
        {"stage_name": "a", "config": {"stage_id": "limit", "parameters": {"limit": 3}}, "parameters": {"limit": 3}},
    ],
)
def test_every_form_of_a_stage_is_read(given: dict[str, Any]) -> None:
    [spec] = read_stages([given])

    assert spec.wire == {
        "stage_name": "a", "stage_type": "reduce", "config": {"stage_id": "limit", "parameters": {"limit": 3}},
    }  # fmt: skip
    assert spec.parameters == LimitParameters(limit=3)


def test_repeated_names_get_a_number() -> None:
    stages = [{"type": "limit", "limit": 3}] * 3

    assert [spec.name for spec in read_stages(stages)] == ["limit", "limit_2", "limit_3"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("x", "body.stages.0"),
        ({}, "body.stages.0.config"),
        ({"config": {"parameters": {}}}, "body.stages.0.config.stage_id"),
        ({"config": {"stage_id": "limit"}, "color": 1}, "body.stages.0.color"),
        ({"config": {"stage_id": "limit", "parameters": {"limit": 0}}}, "body.stages.0.config.parameters.limit"),
        ({"config": {"stage_id": "limit"}, "on_error": "no"}, "body.stages.0.on_error"),
        ({"config": {"stage_id": "limit", "pre_filters": "x"}}, "body.stages.0.config.pre_filters"),
        ({"type": "attribute_filter"}, "body.stages.0.config.parameters"),
    ],
)
def test_the_place_of_a_fault_in_a_stage_is_named(given: Any, place: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_stages([given])

    assert ".".join(map(str, caught.value.details["validation_errors"][0]["location"])) == place


def test_every_stage_describes_itself() -> None:
    for record in STAGES.values():
        assert record.description.endswith(".")
        assert record.parameters.model_json_schema()["properties"]
