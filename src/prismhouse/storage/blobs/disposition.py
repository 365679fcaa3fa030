"""How browsers take a file: shown where it stands, or saved under its name."""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["disposition", "sendable_type"]

# No `+`: every `+xml` is a document that may hold scripts, whatever stands before.
_SHOWN_IN_PLACE = re.compile(r"(?:image|video|audio)/[a-z0-9._-]+|text/plain|application/pdf")


def sendable_type(content_type: str | None) -> str:
    """Return the type as a header can carry it. Of a list, browsers would take the last one."""
    sendable = content_type and content_type.isascii() and content_type.isprintable() and "," not in content_type
    return content_type if content_type and sendable else "application/octet-stream"


def disposition(content_type: str | None, filename: str | None) -> str:
    """Return Content-Disposition: only what cannot act as a page is shown in place.

    The name stands there for old clients and, as RFC 6266 says, for all others.
    """
    bare = sendable_type(content_type).partition(";")[0].strip().lower()
    kind = "inline" if _SHOWN_IN_PLACE.fullmatch(bare) and "svg" not in bare else "attachment"
    if not filename:
        return kind
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%/' else "_" for c in filename)
    named = f'{kind}; filename="{plain}"'
    return named if plain == filename else f"{named}; filename*=UTF-8''{quote(filename, safe='')}"
