"""Templates fill in inputs, keep types, and run nothing."""

from __future__ import annotations

from typing import Any

import pytest

from prismhouse.query.templates import MISSING, BadTemplate, has_template, inputs_of, prune, render

INPUTS = {"query": "red {{INPUT.secret}}", "k": 5, "tags": ["a", "b"], "user": {"id": 7, "full name": "x"}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{INPUT.k}}", 5),
        ("{{ inputs.tags }}", ["a", "b"]),
        ("{{input.tags[1]}}", "b"),
        ("{{INPUT.user.id}}", 7),
        ("{{INPUT.user['full name']}}", "x"),
        ("{{INPUT.query}}", "red {{INPUT.secret}}"),
        ("find {{INPUT.k}} of {{INPUT.tags}}", 'find 5 of ["a","b"]'),
        ("find {{INPUT.query}}", "find red {{INPUT.secret}}"),
        ("{{INPUT.no | default(3)}}", 3),
        ("{{INPUT.no | default('x')}}", "x"),
        ("{{INPUT.no}}", MISSING),
        ("a{{INPUT.no}}b", "ab"),
        ({"type": "dynamic", "field": "inputs.user.id"}, 7),
        ({"a": ["{{INPUT.k}}", 1]}, {"a": [5, 1]}),
        ("plain {single}", "plain {single}"),
    ],
)
def test_a_template_is_filled_in(template: Any, expected: Any) -> None:
    assert render(template, INPUTS) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{DOC.x}}",
        "{{INPUT.x()}}",
        "{{ 'a'*10**9 }}",
        "{{}}",
        "{{INPUT.x | upper}}",
        "{{SECRET.k}}",
    ],
)
def test_anything_but_a_path_to_an_input_is_refused(template: str) -> None:
    with pytest.raises(BadTemplate):
        render(template, INPUTS)


def test_python_internals_are_out_of_reach() -> None:
    assert render("{{INPUT.user.__class__}}", INPUTS) is MISSING


def test_conditions_go_when_their_input_is_missing() -> None:
    tree = {"AND": [{"field": "a", "value": "{{INPUT.no}}"}, {"b": "{{INPUT.no}}", "c": "{{INPUT.k}}"}]}
    dropped: list[str] = []

    assert prune(render(tree, INPUTS), dropped) == {"AND": [{"c": 5}]}
    assert sorted(dropped) == ["a", "b"]


def test_inputs_are_found_wherever_they_stand() -> None:
    tree = {"a": "{{INPUT.x.y}} {{INPUT.z}}", "b": [{"type": "dynamic", "field": "inputs.w"}], "c": 1}

    assert inputs_of(tree) == {"x", "z", "w"}
    assert has_template(tree)
    assert not has_template({"a": "b"})
