"""Regular expressions of users: what is refused before it is compiled, and what is stopped when it runs."""

from __future__ import annotations

import asyncio
import time

import pytest

from prismhouse.kit.errors import Invalid
from prismhouse.query.filters import PatternTooSlow, matches, matching, parse


@pytest.mark.parametrize(
    "pattern",
    [
        "x{999999999}",
        "(?:xy){9999999}",
        "((a{255}){255}){255}",
        "(?:" * 150 + "ab" + ")+" * 150,
        "(a{255})(?i){2555}",
        "[])]{99}" * 30,
    ],
)
def test_a_pattern_that_outgrows_memory_is_refused_before_it_is_compiled(pattern: str) -> None:
    with pytest.raises(Invalid, match="repeats too much"):
        parse({"field": "a", "operator": "regex", "value": pattern})


@pytest.mark.parametrize("pattern", ["(?R)?", "(a)(?1)", "(?P<n>a)(?&n)", "(?x)a", "(?V1)a", "(?#c)a", "(*FAIL)", "(?"])
def test_a_group_that_hides_what_a_pattern_is_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid, match="group that is not known here"):
        parse({"field": "a", "operator": "regex", "value": pattern})


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "123e4567-e89b-12d3-a456-426614174000"),
        (r"^\d{4}-\d\d(?=-)", "2024-05-01"),
        (r"(?i:RED) [^])]{1,9}s$", "red shoes"),
        (r"\(\?x[[:digit:]]+", "(?x42"),
        (r"(?<=a)b(?!c)|a{,3}{", "ab"),
    ],
)
def test_a_pattern_as_people_write_them_is_taken(pattern: str, text: str) -> None:
    assert matches(parse({"field": "a", "operator": "regex", "value": pattern}), {"a": text})


async def test_a_slow_pattern_stops_in_time_and_holds_nobody_up() -> None:
    slow = parse({"field": "a", "operator": "regex", "value": r"^(a|aa)+(b|bb)*\1$"})
    records = [{"a": "a" * 5_000 + "!"}] * 20
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    started = time.monotonic()
    with pytest.raises(PatternTooSlow, match=r"took more than 0.6 s"):
        await matching(slow, records, seconds=0.6)
    ticking.cancel()

    assert time.monotonic() - started < 3
    assert longest < 0.4
