"""`prismhouse demo` as a user runs it: a process, its exit code, and the answers it prints."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prismhouse.cli.demo.questions import QUESTIONS

DEMO = [sys.executable, "-m", "prismhouse", "demo"]
SECONDS = 170
SOURCE = Path(__file__).parents[2] / "src"


def _environment(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PRISMHOUSE_")}
    return {**clean, "TMPDIR": str(tmp_path), "PYTHONPATH": str(SOURCE)}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        DEMO, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done, folder


@pytest.mark.timeout(SECONDS + 10)
def test_demo_ends_well_when_everything_works(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, folder = demo

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert list(folder.iterdir()) == [], "the demo leaves nothing behind"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text)
def test_expected_file_ranks_first_when_asked(demo: tuple[subprocess.CompletedProcess[str], Path], question) -> None:
    asked = demo[0].stdout.split(f"Question    {question.text}  [")[1]

    best = re.search(r"^  1\. +[\d.]+  (\S+)", asked, re.MULTILINE)

    assert best is not None
    assert best[1] == question.expected_file


@pytest.mark.timeout(SECONDS + 40)
def test_server_stays_up_until_stopped_when_kept(tmp_path: Path) -> None:
    environment = {**_environment(tmp_path), "PRISMHOUSE_DEMO_KEEP": "1"}
    process = subprocess.Popen(DEMO, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        shown = _read_until(process, "prismhouse serve --data")
        command = shown[shown.index("export KEY") :].split("\n\n")[0]
        answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True)

        assert json.loads(answer.stdout)["documents"][0]["file"] == "coffee.png"
        assert (tmp_path / "prismhouse-data" / "api-key").exists()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def _read_until(process: subprocess.Popen[str], text: str) -> str:
    shown = ""
    for line in process.stdout:
        shown += line
        if text in line:
            return shown
    raise AssertionError(f"The demo ended too early:\n{shown}")
