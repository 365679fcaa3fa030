"""Makes docs/performance.md of the results that are kept, so that the page says what was measured and nothing else.

`python -m bench.table` writes the page; a test holds that it is current.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.peers.runner import PEERS

__all__ = ["page"]

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "performance.md"
# The order of the page; results that are not named here follow by name.
ORDER = ("documents", "search", "text_batch", "extractors", "batch_tiers", "start")
INTRODUCTION = """# Performance

Every figure on this page was measured by a command of this repository, which stands beside it, on the machine that is
named. They are medians (p50) where nothing else is said. Run the commands on a quiet machine of yours before you
compare: caches, cores and disks change all of them. `make bench` runs every measurement; `python -m bench.table` makes
this page of `bench/results/`.

Bounds are what a measurement is held against: it fails when one is missed. A bound that was missed in the kept run is
marked so.
"""
COMPARISON = """
The other stores are libraries: they answered inside the asking process, without a server, a key or JSON over a
connection. Our times are over HTTP with all of that. The number in brackets is our time divided by theirs: **above 1
they are faster**. Empty where a store has no such operation. What each was given, and where the questions differ:
`bench/peers/`, and the notes below.
"""


def page() -> str:
    """Return the whole page."""
    results = {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}
    names = [name for name in ORDER if name in results] + sorted(set(results) - set(ORDER))
    return "\n".join([INTRODUCTION, *(_section(results[name]) for name in names)])


def _section(result: dict[str, Any]) -> str:
    machine = result["machine"]
    place = f"{machine['cores']} cores ({machine['processor']}, {round(machine['memory_mb'] / 1024)} GB)"
    place += f", {machine['system'].split()[0]}, Python {machine['python']}"
    parts = [
        f"## {result['name'].replace('_', ' ').capitalize()}",
        "",
        f"`{result['command'].removesuffix(' --no-assert')}`: {result['data']}.",
        "",
        f"Measured {result['measured_at'][:10]} on {place}; load {machine['load_average_at_start']:.1f} before.",
        "",
    ]
    if result["bounds"]:
        parts += _rows(("bound", "measured", "allowed", ""), [_bound(one) for one in result["bounds"]])
    figures = dict(result["figures"])
    if result["name"] == "documents":
        parts += [COMPARISON.strip(), ""]
        for count in dict.fromkeys(key.split(": ", 1)[0] for key in figures):
            parts += _comparison(figures, count)
    parts += _parts(result.get("parts", {}))
    rest = [[name, *_shown(value)] for name, value in figures.items()]
    if rest:
        parts += _rows(("figure", "p50, or the figure", "p95"), rest)
    parts += [f"- {note}" for note in result["notes"]]
    return "\n".join([*parts, ""] if result["notes"] else parts)


def _parts(measured: dict[str, dict[str, Any]]) -> list[str]:
    """Return the tables of what is measured in parts, each at its own time."""
    if not measured:
        return []
    bounds = [[name, *_bound(one)] for name, part in measured.items() for one in part["bounds"]]
    names = list(dict.fromkeys(key for part in measured.values() for key in part["figures"]))
    figures = [[name, *(_shown(part["figures"].get(key, ""))[0] for key in names)] for name, part in measured.items()]
    times = [
        [name, part["data"], "; ".join(part["notes"]), part["measured_at"][:16].replace("T", " "), _origin(part)]
        for name, part in measured.items()
    ]
    return [
        *_rows(("", "bound", "measured", "allowed", ""), bounds),
        *_rows(("", "a round", "the bare side", "measured, UTC", "of"), times),
        *_rows(("", *names), figures),
    ]


def _origin(part: dict[str, Any]) -> str:
    commit = part["prismhouse"].partition("commit ")[2]
    return f"`{commit}`, Python {part['python']}, load {part['load_average_at_start']:.1f} before"


def _bound(bound: dict[str, Any]) -> list[str]:
    return [
        bound["name"],
        f"{bound['value']:.4g}",
        f"{bound['kind']} {bound['limit']:g}",
        "held" if bound["held"] else "**missed**",
    ]


def _comparison(figures: dict[str, Any], count: str) -> list[str]:
    """Return the table of one corpus; its figures are taken out of `figures`."""
    titles = [peer.title for peer in PEERS]
    ours: dict[str, dict[str, str]] = {}
    wins: dict[str, list[str]] = {title: [] for title in titles}

    def put(question: str, column: str, text: str) -> None:
        ours.setdefault(question, {})[column] = text

    for key in [key for key in figures if key.startswith(f"{count}: ")]:
        question = key.removeprefix(f"{count}: ")
        value = figures[key]["value"] if isinstance(figures[key], dict) else figures[key]
        title = next((one for one in titles if question.startswith(f"{one}: ")), None)
        if title is None:
            column = question.rpartition(": ")[2]
            shown = f"{value['p50']:.3g} ms" if isinstance(value, dict) else _plain(figures[key])
            known = column in {"HTTP", "SQL"}
            put(question.rpartition(": ")[0] if known else question, column if known else "HTTP", shown)
        elif question.endswith(": our time over HTTP to its time"):
            continue
        else:
            asked = question.removeprefix(f"{title}: ")
            shown = _plain(figures[key])
            if isinstance(value, dict):
                ratio = figures[f"{key}: our time over HTTP to its time"]
                shown = f"{value['p50']:.3g} ms ({ratio:g})"
                if ratio > 1:
                    wins[title].append(asked)
            put(asked, title, shown)
    for key in [key for key in figures if key.startswith(f"{count}: ")]:
        del figures[key]
    rows = [[name, *(cells.get(column, "") for column in ("HTTP", "SQL", *titles))] for name, cells in ours.items()]
    table = _rows((f"{count} documents", "Prismhouse, HTTP", "its SQL alone", *titles), rows)
    faster = [f"- {title} was faster than our HTTP in: {'; '.join(names)}." for title, names in wins.items() if names]
    return [*table, *faster, *([""] if faster else [])]


def _plain(figure: Any) -> str:
    value, unit = (figure["value"], figure["unit"]) if isinstance(figure, dict) else (figure, "")
    return f"{value:,} {unit}".strip() if isinstance(value, int | float) else str(value)


def _shown(figure: Any) -> list[str]:
    """Return the columns `p50, or the figure` and `p95`."""
    value, unit = (figure["value"], figure["unit"]) if isinstance(figure, dict) and "value" in figure else (figure, "")
    if isinstance(value, dict) and "p50" in value:
        return [f"{value['p50']:g} {unit}".strip(), f"{value['p95']:g} {unit}".strip()]
    if isinstance(value, dict):
        return [", ".join(f"{name} {_plain(one)}" for name, one in value.items()), ""]
    if isinstance(value, list):
        return [f"{', '.join(f'{one:.4g}' for one in value)} {unit}".strip(), ""]
    return [_plain({"value": value, "unit": unit}), ""]


def _rows(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*(f"| {' | '.join(cell for cell in line)} |" for line in lines), ""]


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"made {PAGE.relative_to(ROOT)}")
