"""Inputs and pages of a run."""

from __future__ import annotations

from typing import Any

import pytest

from prismhouse.api.retrievers.model import ResultPage, check_inputs, input_fields, page_answer, result_page
from prismhouse.kit.cursors import BadCursor
from prismhouse.kit.errors import Invalid
from prismhouse.query.stages.port import NotBuilt


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("number", "5.5", 5.5),
        ("integer", 5.0, 5),
        ("boolean", "true", True),
        ("array", "[1]", [1]),
        ("object", {"a": 1}, {"a": 1}),
        ("text", 5, "5"),
        ("text", [0.1, 0.2], [0.1, 0.2]),
        ("document_reference", {"document_id": "doc_1"}, {"document_id": "doc_1"}),
    ],
)
def test_an_input_is_read_as_its_type(kind: str, given: Any, expected: Any) -> None:
    assert check_inputs({"x": {"type": kind}}, {"x": given}).values["x"] == expected


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("number", "x"),
        ("integer", 5.5),
        ("boolean", 1),
        ("array", "{}"),
        ("object", []),
        ("text", {}),
        ("number", True),
    ],
)
def test_an_input_of_another_type_is_refused(kind: str, given: Any) -> None:
    with pytest.raises(Invalid, match="must be of type"):
        check_inputs({"x": {"type": kind}}, {"x": given})


def test_defaults_are_told_and_unknown_inputs_kept() -> None:
    fields = input_fields(
        {"properties": {"a": {"type": "text", "default": "d"}, "b": {"type": "text"}}, "required": ["b"]}
    )

    checked = check_inputs(fields, {"b": "x", "c": 1})

    assert checked.values == {"a": "d", "b": "x", "c": 1}
    assert (checked.inferred, checked.undeclared) == (["a"], ["c"])
    with pytest.raises(Invalid, match="b: is required"):
        check_inputs(fields, {})
    with pytest.raises(Invalid, match="must be one of"):
        check_inputs({"x": {"type": "text", "enum": ["a"]}}, {"x": "b"})


@pytest.mark.parametrize("schema", [{"a": 1}, {"a": {"type": "colour"}}, {"a": {}}])
def test_an_input_schema_needs_known_types(schema: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        input_fields(schema)


@pytest.mark.parametrize(
    ("pagination", "limit", "offset", "size"),
    [
        (None, None, 0, 25),
        (None, 3, 0, 3),
        ({"method": "cursor"}, 3, 0, 3),
        ({"method": "cursor", "limit": 7, "cursor": None}, 3, 0, 7),
        ({"method": "offset", "page_size": 5, "page_number": 3}, None, 10, 5),
    ],
)
def test_the_page_asked_for_is_found(pagination: Any, limit: int | None, offset: int, size: int) -> None:
    page = result_page(pagination, limit, default_limit=25, fingerprint="f")

    assert (page.offset, page.limit) == (offset, size)


@pytest.mark.parametrize(
    ("pagination", "error"),
    [
        ({"method": "scroll"}, NotBuilt),
        ({"method": "keyset"}, NotBuilt),
        ({"method": "page"}, Invalid),
        ({"method": "cursor", "limit": 501}, Invalid),
        ({"method": "cursor", "limit": True}, Invalid),
        ({"method": "offset", "limit": 5}, Invalid),
        ({"method": "cursor", "cursor": "abc"}, BadCursor),
    ],
)
def test_a_page_that_cannot_be_given_is_refused(pagination: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        result_page(pagination, None, default_limit=10, fingerprint="f")


def test_a_cursor_leads_to_the_next_page() -> None:
    page = ResultPage(method="cursor", offset=0, limit=2, fingerprint="f")

    shown = page_answer(page, returned=2, total=3)
    following = result_page(
        {"method": "cursor", "limit": 2, "cursor": shown["cursor"]}, None, default_limit=10, fingerprint="f"
    )

    assert following.offset == 2
    assert page_answer(following, returned=1, total=3)["cursor"] is None
