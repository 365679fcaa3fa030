"""`prismhouse models`. Read command.py next."""

from prismhouse.cli.models.command import add_arguments, run

__all__ = ["add_arguments", "run"]
