"""Inputs as files that decoders open by path."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prismhouse.engine.extractors.port import Part
from prismhouse.engine.extractors.rows import read_bytes

__all__ = ["file_of"]


@contextmanager
def file_of(part: Part) -> Iterator[Path]:
    """Give the path of an input until the end of the block; bytes in memory are written to a file for so long.

    Raises MediaFault when the input was never fetched, and OSError when its file is gone.
    """
    if part.path is not None:
        yield part.path
        return
    with tempfile.NamedTemporaryFile(prefix="prismhouse-") as file:
        file.write(read_bytes(part))
        file.flush()
        yield Path(file.name)
