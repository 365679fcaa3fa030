"""`prismhouse db migrate|url`."""

from __future__ import annotations

import argparse
import sys

from prismhouse.cli.load import add_data_argument, load_settings
from prismhouse.settings import Settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_data_argument(actions.add_parser("migrate", help="bring the schema up to date (the server does it on its own)"))
    add_data_argument(actions.add_parser("url", help="print how to connect to the running database, for psql"))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    settings = load_settings(arguments)
    return _migrate(settings) if arguments.action == "migrate" else _url(settings)


def _migrate(settings: Settings) -> int:
    from prismhouse.cli.database import database
    from prismhouse.server.prepare import prepare_database

    with database(settings, make=True) as dsn:
        ran = prepare_database(dsn)
    print("\n".join(f"applied {name}" for name in ran) or "The schema is up to date.")
    return 0


def _url(settings: Settings) -> int:
    if settings.database.url is not None:
        print(settings.database.url.get_secret_value())
        return 0
    from prismhouse.storage.postgres.embedded import running_dsn

    dsn = running_dsn(settings.data_dir / "postgres")
    if dsn is None:
        print(f"No server runs in {settings.data_dir}; start it with `prismhouse serve`.", file=sys.stderr)
        return 1
    print(dsn)
    return 0
