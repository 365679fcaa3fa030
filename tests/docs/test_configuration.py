"""docs/configuration.md says what the settings say."""

from __future__ import annotations

from pathlib import Path

from prismhouse.cli.settings_reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_page_is_current_when_the_settings_change():
    assert PAGE.read_text() == reference(), "run: prismhouse config reference > docs/configuration.md"


def test_every_setting_says_what_it_means():
    rows = [line for line in reference().splitlines() if line.startswith("| `PRISMHOUSE_")]

    assert len(rows) > 30
    assert all(len(row.split("|")[4].strip()) > 10 for row in rows)
