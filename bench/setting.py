"""What an extractor needs around it while it is measured: variables of the server, something else than the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Setting", "installed", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`environment` is the server's, `given` makes what an object holds of a file: None where that is the file."""

    environment: Mapping[str, str] = field(default_factory=dict)
    given: Callable[[Path], Any] | None = None


@contextmanager
def plain(folder: Path) -> Iterator[Setting]:  # noqa: ARG001 - settings are called alike
    """Need nothing."""
    yield Setting()


@contextmanager
def installed(folder: Path) -> Iterator[Setting]:
    """Install the package `bench.sights` for the server."""
    from tests.custom_extractors import bring

    code = Path(__file__).with_name("sights.py").read_text()
    site = bring(folder / "site", "sights", code, "sight_extractor_v1 = sights:DEFINITION")
    before = os.environ.get("PYTHONPATH")
    yield Setting(environment={"PYTHONPATH": os.pathsep.join([str(site), *([before] if before else [])])})
