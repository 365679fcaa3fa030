"""docs/performance.md says what bench/results/ holds."""

from __future__ import annotations

from pathlib import Path

from bench.table import page

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_page_is_current_when_results_change():
    assert PAGE.read_text() == page(), "run: python -m bench.table"


def test_page_says_how_each_figure_was_made():
    sections = page().split("\n## ")[1:]

    assert sections
    assert all("`python -m bench." in section for section in sections)
