"""Staged keys as object names that every S3 server takes, and back.

A key may be any text. Servers refuse or rewrite empty parts, `.` and `..`, and control characters; some store a
part as a file, with at most 255 bytes; none takes more than 1,024 bytes. `%` marks what had to change:

    %41     a character, by the bytes of its UTF-8      %-    an empty part
    part%   goes on in the next part                    ~sha256 instead of the rest: longer than a name may be
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote

__all__ = ["key_of", "name_of"]

_NAME_BYTES = 1024
_PART_BYTES = 200
_EMPTY = "%-"
_GOES_ON = "%"
_ODD = re.compile(r"[%\\\x00-\x1f\x7f-\x9f]")
_UNIT = re.compile(r"%[0-9A-F]{2}|.", re.DOTALL)
_HASHED = re.compile(r"~[0-9a-f]{64}")


def name_of(key: str, *, room_bytes: int = _NAME_BYTES) -> str:
    """Return the object name of a key, at most `room_bytes` long.

    The first two parts (organization and namespace) stay in front, whatever comes after.
    """
    parts = [_encoded(part) for part in key.split("/")]
    name = "/".join(parts)
    if len(name.encode()) <= room_bytes:
        return name
    short = f"~{hashlib.sha256(key.encode()).hexdigest()}"
    owned = "/".join([*parts[:2], short])
    # A key that is one long part has no owners to keep.
    return owned if len(owned.encode()) <= room_bytes else short


def key_of(name: str) -> str | None:
    """Return the key of an object name; None where the name holds only its hash."""
    if _HASHED.fullmatch(name.rpartition("/")[2]):
        return None
    parts = [""]
    for piece in name.split("/"):
        parts[-1] += "" if piece == _EMPTY else unquote(piece.removesuffix(_GOES_ON))
        if not piece.endswith(_GOES_ON):
            parts.append("")
    return "/".join(parts[:-1])


def _encoded(part: str) -> str:
    if not part:
        return _EMPTY
    pieces, size = [""], 0
    for unit in _UNIT.findall(_ODD.sub(_escaped, part)):
        length = len(unit.encode())
        if size + length > _PART_BYTES:
            pieces.append("")
            size = 0
        pieces[-1] += unit
        size += length
    return f"{_GOES_ON}/".join(_plain(piece) for piece in pieces)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _plain(piece: str) -> str:
    """Escape a piece that would mean something else."""
    return f"%{ord(piece[0]):02X}{piece[1:]}" if piece in {".", ".."} or _HASHED.fullmatch(piece) else piece
