"""docs/observability.md says what the program counts, and its rules ask for numbers that there are."""

from __future__ import annotations

import re

from tests.tools.metrics import PAGE, table, with_table

from prismhouse.cli.settings_reference import variables
from prismhouse.telemetry.families import FAMILIES

TEXT = PAGE.read_text()
OF_COMMANDS = {"PRISMHOUSE_URL", "PRISMHOUSE_API_KEY"}


def test_table_is_current_when_numbers_change() -> None:
    assert with_table(TEXT) == TEXT, "run: PYTHONPATH=src:. python tests/tools/metrics.py"


def test_rules_ask_for_numbers_and_labels_that_there_are() -> None:
    known = dict(re.findall(r"^\| `(prismhouse_\w+)` \|[^|]*\|([^|]*)\|", table(), re.MULTILINE))
    rest = TEXT.split("<!-- table of numbers: end -->")[1]
    asked = re.findall(r"(prismhouse_[a-z_]+)(?:\{(\w+)=)?", rest)

    assert len(asked) > 10
    for name, label in asked:
        assert name in known
        assert not label or f"`{label}`" in known[name]


def test_no_label_could_hold_a_tenant() -> None:
    labels = {label for family in FAMILIES for label in family.labels}

    assert labels == {
        "route",
        "method",
        "status",
        "extractor",
        "outcome",
        "code",
        "job",
        "reason",
        "pool",
        "state",
        "process",
    }


def test_every_variable_of_the_page_is_a_setting() -> None:
    named = set(re.findall(r"PRISMHOUSE_[A-Z_]+", TEXT)) - OF_COMMANDS

    assert named
    assert named <= set(variables())
