"""Running a model tells nobody about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOAD_AND_RUN = """
import sys
from pathlib import Path
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.registry import MINILM
loaded(MINILM, threads=1, cache_dir=Path(sys.argv[1])).embed(["a text"])
"""


def test_no_device_identifier_is_left_when_a_model_runs(tmp_path: Path):
    home, scratch, cache = (tmp_path / name for name in ("home", "scratch", "cache"))
    for folder in (home, scratch, cache):
        folder.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3] / "src"),
        "HOME": str(home),
        "TMPDIR": str(scratch),
    }

    subprocess.run([sys.executable, "-c", LOAD_AND_RUN, str(cache)], env=environment, check=True, timeout=100)

    assert [*home.rglob("*"), *scratch.rglob("*")] == []
