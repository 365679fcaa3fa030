"""`prismhouse worker`."""

from __future__ import annotations

import argparse
import sys

from prismhouse.cli.load import add_data_argument, load_settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_data_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run jobs until SIGTERM or Ctrl-C, on the database by URL or the running embedded one."""
    settings = load_settings(arguments)
    if settings.database.url is not None:
        dsn = settings.database.url.get_secret_value()
    else:
        from prismhouse.storage.postgres.embedded import running_dsn

        dsn = running_dsn(settings.data_dir / "postgres") or ""
    if not dsn:
        print(
            f"No server runs in {settings.data_dir}. Start one with `prismhouse serve`, or name the database of "
            "another machine in PRISMHOUSE_DATABASE__URL.",
            file=sys.stderr,
        )
        return 1
    from prismhouse.server.worker import work

    return work(settings, dsn)
