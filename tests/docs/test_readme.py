"""The README's sessions, typed as they stand: only the address, the key's file and the waiting are the test's own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conditions import eventually
from tests.running import RunningServer, clean_environment

README = (Path(__file__).parents[2] / "README.md").read_text()
WAITING = "call -X POST $URL/tasks/list"


def session(heading: str, language: str) -> str:
    """Return the code block of this language that stands below a heading."""
    below = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    return str(blocks[-1])


def at(server: RunningServer, text: str) -> str:
    """Return the text with the address and the key's file of this server."""
    assert "http://127.0.0.1:8080" in text
    assert "prismhouse-data/api-key" in text
    return text.replace("http://127.0.0.1:8080", server.base_url).replace(
        "prismhouse-data/api-key", str(server.data_dir / "api-key")
    )


def typed(command: list[str], folder: Path) -> str:
    """Run it in an empty folder and return what it prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(source=False),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def curl_answers(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the curl session answers, line by line; it waits where the README says so."""
    folder = tmp_path_factory.mktemp("readme")
    script = at(server, session("A first session with curl", "sh"))
    setting, calls = script.split("\n\n")
    before, waiting, after = re.split(rf"^({re.escape(WAITING)}.*)$", calls, flags=re.MULTILINE)

    def run(part: str) -> list[dict[str, Any]]:
        printed = typed(["bash", "-euc", f"{setting}\n{part}"], folder)
        return [json.loads(line) for line in printed.splitlines()]

    answers = run(before)
    listed = eventually(
        lambda: run(waiting)[0]["results"], until=lambda tasks: tasks[0]["status"] not in {"PENDING", "IN_PROGRESS"}
    )
    assert listed[0]["status"] == "COMPLETED"
    return answers + run(after)


def test_curl_session_finds_the_bread_first_when_asked_how_to_bake(curl_answers):
    assert [answer for answer in curl_answers if answer.get("success") is False] == []
    found = curl_answers[-1]["documents"]

    assert len(found) == 2
    assert "bread" in found[0]["content"]
    assert found[0]["score"] > found[1]["score"]


def test_client_session_prints_the_cats_first_when_asked_for_a_lazy_pet(curl_answers, server, tmp_path):
    script = tmp_path / "session.py"
    script.write_text(at(server, session("The same with the official client", "python")))

    lines = typed([sys.executable, "-W", "error::ResourceWarning", str(script)], tmp_path).splitlines()

    assert len(lines) == 3
    assert re.fullmatch(r"[\d.]+ Cats sleep most of the day\.", lines[0])
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)


def test_commands_that_are_shown_exist():
    """Every `make X` and `prismhouse X` of the README is there."""
    targets = set(re.findall(r"^([a-z]+):.*## ", (Path(__file__).parents[2] / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE))
    assert shown <= targets
    for command in set(re.findall(r"(?:`|^)prismhouse ([a-z]+)", README, re.MULTILINE)):
        typed([sys.executable, "-m", "prismhouse", command, "--help"], Path(__file__).parents[2] / "src")
