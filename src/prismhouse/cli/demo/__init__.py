"""`prismhouse demo`: real files in, answers out, on a real server that it starts itself.

Read `flow.py` first: it is the story, one function per word of the product. `material.py` finds the files,
`questions.py` holds what is asked, `house.py` starts and stops the server, `screen.py` shows it all.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--keep",
        action="store_true",
        default=os.environ.get("PRISMHOUSE_DEMO_KEEP", "") not in {"", "0"},
        help="leave the server up after the questions, with its data (or set PRISMHOUSE_DEMO_KEEP=1)",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        help="folder for the data (default: a temporary one, or ./prismhouse-data with --keep)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Play the demo."""
    from prismhouse.cli.demo.play import play

    return play(keep=arguments.keep, data_dir=arguments.data)
