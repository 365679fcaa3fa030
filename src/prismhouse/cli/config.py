"""`prismhouse config show|reference`."""

from __future__ import annotations

import argparse

from prismhouse.cli.load import add_data_argument, load_settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_data_argument(actions.add_parser("show", help="effective values and where each came from, secrets masked"))
    actions.add_parser("reference", help="every setting as Markdown: the text of docs/configuration.md")


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for."""
    from prismhouse.cli import settings_reference

    if arguments.action == "reference":
        print(settings_reference.reference(), end="")
        return 0
    for line in settings_reference.effective(load_settings(arguments), flags={"data_dir"} if arguments.data else set()):
        print(line)
    return 0
