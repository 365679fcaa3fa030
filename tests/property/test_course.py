"""Segments of a lecture cover it without a gap; parts of a source file share no line and lose none with a word."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismhouse.engine.extractors.course.parts import parts_of
from prismhouse.engine.extractors.course.plan import Planner, Span
from prismhouse.engine.extractors.text_vectors import portions

_LINES = st.sampled_from(
    ["", "def f():", "    return 1", "class A:", "    def g(self):", "        pass", "# words", "x = (", ")", "@d", "}"]
)


@given(
    times=st.lists(st.floats(0, 3000), max_size=200),
    cuts=st.lists(st.floats(0, 3000), max_size=80),
    target=st.floats(30, 600),
    share=st.floats(0.01, 1),
    rest=st.floats(0.1, 700),
)
def test_segments_cover_everything_and_keep_their_bounds(
    times: list[float], cuts: list[float], target: float, share: float, rest: float
) -> None:
    least, end = target * share, max([*times, *cuts, 0.0]) + rest
    planner, spans = Planner(target, least), list[Span]()
    marks = sorted([*((time, 0) for time in cuts), *((time, 1) for time in times)])

    for time, kind in marks:
        if kind == 0:
            planner.cut(time)
        spans += planner.reached(time)
    spans += planner.close(end)

    assert spans[0][0] == 0
    assert spans[-1][1] == end
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert all(finish > start for start, finish in spans)
    assert all(finish - start <= target + 1e-5 for start, finish in spans[:-1])
    assert spans[-1][1] - spans[-1][0] <= target + least + 1e-5
    assert len(spans) == 1 or all(finish - start >= least - 1e-5 for start, finish in spans)
    inner = [start for start, _ in spans[1:]]
    assert all(start in cuts or start == pytest.approx(before + target) for before, start in pairwise([0.0, *inner]))


@given(lines=st.lists(_LINES, max_size=60), language=st.sampled_from(["python", "javascript", "ruby", None]))
def test_no_line_is_in_two_parts_and_none_that_says_something_is_in_no_part(
    lines: list[str], language: str | None
) -> None:
    source = "\n".join(lines)

    parts = parts_of(source, language)

    taken = [number for one in parts for number in range(one.first, one.last + 1)]
    assert len(taken) == len(set(taken))
    assert taken == sorted(taken)
    said = {number for number, line in enumerate(lines, start=1) if re.search(r"\w", line)}
    assert said <= set(taken)
    assert parts_of(source, language) == parts


@given(text=st.text(alphabet="ab \n", max_size=5000))
def test_portions_hold_all_of_a_text(text: str) -> None:
    pieces = list(portions(text))

    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece) <= 700 for piece in pieces)
