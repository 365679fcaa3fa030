"""A real paper of twenty pages, which the source package of a library carries: tables, figures, formulas, references.

It is the specification of Argon2, by its authors under CC0 1.0 or Apache-2.0. `make samples` puts it into `.samples`.
Where it is not, tests that need it are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["argon2_paper"]

_FOLDER = Path(os.environ.get("PRISMHOUSE_TEST_SAMPLES") or Path(__file__).parents[1] / ".samples")


def argon2_paper() -> Path:
    """Return its file; skip the test where it is missing."""
    path = _FOLDER / "argon2-specs.pdf"
    if not path.is_file():
        pytest.skip("no paper: make samples")
    return path
