"""`prismhouse demo`: real files in, answers out, on a real server that it starts itself.

Read `flow.py` first: it is the story, one function per word of the product. `material.py` finds the files,
`questions.py` holds what is asked, `house.py` starts and stops the server, `screen.py` shows it all.
"""

from prismhouse.cli.demo.play import run

__all__ = ["run"]
