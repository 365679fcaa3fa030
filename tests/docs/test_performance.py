"""docs/performance.md says what bench/results/ holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import harness
from bench.table import page

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
PARTS = ("text", "image")


def test_page_is_current_when_results_change():
    assert PAGE.read_text() == page(), "run: python -m bench.table"


def test_page_says_how_each_figure_was_made():
    sections = page().split("\n## ")[1:]

    assert sections
    assert all("`python -m bench." in section for section in sections)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a measurement of two parts."""
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    report = harness.Report("extractors", "files")
    for name in PARTS:
        report.part(name, "10 files").bound("ratio", 0.5, "at least", 0.8)
    assert report.finish(of=PARTS) == 1
    return tmp_path / "extractors.json"


def test_other_parts_stay_as_they_were_when_one_is_measured_again(kept: Path):
    before = json.loads(kept.read_text())
    report = harness.Report("extractors", "files")
    report.part("image", "20 files").bound("ratio", 0.9, "at least", 0.8)
    report.parts["image"].prismhouse = "later"

    code = report.finish(of=PARTS)

    after = json.loads(kept.read_text())
    assert code == 0
    assert list(after["parts"]) == [*PARTS]
    assert after["parts"]["text"] == before["parts"]["text"]
    assert (after["parts"]["image"]["prismhouse"], after["parts"]["image"]["data"]) == ("later", "20 files")
    assert after["machine"] == before["machine"]


def test_nothing_is_kept_when_one_part_was_measured_on_another_machine(kept: Path):
    before = kept.read_text()
    report = harness.Report("extractors", "files")
    report.machine["cores"] += 1
    report.part("image", "20 files")

    report.finish(of=PARTS)

    assert kept.read_text() == before
