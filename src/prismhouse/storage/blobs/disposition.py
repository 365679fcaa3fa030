"""How browsers take a file: shown where it stands, or saved under its name."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["disposition", "sendable_type"]

_SHOWN_IN_PLACE = ("image/", "video/", "audio/", "text/plain", "application/pdf")


def sendable_type(content_type: str | None) -> str:
    """Return the type as a header can carry it."""
    sendable = content_type and content_type.isascii() and content_type.isprintable()
    return content_type if content_type and sendable else "application/octet-stream"


def disposition(content_type: str | None, filename: str | None) -> str:
    """Return Content-Disposition: only what cannot act as a page is shown in place.

    The name stands there for old clients and, as RFC 6266 says, for all others.
    """
    bare = (content_type or "").partition(";")[0].strip().lower()
    kind = "inline" if bare.startswith(_SHOWN_IN_PLACE) and "svg" not in bare else "attachment"
    if not filename:
        return kind
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%/' else "_" for c in filename)
    named = f'{kind}; filename="{plain}"'
    return named if plain == filename else f"{named}; filename*=UTF-8''{quote(filename, safe='')}"
