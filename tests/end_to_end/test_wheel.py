"""The wheel in an empty environment, far from this source: what `pip install prismhouse` gives a user.

The locked packages come from uv's cache, which `make install` filled; the weights are the ones installed here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conditions import eventually
from tests.running import Api, RunningServer, clean_environment, launch

from prismhouse.engine.inference.registry import MINILM, all_models

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
BREAD = "Knead the dough for ten minutes and let the bread rise overnight."
PASSAGE = {
    "collection_name": "passages",
    "source": {"type": "bucket", "bucket_ids": ["notes"]},
    "feature_extractor": {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "input_mappings": {"text": "content"},
        "field_passthrough": ["content"],
    },
}
SEARCH = {"feature_uri": "mixpeek://text_extractor@v1/embedding", "query": "{{INPUT.query}}"}
ASK = {
    "retriever_name": "ask",
    "collection_identifiers": ["passages"],
    "stages": [
        {"stage_name": "search", "config": {"stage_id": "feature_search", "parameters": {"searches": [SEARCH]}}}
    ],
}


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel, and the folder it stands in."""

    folder: Path

    @property
    def program(self) -> Path:
        return self.folder / "venv" / "bin" / "prismhouse"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run([str(self.program), *arguments], cwd=self.folder, check=False)

    def add_locked(self, *options: str) -> None:
        """Install what the lock file pins for a user with these options."""
        command = [str(UV), "sync", "--frozen", "--quiet", "--inexact", "--no-default-groups", "--no-install-project"]
        _run([*command, *options], cwd=ROOT, UV_PROJECT_ENVIRONMENT=str(self.program.parents[1]))

    def add_weights(self) -> None:
        """Put the packages of the weights beside the others, as `prismhouse models install` does."""
        [packages] = (self.folder / "venv" / "lib").glob("python3.*/site-packages")
        for module in {file.package.module for model in all_models().values() for file in model.files.values()}:
            spec = find_spec(module)
            assert spec is not None, f"{module}: run make install"
            assert spec.submodule_search_locations
            (packages / module).symlink_to(next(iter(spec.submodule_search_locations)))


def _run(command: list[str], *, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    uv = {"UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean_environment(source=False), **uv, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [str(UV), "build", "--wheel", "--quiet", "--no-build-isolation", "--python", sys.executable]
    _run([*command, "--out-dir", str(folder)], cwd=ROOT)
    [made] = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with what it needs, and no extras."""
    place = Installed(tmp_path_factory.mktemp("installed"))
    venv = str(place.program.parents[1])
    _run([str(UV), "venv", "--quiet", "--python", sys.executable, venv], cwd=place.folder)
    place.add_locked()
    _run([str(UV), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", venv, str(wheel)], cwd=ROOT)
    return place


@pytest.fixture
def serve(installed: Installed) -> Iterator[Callable[[], RunningServer]]:
    """Give a function that starts the installed program, each time on the same data."""
    started: list[RunningServer] = []

    def start() -> RunningServer:
        running = launch(installed.folder / "data", {}, program=installed.program)
        started.append(running)
        running.wait_until_healthy()
        return running

    yield start
    for running in started:
        running.stop()


def test_wheel_holds_everything_that_is_no_code(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    tracked = _run(["git", "ls-files", "src"], cwd=ROOT).stdout.split() if (ROOT / ".git").exists() else []

    wanted = {"py.typed", "server/unbuilt.tsv", "server/reference_page/page.html"}
    wanted |= {str(path.relative_to(source / "prismhouse")) for path in source.rglob("migrations/*.sql")}
    assert {f"prismhouse/{name}" for name in wanted} <= names
    assert {name.removeprefix("src/") for name in tracked} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if not name.startswith("prismhouse")]


def test_installed_program_runs_without_the_source(installed):
    assert installed.run("--version").stdout == f"prismhouse {version('prismhouse')}\n"
    packages = [str(UV), "pip", "check", "--quiet", "--python", str(installed.program.parents[1])]
    _run(packages, cwd=installed.folder)
    where = _run(
        [str(installed.program.with_name("python")), "-c", "import prismhouse; print(prismhouse.__file__)"],
        cwd=installed.folder,
    )
    assert str(installed.folder) in where.stdout


def test_each_missing_piece_is_named_with_its_command_until_a_search_answers(installed, serve):
    """One installation grows: the base, then the extras, then the weights; each step does what the last one said."""
    base = serve()
    api = _fill(base)
    failed = _trigger(api)
    assert failed["status"] == "FAILED"
    assert 'pip install "prismhouse[text]"' in json.dumps(failed).replace('\\"', '"')
    assert 'pip install "prismhouse[text]"' in _refusal(api)
    assert 'pip install "prismhouse[text]"' in installed.run("models", "list").stdout
    assert base.stop() == 0, base.log()

    installed.add_locked("--extra", "text", "--extra", "image", "--extra", "media", "--extra", "documents")
    without_weights = installed.run("models", "list")
    assert without_weights.returncode == 1
    assert f"prismhouse models install {MINILM}" in without_weights.stdout
    assert "pip install" not in without_weights.stdout

    installed.add_weights()
    listed = installed.run("models", "list")
    assert listed.returncode == 0, listed.stdout
    assert "to be installed" not in installed.run("models", "install").stdout
    api = Api(serve(), "library")
    assert _trigger(api)["status"] == "COMPLETED"
    answer = api.ok("POST", "/v1/retrievers/ask/execute", {"inputs": {"query": "how do I bake?"}})
    assert [document["content"] for document in answer["documents"]] == [BREAD]


def _fill(server: RunningServer) -> Api:
    """Return a namespace with one object, a collection of its bucket and a retriever."""
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1"}
    Api(server).ok("POST", "/v1/namespaces", {"namespace_name": "library", "feature_extractors": [extractor]})
    api = Api(server, "library")
    schema = {"properties": {"content": {"type": "text"}}}
    api.ok("POST", "/v1/buckets", {"bucket_name": "notes", "bucket_schema": schema})
    blob = {"property": "content", "type": "text", "data": BREAD}
    api.ok("POST", "/v1/buckets/notes/objects", {"blobs": [blob]})
    api.ok("POST", "/v1/collections", PASSAGE)
    api.ok("POST", "/v1/retrievers", ASK)
    return api


def _trigger(api: Api) -> dict[str, Any]:
    """Extract everything and return the batch at its end."""
    made = api.ok("POST", "/v1/collections/passages/trigger", {})
    path = f"/v1/buckets/notes/batches/{made['batch_id']}"
    return eventually(
        lambda: api.ok("GET", path), until=lambda batch: batch["status"] not in {"QUEUED", "PROCESSING", "DRAFT"}
    )


def _refusal(api: Api) -> str:
    """Ask, and return the message of the refusal."""
    status, answer = api.call("POST", "/v1/retrievers/ask/execute", {"inputs": {"query": "how do I bake?"}})
    assert status == 503, answer
    return str(answer["error"]["message"])
