"""`prismhouse demo`: the flags; the demo itself is the package beside this file."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--keep", action="store_true", help="leave the server up and keep its data")
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        help="folder for the data (default: a temporary one, or ./prismhouse-data with --keep)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; `PRISMHOUSE_DEMO_KEEP` works as `--keep`, for `make demo KEEP=1`."""
    keep = arguments.keep or os.environ.get("PRISMHOUSE_DEMO_KEEP", "") not in {"", "0"}
    code: int = importlib.import_module("prismhouse.cli.demo").run(keep=keep, data_dir=arguments.data)
    return code
