"""The command line's root: `prismhouse COMMAND`. Each group is imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from prismhouse import __version__

__all__ = ["main"]

_DESCRIPTION = "A self-hosted multimodal data warehouse: raw files in, searchable documents out."
_EPILOG = """\
settings are environment variables such as PRISMHOUSE_DATABASE__URL; `prismhouse config show` lists them all.
"""


@dataclass(frozen=True, slots=True)
class _Group:
    """A command and the module that implements it: `add_arguments(parser)` and `run(arguments) -> int`."""

    name: str
    module: str
    help: str


_GROUPS = (
    _Group("serve", "serve", "run the API, workers and, unless a URL replaces it, PostgreSQL"),
    _Group("worker", "worker", "run one more worker on the same database"),
    _Group("ingest", "ingest", "make the files of a folder searchable, on a running server"),
    _Group("search", "search", "find in what was ingested"),
    _Group("batch", "batch", "follow, list and show batches of a running server"),
    _Group("demo", "demo_command", "show the main job on real files, with a server of its own"),
    _Group("keys", "keys", "create, list and revoke API keys"),
    _Group("models", "models", "install, list, describe and measure models"),
    _Group("config", "config", "show what is set and where it came from"),
    _Group("db", "db", "migrate the database, or print how to connect to it"),
)
_HIDDEN = {"api-process": "prismhouse.server.api_process", "worker-process": "prismhouse.server.worker"}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command named on the command line and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in _HIDDEN:
        from prismhouse.server import lifeline

        lifeline.hold()
        sys.exit(importlib.import_module(_HIDDEN[arguments[0]]).run())
    sys.exit(_run(arguments))


def _run(arguments: list[str]) -> int:
    chosen = next((group for group in _GROUPS if arguments and group.name == arguments[0]), None)
    parser = argparse.ArgumentParser(
        prog="prismhouse",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"prismhouse {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for group in _GROUPS:
        sub = commands.add_parser(group.name, help=group.help, description=f"{group.help[:1].upper()}{group.help[1:]}.")
        if group is chosen:
            module = importlib.import_module(f"prismhouse.cli.{group.module}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    from prismhouse.cli.problems import explained

    with explained() as outcome:
        outcome.code = parsed.run(parsed)
    return outcome.code
