"""Settings for a command: flags over environment over file over defaults."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

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
    return Settings(**given)
