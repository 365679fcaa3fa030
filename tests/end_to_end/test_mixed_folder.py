"""Sixty real files of every kind through one command, and questions about all of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.mixed_folder import FAILURES, NOTES, SKIPPED, folder_of_sixty
from tests.running import RunningServer, clean_environment
from tests.terminal import plain, shown_on_terminal

pytestmark = pytest.mark.slow

TIMEOUT_SECONDS = 300
NAMESPACE = "sixty-files"
KINDS = {"text": 12, "markdown": 3, "image": 24, "audio": 7, "video": 3, "pdf": 3}
QUESTIONS = {
    "a cup of coffee": ("image", r"photos/(coffee\.png|cup\.tiff)", ""),
    "a tabby cat": ("image", r"photos/(chelsea\.png|cat\.webp)", ""),
    "quick brown fox": ("audio", r"sounds/quick_brown_fox\.wav", r"00:00-00:0\d"),
    "bonjour": ("audio", r"sounds/bonjour_monde\.wav", r"00:00-00:0\d"),
    "mountain bike": ("video", r"videos/bikes\.mp4", r"00:\d\d-00:\d\d"),
    "lexical and vector search": ("pdf", r"papers/report\.pdf", r"page [13] of 3"),
    "segmentation markers and histogram of grey values": ("pdf", r"papers/scan\.pdf", ""),
    "geographic distribution of species": ("pdf", r"papers/species\.pdf", r"page \d of \d"),
    "a flat tyre of a bicycle": ("markdown", r"misc/shopping\.md", r"lines 5-7"),
    "house prices in California": ("text", r"texts/california_housing\.rst", r"lines \d+-\d+"),
    "lighthouse keeper on an island": ("text", r"texts/letter\.html", r"line 1"),
    "environment variables of a process": ("text", r"misc/operating_system\.py", r"lines \d+-\d+"),
}
"""Kind, file and place of the first answer."""


@dataclass(frozen=True)
class Ingested:
    """The folder, and what the first run printed."""

    folder: Path
    first: subprocess.CompletedProcess[str]


def command(server: RunningServer, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "prismhouse", *arguments, "--namespace", NAMESPACE, "--data", str(server.data_dir)]


def environment(server: RunningServer, **more: str) -> dict[str, str]:
    return {**clean_environment(), "PRISMHOUSE_SERVER__PORT": str(server.port), **more}


def run(server: RunningServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(server, *arguments),
        env=environment(server),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


def told(printed: str, word: str) -> dict[str, str]:
    """Return the reasons by file that stand behind a word."""
    return dict(re.findall(rf"^{word} +(.+?): (.*)$", printed, re.MULTILINE))


@pytest.fixture(scope="module")
def ingested(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    folder = folder_of_sixty(tmp_path_factory.mktemp("mixed") / "sixty")
    return Ingested(folder, run(server, "ingest", str(folder), "--transcribe", "yes"))


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_sixty_files_are_accounted_for_when_a_mixed_folder_is_ingested(ingested: Ingested) -> None:
    done, printed = ingested.first, ingested.first.stdout
    failed, skipped, notes = (told(printed, word) for word in ("FAILED", "skipped", "note"))

    assert sum(path.is_file() for path in ingested.folder.rglob("*")) == 60
    assert done.returncode == 1, printed + done.stderr
    assert failed.keys() == FAILURES.keys(), printed
    assert all(words in failed[name] for name, words in FAILURES.items()), failed
    assert len(re.findall(r"^ +-> \w", printed, re.MULTILINE)) == len(FAILURES)
    assert list(failed) == sorted(failed)
    assert skipped.keys() == SKIPPED.keys(), printed
    assert all(words in skipped[name] for name, words in SKIPPED.items()), skipped
    assert notes.keys() == NOTES.keys(), printed
    assert all(words in notes[name] for name, words in NOTES.items()), notes
    silent = {"videos/bikes.mp4", "videos/carphone_pristine.mp4"}
    assert told(printed, "partial") == dict.fromkeys(
        silent, "no transcription: The video has no sound, so nothing can be transcribed."
    )
    listed = ", ".join(f"{number} {kind}" for kind, number in KINDS.items())
    assert sum(KINDS.values()) + len(FAILURES) + len(SKIPPED) == 60
    assert re.search(
        rf"^52 files ingested \({listed}\), \d+ documents; 0 unchanged, 2 skipped, 6 failed$", printed, re.MULTILINE
    ), printed
    assert "\x1b" not in printed


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_the_expected_file_comes_first_for_questions_about_every_kind(
    server: RunningServer, ingested: Ingested
) -> None:
    wrong = []
    for question, (kind, file, place) in QUESTIONS.items():
        found = run(server, "search", question, "--json", "--limit", "3")
        answers = json.loads(found.stdout or "[]")
        first = answers[0] if answers else {"file": "", "place": "", "kind": ""}
        if not (re.fullmatch(file, first["file"]) and re.fullmatch(place, first["place"]) and first["kind"] == kind):
            wrong.append((question, [(each["file"], each["place"], each["kind"]) for each in answers], found.stderr))

    assert not wrong


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_pictures_are_drawn_on_a_terminal_when_videos_are_found(server: RunningServer, ingested: Ingested) -> None:
    pytest.importorskip("rich")
    asked = command(server, "search", "mountain bike", "--limit", "1")

    code, shown = shown_on_terminal(asked, environment(server, COLORTERM="truecolor"))

    assert code == 0, shown
    assert "videos/bikes.mp4, 00:" in plain(shown)
    assert shown.count("\u2580") > 100


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_files_that_are_there_go_through_an_extractor_that_is_added_later(
    server: RunningServer, ingested: Ingested
) -> None:
    again = run(server, "ingest", str(ingested.folder), "--with", "face_identity_extractor")
    printed = again.stdout
    last = run(server, "ingest", str(ingested.folder), "--with", "face_identity_extractor")
    unknown = run(server, "ingest", str(ingested.folder), "--with", "nose_extractor")
    run(server, "ingest", str(ingested.folder), "--with", "audio_fingerprint_extractor")
    silent = run(server, "ingest", str(ingested.folder))

    assert "made collection sixty-image-face-identity (face_identity_extractor v1)" in printed
    assert "30 files that did not change: through the new collections" in printed
    faces = re.search(r"0 files ingested, (\d+) documents; 52 unchanged, 2 skipped, 6 failed", printed)
    assert faces, printed
    assert int(faces[1]) >= 2, "the astronaut, and who telephones in the car"
    assert told(printed, "FAILED").keys() == FAILURES.keys()
    assert "0 files ingested, 0 documents; 52 unchanged, 2 skipped, 6 failed" in last.stdout, last.stdout
    assert "btch_" not in last.stdout
    assert "0 files ingested, 0 documents; 52 unchanged, 2 skipped, 6 failed" in silent.stdout, silent.stdout
    assert told(silent.stdout, "partial")["videos/bikes.mp4"].startswith("failed in part before and is unchanged")
    assert (unknown.returncode, "face_identity_extractor" in unknown.stderr) == (1, True), unknown
