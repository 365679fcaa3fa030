"""uv.lock holds what pyproject.toml asks for, from the public index and nowhere else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOSTS = {"pypi.org", "files.pythonhosted.org"}


def wanted(requirement: str) -> tuple[str, str]:
    """Return name and version specifier, in the form of the lock file."""
    plain = requirement.split(";")[0].strip()
    found = re.fullmatch(r"([A-Za-z0-9._-]+)(\[[^]]*\])?(.*)", plain)
    assert found, requirement
    return found[1].lower(), ",".join(sorted(part.strip() for part in found[3].split(",")))


def locked(entries: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(entry["name"], ",".join(sorted(entry.get("specifier", "").split(",")))) for entry in entries}


def test_lock_is_current_when_dependencies_change():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    own = next(package for package in lock["package"] if package["name"] == "prismhouse")
    optional = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    everything = [*project["project"]["dependencies"], *optional]

    expected = {wanted(line) for line in everything if not line.startswith("prismhouse[")}
    found = {pair for pair in locked(own["metadata"]["requires-dist"]) if pair[0] != "prismhouse"}

    assert found == expected, "run: uv lock"
    for group, lines in project["dependency-groups"].items():
        assert locked(own["metadata"]["requires-dev"][group]) == {wanted(line) for line in lines}, "run: uv lock"


def test_lock_names_the_public_index_only():
    text = (ROOT / "uv.lock").read_text()

    assert set(re.findall(r"https?://([^/\"]+)", text)) == HOSTS
    assert "file://" not in text
