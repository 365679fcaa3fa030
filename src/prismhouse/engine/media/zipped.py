"""How large the directory of a ZIP archive is said to be: an entry takes half a kilobyte of memory when it is read."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["directory_bytes", "most_directory_bytes"]

_END = b"PK\x05\x06"
_END_BYTES = 22
_LONGEST_COMMENT = 65_535
_END_64 = b"PK\x06\x06"
_END_64_BYTES = 56
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_64_BYTES = 20
_UNKNOWN = 0xFFFFFFFF
_ENTRY_BYTES = 1024
"""What an entry of the directory takes with a long name."""


def most_directory_bytes(files: int) -> int:
    """Return how large the directory of so many files may be."""
    return files * _ENTRY_BYTES


def directory_bytes(path: Path) -> int | None:
    """Return the size that an archive tells of its directory, before anybody reads that; None: it has none.

    What it tells of their number is worth nothing: readers go by the size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT - _LOCATOR_64_BYTES))
        tail = file.read()
        place = tail.rfind(_END)
        if place < 0 or place + _END_BYTES > len(tail):
            return None
        (told,) = struct.unpack_from("<L", tail, place + 12)
        told = told if told != _UNKNOWN else 0
        locator = place - _LOCATOR_64_BYTES
        if locator >= 0 and tail[locator : locator + 4] == _LOCATOR_64:
            (record,) = struct.unpack_from("<Q", tail, locator + 8)
            # Some readers look where the locator says, others right before it.
            before = size - len(tail) + locator - _END_64_BYTES
            for start in (min(record, size), max(0, before)):
                file.seek(start)
                told = max(told, _told_64(file.read(_END_64_BYTES)))
    return int(told)


def _told_64(record: bytes) -> int:
    if len(record) < _END_64_BYTES or not record.startswith(_END_64):
        return 0
    (told,) = struct.unpack_from("<Q", record, 40)
    return int(told)
