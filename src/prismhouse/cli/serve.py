"""`prismhouse serve`."""

from __future__ import annotations

import argparse

from prismhouse.cli.load import add_data_argument, load_settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--host", metavar="H", help="address to listen on (default: 127.0.0.1; 0.0.0.0 opens it)")
    parser.add_argument("--port", metavar="P", type=int, help="port to listen on (default: 8080; 0 takes a free one)")
    add_data_argument(parser)
    parser.add_argument("--workers", metavar="N", type=int, help="worker processes (default: 1)")


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C."""
    from prismhouse.server import logs
    from prismhouse.server.adapters import check_adapters
    from prismhouse.server.supervisor import serve

    settings = load_settings(arguments)
    check_adapters(settings)
    logs.configure(settings.log, process="supervisor")
    return serve(settings)
