"""Every operation of the official client is built or answers 501, and the list of the second kind is true."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route
from tests.opened import Open, assert_envelope
from tests.tools.compatibility import LIST, MARKER, PAGE, client_operations, page, shape, table

from prismhouse.server import unbuilt

_NO_ROUTE = ("No operation ", "is not an operation of")


@pytest.fixture(scope="module")
def listed() -> set[tuple[str, str]]:
    """Method and shape of every line of the list."""
    return {(one.method, shape(one.path)) for one in unbuilt.listed()}


def built(opened: Open) -> set[tuple[str, str]]:
    """Method and shape of every route that is not a 501."""
    return {
        (method, shape(route.path))
        for route in opened.app.routes
        if isinstance(route, Route) and not route.endpoint.__qualname__.startswith("_route.")
        for method in route.methods or ()
    }


async def test_every_operation_of_the_client_is_built_or_listed_and_never_both(
    opened: Open, listed: set[tuple[str, str]]
) -> None:
    operations = {one.key for one in client_operations()}

    assert operations - listed - built(opened) == set()
    assert listed & built(opened) == set(), "run tests/tools/compatibility.py: the list may shrink"
    assert listed - operations == set(), "the list names operations that the client does not have"


async def test_every_listed_operation_answers_501_by_name(opened: Open) -> None:
    client = opened.client("")

    for operation in unbuilt.listed():
        path = re.sub(r"\{[^}]*\}", "x", operation.path)
        error = assert_envelope(await client.request(operation.method, path), 501, "NotImplementedError")
        assert operation.operation_id in str(error["message"])
        assert "docs/compatibility.md" in str(error["message"])


async def test_no_built_operation_answers_as_if_it_were_missing(opened: Open, listed: set[tuple[str, str]]) -> None:
    client = opened.client("")

    for operation in client_operations():
        if operation.key in listed:
            continue
        answer = await client.request(operation.method, re.sub(r"\{[^}]*\}", "x", operation.path))
        assert answer.status_code not in {405, 501}, operation
        assert not any(text in answer.text for text in _NO_ROUTE), operation


async def test_the_list_and_the_page_are_what_the_tool_writes(listed: set[tuple[str, str]]) -> None:
    operations = client_operations()
    missing = [one for one in operations if one.key in listed]
    by_hand = PAGE.read_text().partition(MARKER)[2].removeprefix("\n")

    assert LIST.read_text() == table(missing)
    assert PAGE.read_text() == page(operations, missing, by_hand)
