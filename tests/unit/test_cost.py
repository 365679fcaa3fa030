"""How many rows fit into a call or a chunk, by what rows cost before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismhouse.engine.pipeline.cost import Rate, fitting

BOUNDS = {"seconds": 5.0, "most_bytes": 1000, "most_documents": 100}
RATES = st.builds(Rate, *[st.floats(0, 1e6) for _ in range(4)])


@pytest.mark.parametrize(
    ("sizes", "rate", "expected"),
    [
        ([1] * 50, Rate(), 4),
        ([1] * 50, Rate(10, 10, 0, 10), 5),
        ([1] * 50, Rate(0.001, 100, 100, 100), 50),
        ([1] * 50, Rate(60, 1, 1, 1), 1),
        ([1, 1, 900, 1], Rate(1, 10, 10, 10), 2),
        ([400, 400, 400], Rate(0.001, 10, 10, 10), 2),
        ([5000, 1], Rate(0.001, 10, 10, 10), 1),
        ([1] * 50, Rate(0.001, 10, 10, 200), 5),
        ([], Rate(), 0),
    ],
    ids=["unknown", "by row", "cheap", "dear", "one is large", "bytes", "too large alone", "documents", "none"],
)
def test_as_many_rows_are_taken_as_fit(sizes: list[int], rate: Rate, expected: int) -> None:
    assert fitting(sizes, rate, **BOUNDS) == expected


@given(st.lists(st.integers(0, 10**10), max_size=50), RATES)
def test_rows_taken_bound_by_bound_are_all_taken_once(sizes: list[int], rate: Rate) -> None:
    rest, taken = list(sizes), []
    while rest:
        count = fitting(rest, rate, **BOUNDS)
        assert count >= 1
        taken += rest[:count]
        rest = rest[count:]

    assert taken == sizes


def test_newer_measurements_weigh_more_when_costs_change() -> None:
    rate = Rate()
    for seconds in (100.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        rate = rate.then(Rate(seconds, 10, 10, 10))

    assert 0.1 < rate.seconds_of(0) < 0.3
    assert rate.then(Rate()) == rate


def test_rows_of_some_seconds_are_known_when_some_were_measured() -> None:
    assert Rate(seconds=2, rows=100).rows_in(0.5) == 25
    assert Rate().rows_in(0.5) == 0
    assert Rate(seconds=0, rows=4).rows_in(0.5) > 1000
