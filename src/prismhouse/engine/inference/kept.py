"""What is computed once from weights and kept in the cache folder: checked when it is read, made again when damaged."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["kept"]

_DIGEST_BYTES = 32


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the content of a file, which `make` gives when the file is missing or damaged.

    Several processes may make it at once: each writes it whole, so the last one wins and all have the same.
    """
    if (found := _read(path)) is not None:
        return found
    content = make()
    _write(path, hashlib.sha256(content).digest() + content)
    return content


def _read(path: Path) -> bytes | None:
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def _write(path: Path, stored: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(stored)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
