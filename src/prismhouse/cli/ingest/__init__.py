"""`prismhouse ingest FOLDER`: the files of a folder become searchable documents of a running server.

Read `flow.py` first: it is the story. `files.py` finds the files, `recipes.py` says what is made of each kind,
`place.py` makes namespace, bucket and collections, `upload.py` sends files, `summary.py` prints what became of each.
"""

from prismhouse.cli.ingest.command import add_arguments, run

__all__ = ["add_arguments", "run"]
