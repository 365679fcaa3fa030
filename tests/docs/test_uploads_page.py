"""The sessions of the page about uploads, typed as they stand: only address, key and files are the test's own."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_readme import at, typed

PAGE = (Path(__file__).parents[2] / "docs" / "uploads.md").read_text()
DATA = Path(find_spec("skimage").submodule_search_locations[0]) / "data"


def session(language: str) -> str:
    """Return the page's code block of this language."""
    return str(re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0])


@pytest.fixture(scope="module")
def curl_answers(server, tmp_path_factory) -> list[dict[str, Any]]:
    """What the session prints, answer by answer."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "photo.jpg").write_bytes((DATA / "rocket.jpg").read_bytes())
    lines = typed(["bash", "-euo", "pipefail", "-c", at(server, session("sh"))], folder).splitlines()
    return [json.loads(line) for line in lines if line]


def test_curl_session_makes_an_object_of_a_photo(curl_answers):
    made, confirmed = curl_answers[-2:]

    assert made["status"] == "PENDING"
    assert confirmed["status"] == "COMPLETED"
    assert confirmed["object_id"].startswith("obj_")


def test_client_session_confirms_every_photo(curl_answers, server, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").write_bytes((DATA / "rocket.jpg").read_bytes() + b"1")
    (photos / "two.jpg").write_bytes((DATA / "rocket.jpg").read_bytes() + b"2")
    script = tmp_path / "session.py"
    script.write_text(at(server, session("python")))

    assert typed([sys.executable, str(script)], tmp_path).split() == ["COMPLETED", "COMPLETED"]
