"""Settings for a command: flags over environment over file over defaults."""

from __future__ import annotations

import argparse
import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic_settings import SettingsError

from prismhouse.cli.settings_reference import variables
from prismhouse.settings import Settings

__all__ = ["add_data_argument", "load_settings"]


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--data`."""
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder for database, files and keys (default: ./prismhouse-data)"
    )


def load_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings with the flags of `arguments` that were given; raise ValidationError."""
    given: dict[str, Any] = {}
    for name, path in (
        ("data", ("data_dir",)),
        ("host", ("server", "host")),
        ("port", ("server", "port")),
        ("workers", ("worker", "processes")),
    ):
        value = getattr(arguments, name, None)
        if value is not None:
            place = given
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = value
    _point_out_unknown()
    file = os.environ.get("PRISMHOUSE_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise SettingsError(f"PRISMHOUSE_CONFIG_FILE names {file}, which is not a file")
    return Settings(**given)


def _point_out_unknown() -> None:
    """A misspelt variable would do nothing; say so. It is no error: other programs may use the prefix."""
    known = variables()
    for name in sorted(os.environ):
        if name.upper().startswith("PRISMHOUSE_") and name.upper() not in known:
            for close in get_close_matches(name.upper(), known, n=1, cutoff=0.85):
                print(f"prismhouse: {name} is no setting; did you mean {close}?", file=sys.stderr)
