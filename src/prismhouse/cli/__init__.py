"""The command line: one file per command group. Read main.py next."""

from prismhouse.cli.main import main

__all__ = ["main"]
