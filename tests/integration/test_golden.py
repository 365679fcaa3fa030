"""The models are as right on real files as `docs/models.md` says; `python -m bench.golden` has five languages too."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.golden import MEASURES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "languages"])
def test_models_are_within_their_bounds_when_they_meet_real_files(name: str, folder: Path) -> None:
    figures = list(MEASURES[name](folder))

    assert figures
    assert not [(one.name, one.value, one.kind, one.limit) for one in figures if not one.held]
