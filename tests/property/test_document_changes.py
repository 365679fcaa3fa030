"""Changes of documents in SQL do what they do in Python."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import psycopg
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "metadata", "0", "1", "é", 'q"', "x y"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("aé'\\\"", max_size=3)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
PATHS = st.lists(NAMES, min_size=1, max_size=4)
CHANGES = st.lists(
    st.fixed_dictionaries({"path": PATHS, "value": TREES})
    | st.fixed_dictionaries({"path": st.tuples(st.just("metadata"), NAMES)}),
    max_size=5,
)


def put_at(target: Any, path: list[str], value: Any) -> Any:
    """Return `target` with `value` at `path`."""
    if not path:
        return value
    first, *rest = path
    if isinstance(target, list) and first.isdecimal() and int(first) < len(target):
        place = int(first)
        return [*target[:place], put_at(target[place], rest, value), *target[place + 1 :]]
    base = target if isinstance(target, dict) else {}
    return {**base, first: put_at(base.get(first), rest, value)}


def without(target: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """Return `target` without what stands at `path`, of two names."""
    made = copy.deepcopy(target)
    inner = made.get(path[0])
    if isinstance(inner, dict):
        inner.pop(path[1], None)
    return made


def test_changes_do_the_same_in_sql_and_python_for_any_document(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:

        @given(document=st.dictionaries(NAMES, TREES, max_size=4), changes=CHANGES)
        def check(document: dict[str, Any], changes: list[dict[str, Any]]) -> None:
            row = connection.execute(
                "SELECT changed_payload(%s::jsonb, %s::jsonb)",
                (orjson.dumps(document).decode(), orjson.dumps(changes).decode()),
            ).fetchone()
            expected = document
            for one in changes:
                path = list(one["path"])
                expected = put_at(expected, path, one["value"]) if "value" in one else without(expected, path)
            assert row == (expected,)

        check()
