"""The measurement of a batch through three tiers, made small: real texts, real models, every row accounted for."""

from __future__ import annotations

import pytest
from bench.batch_tiers import articles, faults, run, sentences_of
from tests.running import clean_environment

from prismhouse.cli.demo.house import House

TEXTS = 500
# Of all processes, with the models of two extraction processes; the same bound as for 10,000 texts.
MOST_MEMORY_MB = 1500


@pytest.mark.timeout(300)
def test_every_row_is_accounted_for_when_texts_go_through_three_tiers(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", clean_environment()["PYTHONPATH"])
    given = articles(TEXTS)

    with House(tmp_path / "data") as house:
        house.start()
        seen = run(house, given)
        house.stop()

    assert faults(seen, TEXTS, len(sentences_of(given))) == []
    assert len(set(given)) == TEXTS
    assert seen.backwards() == 0
    assert len(set(seen.percents)) > 2, seen.percents
    assert max(sample["all"] for sample in seen.memory) < MOST_MEMORY_MB
