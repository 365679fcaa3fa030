"""Writes the table of numbers in docs/observability.md from what the program declares; a test holds it to that.

`PYTHONPATH=src:. python tests/tools/metrics.py`
"""

from __future__ import annotations

from pathlib import Path

from prismhouse.server.metrics import looks
from prismhouse.storage.postgres.backlog import Backlog
from prismhouse.telemetry.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
BEGIN, END = "<!-- table of numbers: begin -->", "<!-- table of numbers: end -->"


def table() -> str:
    """Return the table."""
    read = looks(Backlog(jobs={}, oldest_seconds={}, workers=0, batches={}, deliveries=0))
    rows = [(family.name, family.kind, family.labels, family.meaning) for family in FAMILIES]
    rows += [(look.name, "gauge, from the database", look.labels, look.meaning) for look in read]
    lines = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {meaning} |"
        for name, kind, labels, meaning in rows
    ]
    return "\n".join(["| Name | Kind | Labels | Meaning |", "|---|---|---|---|", *lines])


def with_table(page: str) -> str:
    """Return the page with the table as it should be."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
