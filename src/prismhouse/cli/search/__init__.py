"""`prismhouse search "..."`: find in a namespace, and show what was found so that a person can read it.

`retriever.py` makes or mends the stored search, `answers.py` reads documents, `screen.py` shows them, `pictures/`
draws in the terminal.
"""

from prismhouse.cli.search.command import add_arguments, run

__all__ = ["add_arguments", "run"]
