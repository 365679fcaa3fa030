"""`prismhouse ingest` and `prismhouse search` on a folder of real files of every kind, some of them broken."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.films import BIKES
from tests.pdfs import report
from tests.photos import photos, png
from tests.running import RunningServer, clean_environment
from tests.terminal import plain, shown_on_terminal

TIMEOUT_SECONDS = 90
NAMESPACE = "ingested-files"
FAILURES = {"empty.txt": "0 bytes", "cut.png": "image_corrupt", "cut.mp4": "media_corrupt"}
SKIPPED = {".hidden": "hidden", "link.txt": "a link", "bytes.bin": "nothing reads"}


def command(server: RunningServer, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "prismhouse", *arguments, "--data", str(server.data_dir)]


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


def ingest(server: RunningServer, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return run(server, "ingest", str(folder), "--namespace", NAMESPACE, "--transcribe", "no", *more)


def told(printed: str, word: str) -> dict[str, str]:
    """Return the reasons by file that stand behind a word."""
    return dict(re.findall(rf"^{word} +(.+?): (.*)$", printed, re.MULTILINE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("mixed") / "files"
    (at / "sub").mkdir(parents=True)
    for name in ("coffee", "chelsea"):
        small = photos()[name].copy()
        small.thumbnail((200, 200))
        small.save(at / f"{name}.jpg")
    datasets = Path(find_spec("sklearn").submodule_search_locations[0]) / "datasets"
    shutil.copy(datasets / "descr" / "iris.rst", at / "sub")
    shutil.copy(datasets / "images" / "china.jpg", at / "sub" / "photo.txt")
    shutil.copy(BIKES, at)
    (at / "notes.md").write_text("# Garden\n\nTomatoes want sun.\n\n# Garage\n\nThe bicycle has a flat tyre.\n")
    (at / "copy.md").write_text((at / "notes.md").read_text())
    (at / "report.pdf").write_bytes(report())
    (at / "empty.txt").touch()
    (at / "cut.png").write_bytes(png("coffee")[:3000])
    (at / "cut.mp4").write_bytes(BIKES.read_bytes()[:4000])
    (at / "bytes.bin").write_bytes(bytes(range(256)))
    (at / ".hidden").write_text("hidden")
    (at / "link.txt").symlink_to("/etc/hostname")
    return at


@dataclass(frozen=True)
class Ingested:
    folder: Path
    first: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def ingested(server: RunningServer, folder: Path) -> Ingested:
    return Ingested(folder, ingest(server, folder))


def test_every_file_is_accounted_for_when_a_mixed_folder_is_ingested(ingested: Ingested) -> None:
    done = ingested.first
    failed, skipped = told(done.stdout, "FAILED"), told(done.stdout, "skipped")

    assert done.returncode == 1, done.stdout + done.stderr
    assert failed.keys() == FAILURES.keys(), done.stdout
    assert all(words in failed[name] for name, words in FAILURES.items()), failed
    assert skipped.keys() == SKIPPED.keys(), done.stdout
    assert all(words in skipped[name] for name, words in SKIPPED.items()), skipped
    assert len(re.findall(r"^ +-> \w", done.stdout, re.MULTILINE)) == len(FAILURES)
    assert "8 files ingested (1 text, 2 markdown, 3 image, 1 video, 1 pdf)" in done.stdout, done.stdout
    assert told(done.stdout, "note") == {"sub/photo.txt": "holds image/jpeg, whatever .txt says"}
    assert "\x1b" not in done.stdout


def test_a_second_run_does_nothing_when_nothing_changed(server: RunningServer, ingested: Ingested) -> None:
    again = ingest(server, ingested.folder)

    assert "0 files ingested, 0 documents; 8 unchanged, 3 skipped, 3 failed" in again.stdout, again.stdout
    assert told(again.stdout, "FAILED").keys() == FAILURES.keys()
    assert "btch_" not in again.stdout
    assert "made " not in again.stdout


def test_answers_name_file_place_and_words(server: RunningServer, ingested: Ingested) -> None:
    bicycle = run(server, "search", "a flat tyre of a bicycle", "--namespace", NAMESPACE)
    cups = run(server, "search", "espresso", "--namespace", NAMESPACE, "--kind", "image", "--json", "--limit", "2")
    paper = run(server, "search", "lexical and vector search", "--namespace", NAMESPACE, "--kind", "pdf")
    nothing = run(server, "search", "espresso", "--namespace", NAMESPACE, "--kind", "audio")

    assert bicycle.returncode == 0, bicycle.stderr
    assert re.search(r"^ 1\. (notes|copy)\.md, lines 5-7  markdown 0\.\d+$", bicycle.stdout, re.MULTILINE)
    assert "The *bicycle* has a *flat* *tyre*." in bicycle.stdout
    assert re.search(r"bikes\.mp4, 00:\d\d-00:\d\d  video", bicycle.stdout), bicycle.stdout
    assert re.search(r"report\.pdf, page [13] of 3  pdf", paper.stdout.splitlines()[0]), paper.stdout
    assert [answer["kind"] for answer in json.loads(cups.stdout)] == ["image", "image"]
    assert json.loads(cups.stdout)[0]["file"] == "coffee.jpg"
    assert (nothing.returncode, nothing.stdout) == (1, "Nothing found.\n")


def test_pictures_and_marks_are_drawn_when_there_is_a_terminal(server: RunningServer, ingested: Ingested) -> None:
    pytest.importorskip("rich")
    asked = command(server, "search", "espresso", "--namespace", NAMESPACE, "--kind", "image", "--limit", "1")

    code, shown = shown_on_terminal(asked, environment(server, COLORTERM="truecolor"))

    assert code == 0, shown
    assert "coffee.jpg" in plain(shown)
    assert shown.count("\u2580") > 100
    assert "\x1b[1;33mespresso\x1b[0m" in shown


def test_a_changed_file_replaces_what_was_made_of_it(server: RunningServer, ingested: Ingested) -> None:
    (ingested.folder / "notes.md").write_text("# Kitchen\n\nThe kettle whistles when the water boils.\n")

    again = ingest(server, ingested.folder)
    found = run(server, "search", "bicycle tyre", "--namespace", NAMESPACE, "--kind", "markdown", "--json")

    assert "1 file ingested (1 markdown), 1 document; 7 unchanged, 1 replaced" in again.stdout, again.stdout
    assert {answer["file"] for answer in json.loads(found.stdout)} == {"notes.md", "copy.md"}
    assert not any("bicycle" in each["text"] for each in json.loads(found.stdout) if each["file"] == "notes.md")


def test_ctrl_c_leaves_the_batch_running_and_the_next_run_follows_it(server: RunningServer, tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.txt").write_text(f"Letter {number}. " * 50)
    arguments = ("ingest", str(folder), "--namespace", f"{NAMESPACE}-again", "--transcribe", "no")

    code, shown = shown_on_terminal(command(server, *arguments), environment(server), stop_at=b"30 objects")
    again = run(server, *arguments)

    assert code == 130, shown
    assert "The batch goes on. `prismhouse batch watch btch_" in plain(shown)
    assert "Traceback" not in shown
    assert again.returncode == 0, again.stdout + again.stderr
    assert "30 unchanged, 0 skipped, 0 failed" in again.stdout


def test_objects_that_were_sent_and_not_processed_are_taken_up(server: RunningServer, tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"Letter {number}.")
    arguments = ("ingest", str(folder), "--namespace", f"{NAMESPACE}-sent", "--transcribe", "no")

    shown_on_terminal(command(server, *arguments), environment(server), stop_at=b"sending")
    again = run(server, *arguments)
    last = run(server, *arguments)

    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 unchanged, 0 skipped, 0 failed" in last.stdout


def test_what_is_wrong_is_said_without_a_traceback(server: RunningServer, ingested: Ingested, tmp_path: Path) -> None:
    elsewhere = tmp_path / "files"
    elsewhere.mkdir()
    (elsewhere / "a.txt").write_text("a")
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "api-key").write_text("sk_unknown")
    for done, words in (
        (ingest(server, ingested.folder, "--data", str(tmp_path / "key")), "does not know this API key"),
        (ingest(server, ingested.folder, "--url", "http://127.0.0.1:1"), "prismhouse serve"),
        (run(server, "search", "x", "--namespace", NAMESPACE, "--url", "http://127.0.0.1:1"), "prismhouse serve"),
        (ingest(server, tmp_path / "nowhere"), "no folder"),
        (ingest(server, elsewhere), "--bucket"),
        (run(server, "search", "x", "--namespace", "nobody-has-this"), "nobody-has-this"),
        (run(server, "search", "x"), "--namespace"),
    ):
        assert done.returncode == 1, done
        assert words in done.stderr, done
        assert "Traceback" not in done.stderr


def test_a_dry_run_sends_nothing(server: RunningServer, ingested: Ingested) -> None:
    dry = run(server, "ingest", str(ingested.folder), "--namespace", f"{NAMESPACE}-dry", "--dry-run")
    search = run(server, "search", "x", "--namespace", f"{NAMESPACE}-dry")

    assert "would send coffee.jpg as image" in dry.stdout
    assert "8 files to send (1 text, 2 markdown, 3 image, 1 video, 1 pdf), 3 skipped, 1 failed; nothing was sent" in (
        dry.stdout
    )
    assert "ingested" not in dry.stdout
    assert search.returncode == 1
