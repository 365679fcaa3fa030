"""Pages lead where they say: links and their anchors are there, and the README names each page once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text())

    gone = [name for name, _ in links if not (page.parent / name).exists()]
    lost = [
        f"{name}#{anchor}"
        for name, anchor in links
        if anchor and name not in gone and anchor not in anchors(page.parent / name if name else page)
    ]

    assert (gone, lost) == ([], [])


def test_the_readme_leads_to_each_page_once() -> None:
    below = (ROOT / "README.md").read_text().split("\n## Read on\n")[1]

    named = sorted(re.findall(r"\]\(docs/([\w-]+\.md)\)", below))

    assert named == sorted(page.name for page in (ROOT / "docs").glob("*.md"))
