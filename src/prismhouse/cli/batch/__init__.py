"""`prismhouse batch watch|list|show`: batches of a running server, over HTTP. Read command.py next."""

from prismhouse.cli.batch.command import add_arguments, run

__all__ = ["add_arguments", "run"]
